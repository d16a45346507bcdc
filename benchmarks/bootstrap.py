"""How far figures would move with other recordings: 95 % intervals by the bootstrap.

Each figure is a function of sums over the recordings. The recordings are drawn anew, with
putting back, a thousand times, and the figure is taken from the sums of each draw (Efron 1979).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.controls import MOUTH, VISEMES
from training.metrics import Track

Float64Array = npt.NDArray[np.float64]
Figure = Callable[[Float64Array], Float64Array]
"""Makes (draws,) figures of (draws, k) sums."""

RESAMPLES = 1000
SEED = 11
OUTSIDE = 0.05


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies in 95 of 100 draws."""

    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


def interval(
    parts: Float64Array, figure: Figure, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The 95 % interval of a figure over draws of recordings.

    Args:
        parts: (recordings, k) what each adds to the sums that the figure is made of.
        figure: (draws, k) sums to (draws,) figures.
        resamples: how many draws.
        seed: of the draws.

    Raises:
        ValueError: there are no recordings.
    """
    count = len(parts)
    if not count:
        raise ValueError("there is nothing to draw from")
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    times = np.stack([np.bincount(row, minlength=count) for row in drawn])
    low, high = np.quantile(figure(times @ parts), [OUTSIDE / 2, 1 - OUTSIDE / 2])
    return Interval(float(low), float(high))


def share(sums: Float64Array) -> Float64Array:
    """Of sums of (hits, all)."""
    return sums[:, 0] / np.maximum(1.0, sums[:, 1])


def pearson(sums: Float64Array) -> Float64Array:
    """Of sums of (n, a, b, aa, bb, ab); 0 where one of them does not move."""
    n, a, b, aa, bb, ab = sums.T
    n = np.maximum(1.0, n)
    moves = np.maximum(0.0, aa - a * a / n) * np.maximum(0.0, bb - b * b / n)
    return np.where(moves > 1e-18, (ab - a * b / n) / np.sqrt(np.maximum(moves, 1e-18)), 0.0)


def coarse_parts(track: Track, truth: Track) -> list[float]:
    """What one recording adds for share(): frames whose coarse class is right, and all."""
    return [float((track.coarse == truth.coarse).sum()), float(len(truth.coarse))]


def correlation_parts(track: Track, truth: Track, control: str) -> list[float]:
    """What one recording adds for pearson(), of the frames where the truth speaks."""
    speaks = truth.visemes != VISEMES.index("sil")
    column = MOUTH.index(control)
    a = track.mouth[speaks, column].astype(np.float64)
    b = truth.mouth[speaks, column].astype(np.float64)
    sums = (a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum())
    return [float(len(a)), *map(float, sums)]
