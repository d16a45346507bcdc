"""What the picture gives up, step by step, where there is too little time; the sound never does."""

from collections import deque
from dataclasses import dataclass

_WINDOW_S = 2.0
"""The last seconds, by which it is judged whether there is enough time."""

_SETTLING_S = 5.0
"""How long a session may take to get going before it is judged."""

_SHARE_DOWN, _SHARE_UP = 0.2, 0.12
"""Shares of pictures that are late above which a step is given up, and below which one returns."""

_CALM_S, _MAX_CALM_S = 8.0, 32.0
"""How long it must be calm before a step returns; doubled each time that this proved too soon."""

_TOO_SOON_S = 15.0
"""A step that has to be given up again within this time had returned too soon."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How the picture is made.

    Attributes:
        name: For the log and `/status`.
        rate_divisor: Of the pictures per second.
        size_divisor: Of the picture's width and height.
        model: Whether the lips follow the lip-sync model; else the loudness.
    """

    name: str
    rate_divisor: int
    size_divisor: int
    model: bool


STAGES = (
    Stage("full", 1, 1, True),
    Stage("half rate", 2, 1, True),
    Stage("half size", 2, 2, True),
    Stage("simple lips", 3, 2, False),
)


class Overload:
    """Chooses the stage from how many pictures are late."""

    def __init__(self) -> None:
        """Begin with everything."""
        self.level = 0
        self._notes: deque[tuple[float, bool]] = deque()
        self._judged_from_s: float | None = None
        self._returned_s = float("-inf")
        self._calm_since_s: float | None = None
        self._patience_s = _CALM_S

    @property
    def stage(self) -> Stage:
        """The stage to draw at."""
        return STAGES[self.level]

    def note(self, now_s: float, late: bool) -> bool:
        """Take in one picture's fate.

        Args:
            now_s: Seconds on a clock that moves forward.
            late: Whether it, or the sound beside it, did not come in time.

        Returns:
            Whether the stage has changed.
        """
        if self._judged_from_s is None:
            self._judged_from_s = now_s + _SETTLING_S + _WINDOW_S
        if now_s < self._judged_from_s - _WINDOW_S:
            return False
        self._notes.append((now_s, late))
        while self._notes[0][0] < now_s - _WINDOW_S:
            self._notes.popleft()
        share = sum(late for _, late in self._notes) / len(self._notes)
        if share > _SHARE_UP:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        if now_s < self._judged_from_s:
            return False
        if share > _SHARE_DOWN and self.level + 1 < len(STAGES):
            too_soon = now_s - self._returned_s < _TOO_SOON_S
            self._patience_s = min(self._patience_s * 2, _MAX_CALM_S) if too_soon else _CALM_S
            return self._change(now_s, +1)
        calm_since_s = self._calm_since_s or now_s
        if self.level and now_s - calm_since_s > self._patience_s:
            self._returned_s = now_s
            return self._change(now_s, -1)
        return False

    def _change(self, now_s: float, step: int) -> bool:
        self.level += step
        self._judged_from_s, self._calm_since_s = now_s + _WINDOW_S, None
        self._notes.clear()
        return True
