"""When each piece of mouth movement is seen: the schedule between the sound and the pictures."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.mouth_curve import picture_mouth

_SMOOTH_BELOW_S = 0.020
"""A cue this close to where the one before it ends follows it without a gap or an overlap."""

_PULL = 0.1
"""How much of such a difference is taken over, so that a jitter fades and a drift does not add."""

_CAPACITY = 64
"""Cues kept: two seconds at 30 fps; the oldest go first."""


@dataclass(slots=True)
class _Cue:
    start_s: float
    end_s: float
    curve: NDArray[np.float32]
    interruptible: bool


class MouthTimeline:
    """Mouth movement by the clock on which pictures are shown."""

    def __init__(self) -> None:
        self._cues: deque[_Cue] = deque(maxlen=_CAPACITY)

    def add(
        self,
        start_s: float,
        duration_s: float,
        curve: NDArray[np.float32],
        interruptible: bool = True,
    ) -> float:
        """Schedule the mouth of a piece of speech; return from when on it is shown.

        Args:
            start_s: When its first sample is heard, on the clock of `mouth()`.
            duration_s: Length of the piece.
            curve: (steps, 10) float32, evenly spread over the piece.
            interruptible: Whether an interruption drops it.
        """
        if self._cues:
            last = self._cues[-1]
            gap_s = start_s - last.end_s
            if abs(gap_s) < _SMOOTH_BELOW_S:
                start_s = last.end_s + _PULL * gap_s
                last.end_s = start_s
        self._cues.append(_Cue(start_s, start_s + duration_s, curve, interruptible))
        return start_s

    def interrupt(self) -> None:
        """Drop what may be interrupted."""
        self._cues = deque((c for c in self._cues if not c.interruptible), maxlen=_CAPACITY)

    def mouth(self, from_s: float, to_s: float) -> NDArray[np.float32] | None:
        """Return the (10,) mouth of a picture shown from one time to another, None without speech.

        Times move forward: what ends before from_s is forgotten.
        """
        while self._cues and self._cues[0].end_s <= from_s:
            self._cues.popleft()
        steps = []
        for cue in self._cues:
            if cue.start_s >= to_s:
                break
            count = len(cue.curve)
            place = (np.array((from_s, to_s)) - cue.start_s) / (cue.end_s - cue.start_s) * count
            first, last = np.clip(np.round(place).astype(int), 0, count)
            steps.append(cue.curve[first:last])
        seen = np.concatenate(steps) if steps else np.zeros((0, 10), np.float32)
        return picture_mouth(seen) if len(seen) else None
