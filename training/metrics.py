"""How well a mouth follows speech: classes, correlations, closures, lag; all per 10 ms."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.controls import MOUTH, VISEMES
from avatar.dominance import mouth_targets, viseme_ids, without_gaps
from avatar.phones import Segment

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int16]
Event = tuple[float, float]

FRAME_S = 0.01
COARSE = ("sil", "PP", "FF", "round", "open", "other")
COARSE_VISEMES = {
    "sil": "sil",
    "PP": "PP",
    "FF": "FF",
    "O": "round",
    "U": "round",
    "aa": "open",
    "E": "open",
}
"""The coarse class of a viseme; those not named are "other"."""

THRESHOLD = 0.5
SHORTEST_CLOSURE_S = 0.02
TOLERANCE_S = 0.04
LARGEST_LAG_FRAMES = 20

_COARSE_OF = np.array(
    [COARSE.index(COARSE_VISEMES.get(viseme, "other")) for viseme in VISEMES], np.int16
)


def frame_times(seconds: float) -> npt.NDArray[np.float64]:
    """The middles of the 10 ms pieces of a sound, in seconds."""
    return (np.arange(int(seconds / FRAME_S)) + 0.5) * FRAME_S


@dataclass(frozen=True)
class Track:
    """A mouth over one sound, every 10 ms."""

    mouth: Float32Array
    """(frames, 10), columns as in MOUTH."""
    visemes: IntArray
    """(frames,) indices in VISEMES."""

    @classmethod
    def of_phones(cls, segments: list[Segment], seconds: float) -> "Track":
        """The reference: what the dominance functions make of labelled phones."""
        segments = without_gaps(segments, seconds)
        times_s = frame_times(seconds)
        return cls(mouth_targets(segments, times_s), viseme_ids(segments, times_s))

    @classmethod
    def of_rows(
        cls, mouth: Float32Array, visemes: Float32Array, row_s: float, seconds: float
    ) -> "Track":
        """Rows of a model: controls interpolated, the likeliest viseme of the nearest row."""
        times_s = frame_times(seconds)
        row_times_s = (np.arange(len(mouth)) + 0.5) * row_s
        columns = [np.interp(times_s, row_times_s, column) for column in mouth.T]
        rows = np.minimum((times_s / row_s).astype(int), len(mouth) - 1)
        return cls(
            np.stack(columns, 1).astype(np.float32),
            np.argmax(visemes[rows], 1).astype(np.int16),
        )

    def control(self, name: str) -> Float32Array:
        """(frames,) of one control."""
        return self.mouth[:, MOUTH.index(name)]

    @property
    def coarse(self) -> IntArray:
        """(frames,) indices in COARSE, from the visemes."""
        return _COARSE_OF[self.visemes]

    @property
    def coarse_by_controls(self) -> IntArray:
        """(frames,) indices in COARSE, from the controls: the first of these that is above 0.5."""
        conditions = [
            self.control("press") > THRESHOLD,
            self.control("fv") > THRESHOLD,
            self.control("speak") <= THRESHOLD,
            self.control("round") > THRESHOLD,
            self.control("open") > THRESHOLD,
        ]
        classes = [COARSE.index(name) for name in ("PP", "FF", "sil", "round", "open")]
        return np.select(conditions, classes, COARSE.index("other")).astype(np.int16)


def closures(press: Float32Array, threshold: float = THRESHOLD) -> list[Event]:
    """Start and end, seconds, of each stretch of lips together that lasts 20 ms or more."""
    closed = np.concatenate(([False], press > threshold, [False])).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(closed) == 1), np.flatnonzero(np.diff(closed) == -1)
    events = zip(starts * FRAME_S, ends * FRAME_S, strict=True)
    return [(a, b) for a, b in events if b - a >= SHORTEST_CLOSURE_S - 1e-9]


def matches(found: list[Event], true: list[Event]) -> int:
    """How many closures have their middle within 40 ms of a true one's, each used once."""
    left = [(a + b) / 2 for a, b in true]
    count = 0
    for a, b in found:
        near = [middle for middle in left if abs(middle - (a + b) / 2) <= TOLERANCE_S + 1e-9]
        if near:
            left.remove(min(near, key=lambda middle: abs(middle - (a + b) / 2)))
            count += 1
    return count


