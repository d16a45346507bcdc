"""The one session a pod holds: running bot(), keeping others out, ending it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from fastapi import WebSocketDisconnect
from loguru import logger
from pipecat.runner.types import RunnerArguments

from pipecatcloud_system.errors import Failure, PodBusy, PodDraining, Refusal
from pipecatcloud_system.memory import Memory

Bot = Callable[[Any], Awaitable[None]]
Conduct = Callable[[], Coroutine[Any, Any, Failure | None]]

PATIENCE_S = 1.0
"""How long a bot that was told that its peer is gone may take to end by itself."""
PARTING_S = 0.1
"""How long a newcomer is kept waiting for a session that may be about to end: a client that
says goodbye and comes back at once can overtake its own goodbye."""
CANCEL_TIMEOUT_S = 5.0
"""How long a cancelled bot may take to clean up before the pod gives up on it."""


async def run_session(bot: Bot, arguments: RunnerArguments) -> Failure | None:
    """Run bot() to its end, with the session's id in every line it logs.

    Returns:
        None, or why it failed: logged here once, under an error id that the caller passes on.
    """
    with logger.contextualize(session_id=arguments.session_id):
        logger.info("Session starts: {}", type(arguments).__name__)
        try:
            await bot(arguments)
        except WebSocketDisconnect:
            logger.info("Session ends: the WebSocket client left")
        # SystemExit too: a bot that exits must not take the pod along.
        except (Exception, SystemExit) as error:
            error_id = uuid.uuid4().hex[:12]
            logger.opt(exception=error).error("bot() failed; error id {}", error_id)
            message = f"The bot failed ({type(error).__name__}). Its log says more: {error_id}."
            return Failure(message, error_id)
        else:
            logger.info("Session ends")
        return None


class Peer(Protocol):
    """What the pod must know of a WebRTC session's other end."""

    async def replaceable(self) -> bool:
        """Whether it may be put out for somebody who wants to start a session."""

    def dismiss(self) -> None:
        """Tell the bot, as soon as may be, that its peer is gone."""


class Session:
    """One conversation: its task, and its peer when it has one."""

    def __init__(self, session_id: str, conduct: Conduct, peer: Peer | None) -> None:
        self.session_id = session_id
        self.peer = peer
        self.task = asyncio.create_task(conduct(), name=f"session {session_id}")

    async def replaceable(self) -> bool:
        """Whether nobody is at the other end, as far as that can be known."""
        return self.peer is not None and await self.peer.replaceable()

    async def finished(self) -> Failure | None:
        """Wait for the end; a session that was cancelled has failed too."""
        await asyncio.wait({self.task})
        if self.task.cancelled():
            return Failure("The session was ended by the pod.")
        return self.task.result()

    async def end(self) -> bool:
        """Cancel the session and wait for its end; False if it does not end."""
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=CANCEL_TIMEOUT_S)
        if not self.task.done():
            logger.error(
                "Session {} goes on {:g} s after being cancelled; bot() must let "
                "CancelledError pass",
                self.session_id,
                CANCEL_TIMEOUT_S,
            )
        return self.task.done()


class Pod:
    """Holds at most one session, and decides who may start the next."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.draining = False
        self._memory = Memory()
        self._door = asyncio.Lock()
        self._session: Session | None = None

    @property
    def session(self) -> Session | None:
        """The session that runs now."""
        if self._session is not None and self._session.task.done():
            self._session = None
        return self._session

    async def check_room(self) -> None:
        """Raise PodBusy or PodDraining if a new session could not start now."""
        if self.draining:
            raise PodDraining
        if (session := self.session) is None or await session.replaceable():
            return
        await asyncio.wait({session.task}, timeout=PARTING_S)
        if (session := self.session) is not None and not await session.replaceable():
            raise PodBusy

    async def begin(self, session_id: str, conduct: Conduct, peer: Peer | None = None) -> Session:
        """Start a session, putting out one whose peer is gone.

        Args:
            session_id: names the session in the log.
            conduct: the whole session, run as a task of its own.
            peer: the other end of a WebRTC session.

        Raises:
            Refusal: there is no room.
        """
        async with self._door:
            await self.check_room()
            if (old := self.session) is not None:
                await self._put_out(old)
            self._memory.settle()
            self._session = Session(session_id, conduct, peer)
            self._session.task.add_done_callback(lambda _: self._memory.give_back())
            return self._session

    async def _put_out(self, session: Session) -> None:
        logger.info("Session {} is ended: its peer is gone and a new one came", session.session_id)
        if session.peer is not None:
            session.peer.dismiss()
        await asyncio.wait({session.task}, timeout=PATIENCE_S)
        if not session.task.done() and not await session.end():
            raise Refusal(503, "The session before this one is still ending.")

    async def idle(self) -> None:
        """Wait until no session runs."""
        while (session := self.session) is not None:
            await asyncio.wait({session.task})

    async def close(self) -> None:
        """Take no more sessions and end the one that runs."""
        self.draining = True
        if (session := self.session) is not None:
            await session.end()
