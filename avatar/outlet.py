"""Where pictures leave, and when the sound beside them is heard: any transport of Pipecat's."""

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import OutputImageRawFrame
from pipecat.transports.base_output import BaseOutputTransport

from avatar.departures import Departures
from avatar.frames import AvatarCueFrame

TRANSPORT_DELAY_MS = {
    # benchmarks/av_sync.py --transport pipecat. AvatarWebRTCTransport has none.
    "SmallWebRTCOutputTransport": 12.0,
    # Not measured: their servers are out of reach of the benchmark.
    "DailyOutputTransport": 0.0,
    "LiveKitOutputTransport": 0.0,
}
"""How much later the sound right behind a cue is heard than a picture written with the cue."""

SETTLING_S = {"SmallWebRTCOutputTransport": 0.3}
"""How long after the first picture nothing follows: what this transport's track is given before
its connection asks for pictures would stay in its queue, a delay of all that come later."""


@runtime_checkable
class PictureOutlet(Protocol):
    """What the presenter needs to know of a transport."""

    @property
    def steady(self) -> bool:
        """Whether every picture's time must come, with the last picture if there is no new one."""

    @property
    def dropped(self) -> int:
        """Pictures that were shown and never encoded."""

    @property
    def late_s(self) -> float:
        """How late sound last left, 0 if that is not known."""

    @property
    def departures(self) -> Departures:
        """When sound and pictures really left; empty if that is not known."""

    def heard_s(self, cue: AvatarCueFrame, unsent_s: float) -> float:
        """When the sound behind a cue that has just come out is heard, on the monotonic clock.

        Args:
            cue: The cue.
            unsent_s: Length of the sound before it that the transport still holds back.
        """

    def scheduled(self, cue: AvatarCueFrame, unsent_s: float, shown_s: float) -> None:
        """Take note that the mouth of a cue is shown from shown_s on; see `heard_s()`."""

    async def show(self, picture: NDArray[np.uint8], due_s: float) -> None:
        """Send a picture.

        Args:
            picture: (height, width, 3) uint8 RGB.
            due_s: When it is due, on the monotonic clock.
        """


class TransportOutlet:
    """Any output transport, by the public `write_video_frame`.

    Some of these stamp pictures 1/30 s apart whatever their time, so that each must come, and
    all take only pictures of the size in their parameters.
    """

    steady = True
    dropped = 0
    late_s = 0.0

    def __init__(
        self,
        output: BaseOutputTransport,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            output: The transport's output.
            size: Width and height of the pictures that it takes.
            clock: Seconds that only move forward.
        """
        self._output = output
        self._size = size
        self._clock = clock
        self.departures = Departures()
        kinds = [kind.__name__ for kind in type(output).__mro__]
        delays = [TRANSPORT_DELAY_MS[kind] for kind in kinds if kind in TRANSPORT_DELAY_MS]
        self._delay_s = delays[0] / 1000 if delays else 0.0
        self._settling_s = max((SETTLING_S.get(kind, 0.0) for kind in kinds), default=0.0)
        self._settled_s: float | None = None

    def heard_s(self, cue: AvatarCueFrame, unsent_s: float) -> float:
        """Return when sound behind a cue is heard; see PictureOutlet."""
        return self._clock() + unsent_s + self._delay_s

    def scheduled(self, cue: AvatarCueFrame, unsent_s: float, shown_s: float) -> None:
        """Do nothing: when the sound really leaves is not known."""

    async def show(self, picture: NDArray[np.uint8], due_s: float) -> None:
        """Send a picture; see PictureOutlet."""
        if self._settled_s is not None and self._clock() < self._settled_s:
            return
        size = (self._size, self._size)
        if picture.shape[:2] != size:
            picture = np.asarray(cv2.resize(picture, size), np.uint8)
        frame = OutputImageRawFrame(picture.tobytes(), size, "RGB")
        if await self._output.write_video_frame(frame) and self._settled_s is None:
            self._settled_s = self._clock() + self._settling_s
