"""A WebRTC connection that outlives a page reload: the bot hears nothing of it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from loguru import logger
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.transports.smallwebrtc.connection import (
    AUDIO_TRANSCEIVER_INDEX,
    SCREEN_VIDEO_TRANSCEIVER_INDEX,
    VIDEO_TRANSCEIVER_INDEX,
    IceServer,
    SmallWebRTCConnection,
    SmallWebRTCTrack,
)

from pipecatcloud_system.channel import MAX_CHANNELS, MessageGate
from pipecatcloud_system.errors import Refusal
from pipecatcloud_system.offers import MAX_CANDIDATES

CONNECT_TIMEOUT_S = 10.0
"""How long a peer may take from its offer to being connected."""
HEARD_S = 3.0
"""How long a silent peer keeps its place against somebody who wants it."""
RELOAD_GRACE_S = 2.0
"""How long a session waits for a page that left to come back."""
POLL_S = 0.5
"""How often packets from the peer are looked for."""
HANDOVER_S = 0.5
"""How long a track that was replaced is played on, until all it was given has gone."""
MAX_PENDING = 100
"""Messages that wait until the bot takes them."""
LAST_WORDS_S = 0.25
"""How long a message sent just before closing gets to arrive."""


class PeerConnection(SmallWebRTCConnection):
    """SmallWebRTCConnection whose "closed" reaches the bot only once the peer is gone for good.

    A peer that leaves has RELOAD_GRACE_S to come back through `restart`. Until then the bot's
    sound and pictures are played to nobody at their own pace, so that speech neither races on
    nor waits. Then the bot gets "connected" again, on the same connection object.
    """

    def __init__(self, ice_servers: Iterable[IceServer], session_id: str) -> None:
        super().__init__(ice_servers=list(ice_servers))
        self.session_id = session_id
        self.ids = {self.pc_id}
        """The ids that answers have given for this conversation, the latest among them."""
        self.gone = False
        """Whether the peer has gone for good."""
        self._changed = asyncio.Event()
        self._was_connected = False
        self.dismissed = False
        """Whether it has been given up, and will be gone as soon as `watch` has seen that."""
        self._restarting = False
        self._left_at: float | None = None
        self._offered_at = self._heard_at = time.monotonic()
        self._packets = 0
        self._candidates = 0
        self._channel_open = asyncio.Event()
        self._tracks: dict[str, MediaStreamTrack] = {}
        self._present = asyncio.Event()
        self._absence: list[asyncio.Task[None]] = []
        # What the bot's handlers for "closed" and "disconnected" are kept under: they are
        # called when the peer has gone, and not at all.
        self._register_event_handler("peer-gone")
        self._register_event_handler("peer-paused")
        super().add_event_handler("connected", self._on_connected)
        self._listen()

    def add_event_handler(self, event_name: str, handler: Callable[..., Any]) -> None:
        """Register a handler, the bot's or its transport's."""
        kept_under = {"closed": "peer-gone", "disconnected": "peer-paused"}
        super().add_event_handler(kept_under.get(event_name, event_name), handler)

    def _listen(self) -> None:
        """Notice what happens to a new RTCPeerConnection."""
        pc, self._channel_open = self.pc, asyncio.Event()
        gate, channels = MessageGate(), 0

        def on_state_change() -> None:
            self._was_connected |= pc.connectionState == "connected"
            self._changed.set()

        def on_channel(channel: RTCDataChannel) -> None:
            nonlocal channels
            channels += 1
            if channels > MAX_CHANNELS:
                self._put_out("it opened too many data channels")
            self._guard(channel, gate)
            self._channel_open.set()

        pc.on("connectionstatechange", on_state_change)
        pc.on("datachannel", on_channel)

    def _guard(self, channel: RTCDataChannel, gate: MessageGate) -> None:
        """Have a new channel's messages pass the gate before they reach the base class."""
        readers = channel.listeners("message")
        channel.remove_all_listeners("message")

        async def on_message(message: str | bytes) -> None:
            if len(self._pending_app_messages) >= MAX_PENDING:
                self._put_out("it sends messages to a bot that does not take them")
            elif gate.admits(message):
                for read in readers:
                    await read(message)
            elif gate.dropped == 1:
                logger.warning("The peer sent a message too large, too soon or no JSON: dropped")
            elif gate.flooded:
                self._put_out("it floods the data channel")

        channel.on("message", on_message)

    def _put_out(self, why: str) -> None:
        """Give up a peer that does harm."""
        if not self.dismissed:
            logger.warning("The peer is put out: {}", why)
            self.dismiss()

    async def connect(self) -> None:
        """Called by the bot's transport when its pipeline is set up."""
        await super().connect()  # type: ignore[no-untyped-call]
        if self.gone:
            await self._call_event_handler("peer-gone")

    async def restart(self, sdp: str) -> None:
        """Go on with the peer that makes this offer: the same page, loaded anew."""
        self._restarting = True
        self._pause()
        try:
            await self.renegotiate(sdp, "offer", restart_pc=True)
        finally:
            self.ids.add(self.pc_id)
            self._left_at = None
            self._packets = self._candidates = 0
            self._offered_at = time.monotonic()
            self._restarting = False
        self.touch()
        self._listen()
        self._changed.set()

    async def add_candidates(self, candidates: Sequence[RTCIceCandidate | None]) -> None:
        """Try these remote addresses too; None says that no more will come.

        Raises:
            Refusal: they are too many for one peer.
        """
        self.touch()
        self._candidates += len(candidates)
        if self._candidates > MAX_CANDIDATES:
            raise Refusal(400, f"candidates: more than {MAX_CANDIDATES} for one connection.")
        for candidate in candidates:
            await self.pc.addIceCandidate(candidate)

    async def disconnect(self) -> None:
        """Close the connection from this side, for good."""
        self.dismiss()
        await super().disconnect()  # type: ignore[no-untyped-call]

    def dismiss(self) -> None:
        """Give the peer up: it is gone for the bot as soon as `watch` has seen this."""
        self.dismissed = True
        self._changed.set()

    def is_connected(self) -> bool:
        """Whether the bot may send; true too while a page is being loaded anew.

        A page that stands still sends no pings and hears all the same; `watch` knows when it is
        gone.
        """
        absent = bool(self._absence and not self._present.is_set())
        return absent or (self._connect_invoked and self.pc.connectionState == "connected")

    async def replaceable(self) -> bool:
        """Whether the peer has left, or has not been heard for HEARD_S."""
        if self._restarting:
            return False
        if self.gone or self.dismissed or self._has_left():
            return True
        await self._look_for_packets()
        return time.monotonic() - self._heard_at > HEARD_S

    def touch(self) -> None:
        """Note that the peer was heard just now."""
        self._heard_at = time.monotonic()

    def _has_left(self) -> bool:
        if self._restarting:
            return False
        # The peer's goodbye closes the DTLS transport first, the connection a little later.
        transports = [each.receiver.transport for each in self.pc.getTransceivers()]
        return self.pc.connectionState in ("closed", "failed") or any(
            transport.state == "closed" for transport in transports
        )

    async def _look_for_packets(self) -> None:
        stats = (await self.pc.getStats()).values()
        packets = sum(each.packetsReceived for each in stats if each.type == "transport")
        if packets != self._packets:
            self._packets = packets
            self.touch()

    async def watch(self) -> bool:
        """Wait until the peer has gone for good, then tell the bot.

        Returns:
            Whether the peer had been connected at all.
        """
        while (wait_s := self._remaining_s()) > 0:
            if self._left_at is not None:
                self._pause()
            elif self.pc.connectionState == "connected":
                await self._look_for_packets()
                if overruns(self.pc):
                    self._put_out("it sends more than the window of its data channels")
            try:
                async with asyncio.timeout(min(wait_s, POLL_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()
        self.gone = True
        self._present.set()
        logger.info("The peer is gone" if self._was_connected else "The peer never connected")
        await self._call_event_handler("peer-gone")
        return self._was_connected

    def _remaining_s(self) -> float:
        """How long from now the peer counts as present if it stays as it is."""
        now = time.monotonic()
        if self.dismissed:
            return 0.0
        if self._has_left():
            self._left_at = self._left_at or now
            return self._left_at + RELOAD_GRACE_S - now
        if self._restarting or self.pc.connectionState == "connected":
            return POLL_S
        return self._offered_at + CONNECT_TIMEOUT_S - now

    async def _on_connected(self, _: SmallWebRTCConnection) -> None:
        self._present.set()

    def audio_input_track(self) -> SmallWebRTCTrack | None:
        """The peer's microphone; None if it sends none."""
        if not self._receives(AUDIO_TRANSCEIVER_INDEX):
            return None
        track: SmallWebRTCTrack | None = super().audio_input_track()  # type: ignore[no-untyped-call]
        return track

    def video_input_track(self) -> SmallWebRTCTrack | None:
        """The peer's camera; None if it sends none."""
        if not self._receives(VIDEO_TRANSCEIVER_INDEX):
            return None
        track: SmallWebRTCTrack | None = super().video_input_track()  # type: ignore[no-untyped-call]
        return track

    def screen_video_input_track(self) -> SmallWebRTCTrack | None:
        """The peer's screen; None if it sends none."""
        if not self._receives(SCREEN_VIDEO_TRANSCEIVER_INDEX):
            return None
        track: SmallWebRTCTrack | None = super().screen_video_input_track()  # type: ignore[no-untyped-call]
        return track

    def _receives(self, index: int) -> bool:
        # The base class wraps a receiver without a track too, and the bot's ear fails on it.
        transceivers = self.pc.getTransceivers()
        return index < len(transceivers) and transceivers[index].receiver.track is not None

    def replace_audio_track(self, track: MediaStreamTrack) -> None:
        """Send this sound from now on."""
        self._tracks["audio"] = track
        super().replace_audio_track(track)  # type: ignore[no-untyped-call]

    def replace_video_track(self, track: MediaStreamTrack) -> None:
        """Send these pictures from now on."""
        self._tracks["video"] = track
        super().replace_video_track(track)  # type: ignore[no-untyped-call]

    def _pause(self) -> None:
        """Start playing to nobody."""
        if self._absence and not self._present.is_set():
            return
        self._present.clear()
        self._absence = [task for task in self._absence if not task.done()]
        self._absence += [
            asyncio.create_task(self._play_to_nobody(track)) for track in self._tracks.values()
        ]

    async def _play_to_nobody(self, track: MediaStreamTrack) -> None:
        """Take what the track has, at its pace, until others take its place, and a bit longer.

        The output waits for its last chunk of sound to be taken before it goes on.
        """
        playing = asyncio.create_task(_play(track))
        try:
            await self._present.wait()
            await asyncio.wait({playing}, timeout=HANDOVER_S)
        finally:
            playing.cancel()
            await asyncio.wait({playing})

    async def send_error(self, message: str) -> None:
        """Tell the peer's page of an error that ended the session, if it listens.

        Waits until the message has been sent: the page may still be connecting.
        """
        if self.pc.sctp is None or self.dismissed or self._has_left():
            return
        error = rtvi.Error(data=rtvi.ErrorData(error=message, fatal=True))
        # Kept by the base class until the channel is open.
        self.send_app_message(error.model_dump())
        try:
            async with asyncio.timeout(self._offered_at + CONNECT_TIMEOUT_S - time.monotonic()):
                await self._channel_open.wait()
        except TimeoutError:
            return
        await asyncio.sleep(LAST_WORDS_S)

    async def close(self) -> None:
        """Close the connection and end all that belongs to it."""
        await self.disconnect()
        for task in self._absence:
            task.cancel()
        if self._absence:
            await asyncio.wait(self._absence)


async def _play(track: MediaStreamTrack) -> None:
    while True:
        try:
            await track.recv()
        except (MediaStreamError, ValueError):
            # Ended, or handed a picture of the wrong size.
            return


def overruns(pc: RTCPeerConnection) -> bool:
    """Whether a peer has sent more unfinished messages than it was given room for.

    aiortc counts that room and keeps what does not fit all the same.
    """
    return pc.sctp is not None and pc.sctp._advertised_rwnd < 0


async def rehearse(sdp: str) -> None:
    """Apply an offer to a connection made for that alone.

    Raises:
        Exception: whatever aiortc says against the offer.
    """
    scratch = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await scratch.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    finally:
        await scratch.close()
