"""Shows the pictures: the mouth of each cue when its sound is heard, life at 30 fps always."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.transports.base_output import BaseOutputTransport

from avatar.avatar import Avatar
from avatar.controls import Pose
from avatar.departures import Departures
from avatar.figures import AvatarFigures
from avatar.frames import AvatarCueFrame
from avatar.illustrated import MIN_SIZE, IllustratedFace
from avatar.metrics import frames_of
from avatar.outlet import PictureOutlet, TransportOutlet
from avatar.overload import STAGES, Overload, Stage
from avatar.performance import Performance, movement
from avatar.playback import Playback
from avatar.timeline import MouthTimeline
from avatar.wiring import Wiring

_DRAWING_S = 0.008
"""Drawing begins this long before a picture is due: how long it takes then does not show."""

_STILL_PX = 0.3
"""What moves by less than this since the last picture, in 512ths of its size, is not drawn."""

_CATCH_UP_S = 0.5
"""After a longer standstill the clock of the pictures starts anew."""

_LATE_S = 0.03
"""A picture that comes later than this, or sound that does, tells of too little time."""

_REPORT_EVERY_S = 5.0
"""How often the figures go out as metrics, if something has changed."""

_LATELY_S = 5.0
"""Over this time pictures drawn a second are counted."""


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
        late: Handed on more than 30 ms late.
        restarts: Times the clock of the pictures began anew after a standstill.
    """

    drawn: int = 0
    still: int = 0
    skipped: int = 0
    repeated: int = 0
    dropped: int = 0
    failed: int = 0
    late: int = 0
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
        self.overload = Overload()
        self.wiring: Wiring | None = None
        self._playback = playback
        self._thread = thread
        self._clock = clock
        self._fps = avatar.config.fps
        self._avatar = avatar
        self._output = output
        self._outlet: PictureOutlet = (
            output
            if isinstance(output, PictureOutlet)
            else TransportOutlet(output, avatar.config.size, clock)
        )
        self._faces: dict[int, IllustratedFace] = {}
        self._timeline = MouthTimeline()
        self._performance = Performance(avatar.config.seed)
        self._picture: NDArray[np.uint8] | None = None
        self._pose: Pose | None = None
        self._ticker: asyncio.Task[None] | None = None
        self.figures: Callable[[], AvatarFigures] | None = None
        """Gives what is pushed as metrics; AvatarProcessor sets it."""
        self._drawn_s: deque[float] = deque(maxlen=int(_LATELY_S * self._fps) + 1)
        self._reporter: asyncio.Task[None] | None = None
        self._reported: AvatarFigures | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Schedule cues; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, AvatarCueFrame):
            self._schedule(frame)
            return
        if isinstance(frame, InterruptionFrame):
            self._timeline.interrupt()
            self._performance.interrupt(self._clock())
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._report()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self.wiring:
            await self.wiring.tell(self)
        if isinstance(frame, StartFrame) and self.metrics_enabled and not self._reporter:
            self._reporter = self.create_task(self._report_often())
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._stop()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to draw: the first picture is there when the peer is, whatever else is slow."""
        await super().setup(setup)
        if self.wiring:
            self.wiring.look(setup.pipeline_worker.pipeline)
        if self.wiring is None or self.wiring.shows:
            self._ticker = self.create_task(self._tick())

    async def cleanup(self) -> None:
        """Stop drawing."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._stop()

    async def _stop(self) -> None:
        if self._ticker:
            await self.cancel_task(self._ticker)
            self._ticker = None
        if self._reporter:
            await self.cancel_task(self._reporter)
            self._reporter = None

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            await self._report()

    async def _report(self) -> None:
        """Push the figures, if metrics are wanted and these are news."""
        if self.metrics_enabled and self.figures and (figures := self.figures()) != self._reported:
            self._reported = figures
            for frame in frames_of(figures, self.name):
                await self.push_frame(frame)

    @property
    def departures(self) -> Departures:
        """When sound and pictures really left; empty where the transport does not tell."""
        return self._outlet.departures

    @property
    def drawn_per_s(self) -> float:
        """Pictures drawn a second, lately."""
        since_s = self._clock() - _LATELY_S
        while self._drawn_s and self._drawn_s[0] < since_s:
            self._drawn_s.popleft()
        return len(self._drawn_s) / _LATELY_S

    def _schedule(self, cue: AvatarCueFrame) -> None:
        """Note when the sound behind a cue is heard."""
        if self._playback.dropped(cue.number, cue.interruptible):
            return
        self._playback.play(cue.number)
        # The transport sends whole chunks: what did not fill one still lies before this sound.
        chunk_samples = max(1, self._output.audio_chunk_size // 2)
        unsent_s = cue.start % chunk_samples / cue.rate_hz
        shown_s = self._timeline.add(
            self._outlet.heard_s(cue, unsent_s),
            cue.samples / cue.rate_hz,
            cue.curve,
            cue.interruptible,
        )
        self._outlet.scheduled(cue, unsent_s, shown_s)

    async def _tick(self) -> None:
        """Show a picture every 1/fps s; a steady outlet gets the last one again for lost time."""
        start_s, tick = self._clock() + _DRAWING_S, 0
        while True:
            due_s = start_s + tick / self._fps
            await self._until(due_s - _DRAWING_S)
            late_s = self._clock() - due_s
            if late_s > _CATCH_UP_S:
                self.counters.restarts += 1
                start_s, tick = self._clock() + _DRAWING_S, 0
                continue
            missed = late_s > 1 / self._fps
            if missed and not self._outlet.steady:
                skipped = int(late_s * self._fps)
                self.counters.skipped += skipped
                tick += skipped
                self._judge(late=True)
                continue
            left_out = tick % self.overload.stage.rate_divisor != 0
            tick += 1
            if left_out and not self._outlet.steady:
                continue
            try:
                await self._show(due_s, repeat=missed or left_out)
            # Whatever the picture's fault is, the sound goes on.
            except Exception as error:
                self.counters.failed += 1
                if self.counters.failed == 1:
                    logger.opt(exception=error).error(f"{self}: a picture failed: {error}")
            late_s = self._clock() - due_s
            self.counters.late += late_s > _LATE_S
            self._judge(missed or max(late_s, self._outlet.late_s) > _LATE_S)

    def _judge(self, late: bool) -> None:
        """Give up a step of the picture, or take one back."""
        before = self.overload.stage.name
        if self.overload.note(self._clock(), late):
            after = self.overload.stage.name
            logger.warning(f"{self}: the picture goes from {before!r} to {after!r}")

    async def _show(self, due_s: float, repeat: bool) -> None:
        """Draw a picture and show it when it is due; where that fails, show the last one."""
        stage = self.overload.stage
        try:
            if repeat and self._picture is not None:
                self.counters.repeated += 1
            else:
                mouth = self._timeline.mouth(due_s, due_s + stage.rate_divisor / self._fps)
                pose = self._performance.pose(due_s, mouth)
                size = self._picture_size(stage)
                resized = self._picture is None or len(self._picture) != size
                if resized or self._pose is None or movement(self._pose, pose) > _STILL_PX:
                    self._picture = await self.get_event_loop().run_in_executor(
                        self._thread, self._picture_of, pose, size
                    )
                    self._pose = pose
                    self.counters.drawn += 1
                    self._drawn_s.append(self._clock())
                else:
                    self.counters.still += 1
        finally:
            if self._picture is not None:
                await self._until(due_s)
                await self._outlet.show(self._picture, due_s)
                self.counters.dropped = self._outlet.dropped

    async def _until(self, time_s: float) -> None:
        wait_s = time_s - self._clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _picture_of(self, pose: Pose, size: int) -> NDArray[np.uint8]:
        # Made here, on the session's thread: it takes longer than the event loop may wait.
        if not self._faces:
            # All at once: later ones would be memory that grows, in the moment of least time.
            for each in {self._picture_size(stage) for stage in STAGES}:
                self._faces[each] = self._avatar.face(each)
        return self._faces[size].draw(pose)

    def _picture_size(self, stage: Stage) -> int:
        return max(MIN_SIZE, self._avatar.config.size // stage.size_divisor // 2 * 2)
