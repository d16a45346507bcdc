"""Who holds the pod's one peer slot: offers and candidates, from request to connection."""

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import Any

from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from loguru import logger
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.smallwebrtc.connection import IceServer

from pipecatcloud_system import ice
from pipecatcloud_system.connection import PeerConnection, rehearse
from pipecatcloud_system.errors import Failure, Refusal
from pipecatcloud_system.offers import PARSE_ERRORS, Offer, read_candidates, read_offer
from pipecatcloud_system.session import PATIENCE_S, Pod, Session, Start

OFFER_ERRORS = (
    *PARSE_ERRORS,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
    ConnectionError,
)


class Invitation:
    """A session that POST /bot has started and that waits for a browser's offer."""

    def __init__(self, start: Start, body: Any) -> None:
        self.start = start
        self.body = body
        self.accepted: asyncio.Future[tuple[PeerConnection, SmallWebRTCRunnerArguments, Start]]
        self.accepted = asyncio.get_running_loop().create_future()


class PeerSlot:
    """Answers offers: at most one peer at a time, and only one that can connect."""

    def __init__(self, pod: Pod, source: ice.IceSource, offer_timeout_s: float) -> None:
        self._pod = pod
        self._ice_source = source
        self._offer_timeout_s = offer_timeout_s
        self._invitation: Invitation | None = None
        self._connection: PeerConnection | None = None
        self._renewing = asyncio.Lock()

    async def offer(self, body: bytes, start: Start) -> dict[str, str]:
        """Answer an offer; the bot has been started when this returns.

        Args:
            body: the request's.
            start: of the session that the offer starts, unless one waits for it.

        Raises:
            Refusal: the offer is malformed, or somebody else holds the slot.
        """
        offer = read_offer(body)
        if (held := self._held_as(offer.pc_id)) is not None:
            with logger.contextualize(session_id=held.session_id):
                renewed = await self._renew(held, offer)
            if renewed is not None:
                return renewed
        if (invitation := self._waiting()) is not None:
            start = _both(invitation.start, start)
        else:
            await self._pod.check_room()
        with logger.contextualize(session_id=start.session_id):
            return await self._accept(offer, start)

    async def add_candidates(self, body: bytes) -> None:
        """Hand the browser's further addresses to its connection.

        Raises:
            Refusal: they are malformed, too many, or for no connection of this pod's (404).
        """
        pc_id, candidates = read_candidates(body)
        connection = self._connection
        if connection is None or connection.gone or connection.pc_id != pc_id:
            raise Refusal(404, "pc_id: no such peer connection here.")
        with logger.contextualize(session_id=connection.session_id):
            await connection.add_candidates(candidates)

    async def invite(self, start: Start, body: Any) -> Session:
        """Start a session that waits for an offer, which then belongs to it.

        Raises:
            Refusal: the pod has no room.
        """
        invitation = Invitation(start, body)
        session = await self._pod.begin(start.session_id, lambda: self._await_peer(invitation))
        self._invitation = invitation
        return session

    def _held_as(self, pc_id: str | None) -> PeerConnection | None:
        """The living connection that some answer of this conversation called pc_id."""
        connection = self._connection
        if connection is None or pc_id not in connection.ids:
            return None
        if connection.gone or connection.dismissed:
            return None
        return connection

    def _waiting(self) -> Invitation | None:
        """The invitation that nobody has followed yet."""
        invitation = self._invitation
        return None if invitation is None or invitation.accepted.done() else invitation

    async def _renew(self, held: PeerConnection, offer: Offer) -> dict[str, str] | None:
        """Go on with a conversation; None if it ended before this offer's turn came."""
        async with self._renewing:
            try:
                # A broken offer must not cost the connection that stands.
                await rehearse(offer.sdp)
                if held.gone or held.dismissed:
                    return None
                if offer.restart_pc:
                    logger.info("The page was loaded anew; the conversation goes on")
                    await held.restart(offer.sdp)
                elif offer.pc_id == held.pc_id:
                    await held.renegotiate(offer.sdp, "offer")
                else:
                    return None
            except OFFER_ERRORS as error:
                raise _unusable(error) from None
            return _answer(held)

    async def _accept(self, offer: Offer, start: Start) -> dict[str, str]:
        servers = for_connection(await self._ice_source.servers())
        connection = PeerConnection(servers, start.session_id)
        try:
            await connection.initialize(offer.sdp, "offer")
            await self._start(connection, offer.request_data, start)
        except OFFER_ERRORS as error:
            await connection.close()
            raise _unusable(error) from None
        except BaseException:
            await connection.close()
            raise
        return _answer(connection)

    async def _start(self, connection: PeerConnection, request_data: Any, start: Start) -> None:
        """Hand the connection to the session that waits for one, or start a session."""
        arguments = SmallWebRTCRunnerArguments(
            webrtc_connection=connection, body={} if request_data is None else request_data
        )
        if (invitation := self._waiting()) is not None:
            arguments.body = request_data or invitation.body
            invitation.accepted.set_result((connection, arguments, start))
            self._invitation = None
            if (session := self._pod.session) is not None:
                session.peer = connection
        else:
            await self._pod.begin(
                start.session_id, lambda: self._converse(connection, arguments, start), connection
            )
        self._connection = connection

    async def _await_peer(self, invitation: Invitation) -> Failure | None:
        try:
            async with asyncio.timeout(self._offer_timeout_s):
                connection, arguments, start = await invitation.accepted
        except TimeoutError:
            text = f"No WebRTC offer came within {self._offer_timeout_s:g} s."
            return Failure(text, unjoined=True)
        return await self._converse(connection, arguments, start)

    async def _converse(
        self, connection: PeerConnection, arguments: SmallWebRTCRunnerArguments, start: Start
    ) -> Failure | None:
        """The whole of a WebRTC session: bot() beside a watch over its peer."""
        try:
            async with asyncio.TaskGroup() as tasks:
                bot = tasks.create_task(self._pod.converse(arguments, start))
                watch = tasks.create_task(connection.watch())
                await asyncio.wait({bot, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not bot.done() and not watch.result():
                    # Nobody ever came: nothing to finish, so no reason to wait for the bot.
                    await asyncio.wait({bot}, timeout=PATIENCE_S)
                    bot.cancel()
                await asyncio.wait({bot})
                failure = None if bot.cancelled() else bot.result()
                if failure is not None:
                    await connection.send_error(failure.message)
                watch.cancel()
            return failure
        finally:
            if self._connection is connection:
                self._connection = None
            await connection.close()


def for_connection(servers: Iterable[ice.IceServer]) -> list[IceServer]:
    """The servers as Pipecat's connections take them."""
    return [
        IceServer(urls=list(each.urls), username=each.username, credential=each.credential)
        for each in servers
    ]


def _both(invited: Start, offered: Start) -> Start:
    """What POST /bot said of the session, and the offer that follows it: the shorter limit."""
    limits = [each for each in (invited.max_session_s, offered.max_session_s) if each is not None]
    return dataclasses.replace(invited, max_session_s=min(limits, default=None))


def _answer(connection: PeerConnection) -> dict[str, str]:
    answer: dict[str, str] | None = connection.get_answer()  # type: ignore[no-untyped-call]
    if answer is None:
        raise Refusal(500, "The connection has no answer to this offer.")
    return answer


def _unusable(error: BaseException) -> Refusal:
    return Refusal(400, f"sdp: cannot be used ({type(error).__name__}).")
