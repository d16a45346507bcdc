"""A WebRTC video track of our own: pictures stamped with their time, the newest only."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import VideoStreamTrack
from aiortc.mediastreams import VIDEO_CLOCK_RATE, VIDEO_TIME_BASE, MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from avatar.departures import Departures

_WAITING = 2
"""Pictures kept for an encoder that is late; older ones are dropped, so delay cannot grow."""


class PictureTrack(VideoStreamTrack):
    """Takes I420 pictures with the time at which each is due.

    Pipecat's own track stamps pictures 1/30 s apart whatever their time, keeps every one that
    the encoder has not come to, and converts them from RGB one by one.
    """

    def __init__(
        self,
        start_s: float,
        clock: Callable[[], float] = time.monotonic,
        departures: Departures | None = None,
    ) -> None:
        """Begin.

        Args:
            start_s: The time that gets timestamp zero, on the clock.
            clock: Seconds that only move forward.
            departures: Is told when pictures leave.
        """
        super().__init__()
        self._departures = departures or Departures()
        self._clock = clock
        self._start_s = start_s
        self._pictures: deque[tuple[NDArray[np.uint8], float]] = deque(maxlen=_WAITING)
        self._arrived = asyncio.Event()
        self._last_pts = -1
        self.dropped = 0
        """Pictures that came and were never encoded."""
        self.late_s = 0.0
        """How late the last picture was when its encoding began."""

    def put(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Offer a picture; the track keeps the array.

        Args:
            picture: (height * 3 / 2, width) uint8, I420.
            time_s: When it is due, on the clock.
        """
        self.dropped += len(self._pictures) == _WAITING
        self._pictures.append((picture, time_s))
        self._arrived.set()

    def stop(self) -> None:
        """End the track; whoever waits in `recv()` is told."""
        super().stop()
        self._arrived.set()

    async def recv(self) -> VideoFrame:
        """Return the next picture, waiting for it.

        Raises:
            MediaStreamError: The track has ended.
        """
        while not self._pictures:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        picture, time_s = self._pictures.popleft()
        left_s = self._clock()
        self.late_s = max(0.0, left_s - time_s)
        self._departures.picture(time_s, left_s)
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        pts = max(round((time_s - self._start_s) * VIDEO_CLOCK_RATE), self._last_pts + 1)
        self._last_pts = frame.pts = pts
        frame.time_base = Fraction(VIDEO_TIME_BASE)
        return frame
