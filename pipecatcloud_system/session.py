"""The one session a pod holds: running bot(), keeping others out, ending it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import WebSocketDisconnect
from loguru import logger
from pipecat.runner.types import RunnerArguments

from pipecatcloud_system.errors import Failure, PodBusy, PodDraining, Refusal
from pipecatcloud_system.memory import Memory

Bot = Callable[[Any], Awaitable[None]]
Conduct = Callable[[], Coroutine[Any, Any, Failure | None]]
Report = Callable[[str, str], None]
"""Takes a session's id and what happened to it; must not block."""
happened: ContextVar[Callable[[str], None]] = ContextVar("happened")
"""Within a session: reports what happened to it."""

PATIENCE_S = 1.0
"""How long a bot that was told that its peer is gone may take to end by itself."""
PARTING_S = 0.1
"""How long a newcomer is kept waiting for a session that may be about to end: a client that
says goodbye and comes back at once can overtake its own goodbye."""
CANCEL_TIMEOUT_S = 5.0
"""How long a cancelled bot may take to clean up before the pod gives up on it."""


@dataclass(frozen=True)
class Start:
    """What the request that starts a session says of it, whatever its transport."""

    session_id: str
    """Names the session in the log."""
    max_session_s: float | None = None
    """How long bot() may run; None: as long as the pod's settings allow."""
    flow_config: str | None = None
    """The Pipecat Flows configuration that the bot is to use, as text."""


async def run_session(
    bot: Bot, arguments: RunnerArguments, limit_s: float | None = None, image: str = "unknown"
) -> Failure | None:
    """Run bot() to its end, or to its limit, which is an end as good as any.

    Args:
        bot: the bot.
        arguments: for it.
        limit_s: how long it may run before it is cancelled; None: as long as it likes.
        image: version of the image, for the log.

    Returns:
        None, or why it failed: logged here once, under an error id that the caller passes on.
    """
    with logger.contextualize(session_id=arguments.session_id):
        logger.info("Session starts: {} (image {})", type(arguments).__name__, image)
        limit = asyncio.timeout(limit_s)
        try:
            async with limit, _watched(limit_s):
                await bot(arguments)
        except WebSocketDisconnect:
            logger.info("Session ends: the WebSocket client left")
        # SystemExit too: a bot that exits must not take the pod along.
        except (Exception, SystemExit) as error:
            # A bot that lets its cancellation pass; one that winds up instead raises nothing.
            if limit.expired() and isinstance(error, TimeoutError):
                logger.info("Session ends: it has lasted its {:g} s", limit_s)
                return None
            error_id = uuid.uuid4().hex[:12]
            logger.opt(exception=error).error("bot() failed; error id {}", error_id)
            message = f"The bot failed ({type(error).__name__}). Its log says more: {error_id}."
            return Failure(message, error_id)
        else:
            why = f": it has lasted its {limit_s:g} s" if limit.expired() else ""
            logger.info("Session ends{}", why)
        return None


@asynccontextmanager
async def _watched(limit_s: float | None) -> AsyncIterator[None]:
    """Complain of a bot that goes on after its limit: its pod is lost until it ends."""
    if limit_s is None:
        yield
        return
    text = "The session goes on {:g} s after its limit; bot() must let CancelledError pass"
    complaint = asyncio.get_running_loop().call_later(
        limit_s + CANCEL_TIMEOUT_S, logger.error, text, CANCEL_TIMEOUT_S
    )
    try:
        yield
    finally:
        complaint.cancel()


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
        with logger.contextualize(session_id=session_id):
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


@dataclass
class Tally:
    """Sessions since the pod's start; one that failed has ended too."""

    started: int = 0
    ended: int = 0
    failed: int = 0
    unjoined: int = 0
    """Of the failed: nobody came."""


class Pod:
    """Holds at most one session, and decides who may start the next."""

    def __init__(
        self,
        bot: Bot,
        max_session_s: float | None = None,
        image: str = "unknown",
        single: bool = False,
    ) -> None:
        """Hold none yet.

        Args:
            bot: what runs.
            max_session_s: how long a session may last; None: for ever.
            image: named in the log.
            single: take no second session.
        """
        self.report: Report = lambda session_id, event: None
        """Called when a session has started, and when it has ended."""
        self.draining = False
        self.ended = asyncio.Event()
        """Set once a first session has ended."""
        self.tally = Tally()
        self._single = single
        self._spent = False
        self._bot = bot
        self._max_session_s = max_session_s
        self._image = image
        self._memory = Memory()
        self._door = asyncio.Lock()
        self._session: Session | None = None

    @property
    def session(self) -> Session | None:
        """The session that runs now."""
        if self._session is not None and self._session.task.done():
            self._session = None
        return self._session

    async def converse(self, arguments: RunnerArguments, start: Start) -> Failure | None:
        """Run the bot with these arguments; what `begin` is given does this at its heart."""
        arguments.session_id = start.session_id
        happened.set(lambda event: self.report(start.session_id, event))
        # Pipecat's own classes have this attribute only from some later version on.
        vars(arguments)["flow_config"] = start.flow_config
        limits = [each for each in (start.max_session_s, self._max_session_s) if each is not None]
        return await run_session(self._bot, arguments, min(limits, default=None), self._image)

    async def check_room(self) -> None:
        """Raise PodBusy or PodDraining if a new session could not start now."""
        if self.draining or self._spent:
            raise PodDraining
        if (session := self.session) is None or await session.replaceable():
            return
        await asyncio.wait({session.task}, timeout=PARTING_S)
        if self._spent:
            raise PodDraining
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
            if self._spent:
                raise PodDraining
            self._memory.settle()
            self._session = Session(session_id, conduct, peer)
            self.tally.started += 1
            self.report(session_id, "session_started")
            self._session.task.add_done_callback(lambda task: self._ended(session_id, task))
            return self._session

    def _ended(self, session_id: str, task: asyncio.Task[Failure | None]) -> None:
        self.tally.ended += 1
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.opt(exception=error).error("Session {} failed outside bot()", session_id)
        failure = None if error or task.cancelled() else task.result()
        if error or failure:
            self.tally.failed += 1
        if failure and failure.unjoined:
            self.tally.unjoined += 1
        self.report(session_id, "session_ended")
        self._spent = self._single
        self.ended.set()
        self._memory.give_back()

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