def touching(found: list[Event], true: list[Event]) -> tuple[int, int]:
    """How many true closures are touched by a found one, and how many found ones by a true one.

    Touched is what another comes within 40 ms of: a milder count than matches(), where middles
    are compared and each closure serves once.
    """

    def near(event: Event, others: list[Event]) -> bool:
        start, end = event[0] - TOLERANCE_S, event[1] + TOLERANCE_S
        return any(min(end, b) - max(start, a) > 1e-9 for a, b in others)

    return sum(near(event, found) for event in true), sum(near(event, true) for event in found)


def closure_parts(
    track: Track, truth: Track, control: str = "press", threshold: float = THRESHOLD
) -> list[float]:
    """What one recording adds to the sums for f1()."""
    found, true = closures(track.control(control), threshold), closures(truth.control(control))
    touched, touch = touching(found, true)
    return [float(touched), float(len(true)), float(touch), float(len(found))]


def f1(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(…,) of (…, 4): true ones that were found, true ones, found ones that are true, found."""
    recall = sums[..., 0] / np.maximum(1.0, sums[..., 1])
    precision = sums[..., 2] / np.maximum(1.0, sums[..., 3])
    return np.asarray(2 * recall * precision / np.maximum(1e-9, recall + precision))


@dataclass(frozen=True)
class Scores:
    """One line of the table; shares and correlations 0..1, lag in ms (positive: too late)."""

    coarse: float
    coarse_by_controls: float
    viseme: float
    r_jaw: float
    r_open: float
    r_round: float
    recall: float
    precision: float
    f1: float
    lag_ms: float


def correlation(a: Float32Array, b: Float32Array) -> float:
    """Pearson's r; 0 where one of them does not move."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 1e-9 else 0.0


def lag_frames(tracks: list[Track], references: list[Track]) -> int:
    """The shift at which jaw and lips correlate best with the reference."""

    def at(lag: int) -> float:
        late = [
            (track.mouth[max(0, lag) : len(track.mouth) + min(0, lag), :2],
             true.mouth[max(0, -lag) : len(true.mouth) - max(0, lag), :2])
            for track, true in zip(tracks, references, strict=True)
        ]  # fmt: skip
        return correlation(
            np.concatenate([a.sum(1) for a, _ in late]), np.concatenate([b.sum(1) for _, b in late])
        )

    return max(range(-LARGEST_LAG_FRAMES, LARGEST_LAG_FRAMES + 1), key=at)


def score(tracks: list[Track], references: list[Track]) -> Scores:
    """All figures over these sounds together; correlations where the reference speaks."""
    mouth = np.concatenate([track.mouth for track in tracks])
    true = np.concatenate([track.mouth for track in references])
    speaks = np.concatenate([track.visemes for track in references]) != VISEMES.index("sil")

    def r(name: str) -> float:
        column = MOUTH.index(name)
        return correlation(mouth[speaks, column], true[speaks, column])

    def share(name: str) -> float:
        equal = [
            getattr(a, name) == getattr(b, name) for a, b in zip(tracks, references, strict=True)
        ]
        return float(np.concatenate(equal).mean())

    found = [closures(track.control("press")) for track in tracks]
    wanted = [closures(track.control("press")) for track in references]
    hits = sum(matches(a, b) for a, b in zip(found, wanted, strict=True))
    recall = hits / max(1, sum(map(len, wanted)))
    precision = hits / max(1, sum(map(len, found)))
    return Scores(
        coarse=share("coarse"),
        coarse_by_controls=share("coarse_by_controls"),
        viseme=share("visemes"),
        r_jaw=r("jaw"),
        r_open=r("open"),
        r_round=r("round"),
        recall=recall,
        precision=precision,
        f1=2 * recall * precision / max(1e-9, recall + precision),
        lag_ms=1000 * FRAME_S * lag_frames(tracks, references),
    )
