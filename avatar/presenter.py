"""Shows the pictures: the mouth of each cue when its sound is heard, life at 30 fps always."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

from avatar.avatar import Avatar
from avatar.controls import Pose
from avatar.frames import AvatarCueFrame
from avatar.illustrated import IllustratedFace
from avatar.performance import Performance, movement
from avatar.playback import Playback
from avatar.timeline import MouthTimeline
from avatar.webrtc_track import PictureTrack

TRANSPORT_DELAY_MS = {
    # Packets of 20 ms, the encoder and the queue in front of it; benchmarks/av_sync.py.
    "SmallWebRTCOutputTransport": 20.0,
    # Not measured: their servers are out of reach of the benchmark.
    "DailyOutputTransport": 0.0,
    "LiveKitOutputTransport": 0.0,
}
"""How much later the sound right behind a cue is heard than a picture written with the cue."""

_DRAWING_S = 0.008
"""Drawing begins this long before a picture is due: how long it takes then does not show."""

_STILL_PX = 0.3
"""What moves by less than this since the last picture, in 512ths of its size, is not drawn."""

_CATCH_UP_S = 0.5
"""After a longer standstill the clock of the pictures starts anew."""


@dataclass(slots=True)
class PictureCounters:
    """What happened to the pictures of a session.

    Attributes:
        drawn: Drawn and handed on.
        still: Handed on again, for nothing had moved visibly.
        skipped: Not drawn, for time was lost.
        repeated: Not drawn, the last one handed on again.
        dropped: Drawn, and not encoded in time.
        failed: Could not be drawn or handed on.
        restarts: Times the clock of the pictures began anew after a standstill.
    """

    drawn: int = 0
    still: int = 0
    skipped: int = 0
    repeated: int = 0
    dropped: int = 0
    failed: int = 0
    restarts: int = 0


class AvatarPresenter(FrameProcessor):
    """Draws just in time, at a constant rate, and hands each picture to the transport.

    Made by AvatarProcessor; put it just after `transport.output()`. It swallows the cues.
    """

    def __init__(
        self,
        avatar: Avatar,
        output: BaseOutputTransport,
        playback: Playback,
        thread: ThreadPoolExecutor,
        clock: Callable[[], float] = time.monotonic,
        **kwargs: Any,
    ) -> None:
        """Prepare one session; see AvatarProcessor."""
        super().__init__(**kwargs)
        self.counters = PictureCounters()
        self._output = output
        self._playback = playback
        self._thread = thread
        self._clock = clock
        self._fps = avatar.config.fps
        self._size = (avatar.config.size, avatar.config.size)
        self._avatar = avatar
        self._face: IllustratedFace | None = None
        self._timeline = MouthTimeline()
        self._performance = Performance(avatar.config.seed)
        self._delay_s = next(
            (
                TRANSPORT_DELAY_MS[kind.__name__] / 1000
                for kind in type(output).__mro__
                if kind.__name__ in TRANSPORT_DELAY_MS
            ),
            0.0,
        )
        self._picture: NDArray[np.uint8] | None = None
        self._pose: Pose | None = None
        self._track: PictureTrack | None = None
        self._written = 0
        self._ticker: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Schedule cues; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, AvatarCueFrame):
            self._schedule(frame)
            return
        if isinstance(frame, InterruptionFrame):
            self._timeline.interrupt()
            self._performance.interrupt(self._clock())
        await self.push_frame(frame, direction)
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._stop()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to draw: the first picture is there when the peer is, whatever else is slow."""
        await super().setup(setup)
        self._ticker = self.create_task(self._tick())

    async def cleanup(self) -> None:
        """Stop drawing."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._stop()

    async def _stop(self) -> None:
        if self._ticker:
            await self.cancel_task(self._ticker)
            self._ticker = None

    def _schedule(self, cue: AvatarCueFrame) -> None:
        """Note when the sound behind a cue is heard."""
        if self._playback.dropped(cue.number, cue.interruptible):
            return
        self._playback.play(cue.number)
        # The transport sends whole chunks: what did not fill one still lies before this sound.
        chunk_samples = max(1, self._output.audio_chunk_size // 2)
        unsent_s = cue.start % chunk_samples / cue.rate_hz
        self._timeline.add(
            self._clock() + unsent_s + self._delay_s,
            cue.samples / cue.rate_hz,
            cue.curve,
            cue.interruptible,
        )

    async def _tick(self) -> None:
        """Write a picture every 1/fps s.

        Where time was lost the transport gets the last picture again for every tick: it stamps
        pictures 1/30 s apart, and one left out would shift all that follow. Our own track does
        not care.
        """
        start_s, tick = self._clock() + _DRAWING_S, 0
        while True:
            due_s = start_s + tick / self._fps
            await self._until(due_s - _DRAWING_S)
            late_s = self._clock() - due_s
            if late_s > _CATCH_UP_S:
                self.counters.restarts += 1
                start_s, tick = self._clock() + _DRAWING_S, 0
                continue
            if self._track and late_s > 1 / self._fps:
                skipped = int(late_s * self._fps)
                self.counters.skipped += skipped
                tick += skipped
                continue
            try:
                await self._show(due_s, repeat=late_s > 1 / self._fps)
            # Whatever the picture's fault is, the sound goes on.
            except Exception as error:
                self.counters.failed += 1
                if self.counters.failed == 1:
                    logger.opt(exception=error).error(f"{self}: a picture failed: {error}")
            tick += 1

    async def _show(self, due_s: float, repeat: bool) -> None:
        """Draw a picture and write it when it is due; where that fails, write the last one."""
        try:
            if repeat and self._picture is not None:
                self.counters.repeated += 1
            else:
                mouth = self._timeline.mouth(due_s, due_s + 1 / self._fps)
                pose = self._performance.pose(due_s, mouth)
                if self._pose is None or movement(self._pose, pose) > _STILL_PX:
                    self._picture = await self.get_event_loop().run_in_executor(
                        self._thread, self._picture_of, pose
                    )
                    self._pose = pose
                    self.counters.drawn += 1
                else:
                    self.counters.still += 1
        finally:
            if self._picture is not None:
                await self._until(due_s)
                await self._write(self._picture, due_s)

    async def _write(self, picture: NDArray[np.uint8], due_s: float) -> None:
        """Hand a picture to the track of our own, or else to the transport."""
        if self._track:
            i420 = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
            self._track.put(i420, due_s)
            self.counters.dropped = self._track.dropped
            return
        if await self._write_rgb(picture):
            self._written += 1

    async def _write_rgb(self, picture: NDArray[np.uint8]) -> bool:
        """Hand a picture to the transport; return whether it took it."""
        frame = OutputImageRawFrame(picture.tobytes(), self._size, "RGB")
        return await self._output.write_video_frame(frame)

    async def use_own_track(self, connection: SmallWebRTCConnection) -> None:
        """Send pictures over a track of our own from now on; call it whenever a peer connects.

        Cheaper than the transport's track, and late pictures are dropped instead of queued.

        Args:
            connection: The connection that SmallWebRTCTransport serves.
        """
        # The new timestamps go on where those of the transport's track have got to.
        start_s = self._clock() - self._written / self._fps
        self._track, self._written = PictureTrack(start_s), 0
        connection.replace_video_track(self._track)
        if self._picture is not None:
            # The sender still waits for a picture of the track that it had.
            await self._write_rgb(self._picture)

    async def _until(self, time_s: float) -> None:
        wait_s = time_s - self._clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _picture_of(self, pose: Pose) -> NDArray[np.uint8]:
        # Made here, on the session's thread: it takes longer than the event loop may wait.
        self._face = self._face or self._avatar.face()
        return self._face.draw(pose)
