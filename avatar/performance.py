"""A live face: what the mouth says, how it comes to rest, and the life around it."""

import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH, Pose
from avatar.life import Life

_REST_TIME_S = 0.035
"""Time constant with which the mouth comes to rest when speech just ends."""

_CLOSING_TIME_S = 0.012
"""The same after an interruption: lips meet within two pictures."""

_STILL = 0.02
"""Below this every mouth control counts as at rest."""

_PX: dict[str, float] = {
    **dict.fromkeys(MOUTH, 30.0),
    "speak": 0.0,
    "smile": 11.0,
    "blink_left": 26.0,
    "blink_right": 26.0,
    "brow": 7.0,
    "brow_in": 5.0,
    "squint": 5.0,
    "gaze_x": 8.0,
    "gaze_y": 5.0,
    "yaw": 1.3,
    "pitch": 1.0,
    "roll": 6.0,
    "breath": 2.5,
}
"""How far a control's unit moves what it moves farthest, in pixels of a 512 pixel picture."""

_OPEN = MOUTH.index("open")


def movement(before: Pose, after: Pose) -> float:
    """Return how far the farthest-moved part of a 512 pixel picture moves between poses."""
    return max(
        (abs(float(getattr(after, name)) - float(getattr(before, name))) * px)
        for name, px in _PX.items()
    )


class Performance:
    """Composes the pose of each picture. Times move forward; one for each session."""

    def __init__(self, seed: int) -> None:
        self._life = Life(seed)
        self._mouth = np.zeros(len(MOUTH), np.float32)
        self._time_s: float | None = None
        self._closing = False
        self._energy = 0.0

    def interrupt(self, time_s: float) -> None:
        """Close the mouth quickly and give the user attention."""
        self._closing = True
        self._life.interrupt(time_s)

    def pose(self, time_s: float, mouth: NDArray[np.float32] | None) -> Pose:
        """Return the pose at a time.

        Args:
            time_s: Seconds on any clock that moves forward.
            mouth: (10,) float32 mouth controls, None where nothing is being said.
        """
        step_s = 0.0 if self._time_s is None else max(0.0, time_s - self._time_s)
        self._time_s = time_s
        speaking = mouth is not None
        if mouth is not None:
            self._closing = False
            self._mouth = mouth
        else:
            slow = _CLOSING_TIME_S if self._closing else _REST_TIME_S
            self._mouth = self._mouth * np.float32(np.exp(-step_s / slow))
            if self._mouth.max() < _STILL:
                self._mouth = np.zeros(len(MOUTH), np.float32)
        loudness = float(self._mouth[_OPEN]) if speaking else 0.0
        self._energy += (loudness - self._energy) * (1.0 - float(np.exp(-step_s / 0.15)))
        face = self._life.face(time_s, speaking, self._energy)
        return Pose(**dict(zip(MOUTH, self._mouth.tolist(), strict=True)), **face._asdict())
