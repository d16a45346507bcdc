"""When sound and pictures really left, and how far apart what belongs together did."""

from collections import deque
from dataclasses import dataclass

_PACKETS, _PICTURES = 500, 300
"""How many of the last are kept: ten seconds of each."""

_PENDING = 64
"""Pieces of speech, and pictures, that wait for their counterpart: two seconds."""


class Recent:
    """The last values of a number."""

    def __init__(self, count: int) -> None:
        """Begin with none, and keep so many."""
        self._values: deque[float] = deque(maxlen=count)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Take in a value; the oldest goes."""
        self._values.append(value)

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self._values[-1] if self._values else None

    def quantile(self, share: float) -> float | None:
        """Return the value that this share of them does not exceed.

        Args:
            share: 0 to 1; 0.5 gives the median.
        """
        if not self._values:
            return None
        return sorted(self._values)[round(share * (len(self._values) - 1))]


@dataclass(frozen=True, slots=True)
class _Piece:
    shown_s: float
    end_s: float
    left_s: float


class Departures:
    """What a transport's own tracks tell of the times at which they gave things away.

    The offset is measured, not planned: a picture that is due at some time shows the mouth of the
    sound that belongs to that time; how much later did it leave than that sound? All times are on
    the tracks' clock, and taken where encoding begins.

    Attributes:
        sound_late_s: How late packets of sound left.
        picture_late_s: How late pictures left.
        offset_s: How much later pictures left than their sound, while there was speech.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sound_late_s = Recent(_PACKETS)
        self.picture_late_s = Recent(_PICTURES)
        self.offset_s = Recent(_PICTURES)
        self._pieces: deque[_Piece] = deque(maxlen=_PENDING)
        self._pictures: deque[tuple[float, float]] = deque(maxlen=_PENDING)

    def packet(self, late_s: float) -> None:
        """Note that a packet of sound left so much too late."""
        self.sound_late_s.add(late_s)

    def speech(self, shown_s: float, duration_s: float, left_s: float) -> None:
        """Note when a piece of speech left.

        Args:
            shown_s: The time from which pictures show its mouth.
            duration_s: For how long they do.
            left_s: When its first sample left.
        """
        self._pieces.append(_Piece(shown_s, shown_s + duration_s, left_s))
        self._compare()

    def picture(self, due_s: float, left_s: float) -> None:
        """Note that the picture that was due at due_s left at left_s."""
        self.picture_late_s.add(max(0.0, left_s - due_s))
        self._pictures.append((due_s, left_s))
        self._compare()

    def interrupt(self) -> None:
        """Forget what waits for a counterpart that will not come."""
        self._pieces.clear()
        self._pictures.clear()

    def _compare(self) -> None:
        while self._pictures and self._pieces:
            due_s, left_s = self._pictures[0]
            if due_s >= self._pieces[-1].end_s:
                return  # The speech that it shows may still leave.
            self._pictures.popleft()
            for piece in reversed(self._pieces):
                if piece.shown_s <= due_s:
                    if due_s < piece.end_s:
                        sound_left_s = piece.left_s + due_s - piece.shown_s
                        self.offset_s.add(left_s - sound_left_s)
                    break
