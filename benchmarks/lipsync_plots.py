"""The lip-sync benchmark's figures as pictures: bars of the systems, curves over look-ahead.

On opaque white, so that they are read on a light page and on a dark one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.bootstrap import Interval
from benchmarks.lipsync_systems import Measured
from benchmarks.plot import COLOURS, FONT, GRID, INK, PAPER

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

FIGURES = {"coarse": "coarse", "r_open": "open", "f1": "F1"}
"""What is drawn of Measured, and what it is called."""

WIDTH = 1000
LEFT, RIGHT, TOP, BOTTOM = 230, 40, 64, 40
BAR, BETWEEN = 15, 18
CURVES_HEIGHT = 420
SCALE, SMALL = 0.55, 0.45
TENTHS = 11


@dataclass(frozen=True)
class Curve:
    """One line of the plot over look-ahead.

    Attributes:
        name: of system and figure.
        figure: which one; it has the colour.
        solid: or broken.
        points: (n, 2) look-ahead in ms, rising, and value.
    """

    name: str
    figure: str
    solid: bool
    points: npt.NDArray[np.float64]


def draw_bars(path: Path, systems: Mapping[str, Measured], title: str) -> None:
    """Write coarse, open and F1 of each system, with their 95 % intervals, as a PNG.

    Raises:
        OSError: the file could not be written.
    """
    group = BAR * len(FIGURES) + BETWEEN
    picture = _paper(TOP + group * len(systems) + BOTTOM)
    _frame(picture, title, [(name, COLOURS[i], True) for i, name in enumerate(FIGURES.values())])
    bottom = len(picture) - BOTTOM
    for tenth in range(TENTHS):
        x = _across(tenth / 10)
        cv2.line(picture, (x, TOP), (x, bottom), GRID, 1)
        _text(picture, f"{tenth / 10:.1f}", (x - 10, bottom + 20), INK, SMALL)
    for row, (name, measured) in enumerate(systems.items()):
        y = TOP + row * group + BETWEEN // 2
        _text(picture, name, (12, y + group // 2), INK, SMALL)
        for i, figure in enumerate(FIGURES):
            value = measured.figure(figure)
            bar = y + i * BAR
            end = (_across(max(0.0, value)), bar + BAR - 3)
            cv2.rectangle(picture, (LEFT, bar), end, COLOURS[i], -1)
            spread = measured.intervals.get(figure, Interval(value, value))
            _whisker(picture, spread, bar + (BAR - 3) // 2)
            high = _across(max(value, spread.high))
            _text(picture, f"{value:.2f}", (high + 6, bar + BAR - 4), INK, 0.38)
    _write(path, picture)


def draw_curves(path: Path, curves: Sequence[Curve], title: str) -> None:
    """Write figures over look-ahead as a PNG.

    Raises:
        OSError: the file could not be written.
    """
    picture = _paper(TOP + CURVES_HEIGHT + BOTTOM)
    key = [(curve.name, _colour(curve.figure), curve.solid) for curve in curves]
    points = np.concatenate([curve.points for curve in curves])
    low = min(0.9, max(0.0, float(np.floor(10 * points[:, 1].min()) / 10)))
    first, last = float(points[:, 0].min()), max(float(points[:, 0].max()), 1.0)
    left, right, bottom = 60, WIDTH - LEFT - 20, TOP + CURVES_HEIGHT

    def place(at_ms: float, value: float) -> tuple[int, int]:
        x = left + (right - left) * (at_ms - first) / max(1.0, last - first)
        return round(x), round(bottom - CURVES_HEIGHT * max(0.0, value - low) / (1.0 - low))

    for tenth in range(round(10 * low), TENTHS):
        _, y = place(first, tenth / 10)
        cv2.line(picture, (left, y), (right, y), GRID, 1)
        _text(picture, f"{tenth / 10:.1f}", (20, y + 5), INK, SMALL)
    for at_ms in np.unique(points[:, 0]):
        x, _ = place(at_ms, low)
        cv2.line(picture, (x, bottom), (x, bottom + 4), INK, 1)
        _text(picture, f"{at_ms:.0f}", (x - 12, bottom + 20), INK, SMALL)
    _text(picture, "look-ahead, ms", (left, bottom + 36), INK, SMALL)
    for curve in curves:
        colour = _colour(curve.figure)
        placed = [place(at_ms, value) for at_ms, value in curve.points]
        for a, b in pairwise(placed):
            _line(picture, a, b, colour, curve.solid)
        for point in placed:
            cv2.circle(picture, point, 4, colour, -1 if curve.solid else 1, cv2.LINE_AA)
    _text(picture, title, (12, 26), INK, SCALE)
    for row, (name, colour, solid) in enumerate(key):
        y = TOP + 14 + 24 * row
        _line(picture, (right + 16, y - 4), (right + 46, y - 4), colour, solid)
        _text(picture, name, (right + 54, y), INK, SMALL)
    _write(path, picture)


def _colour(figure: str) -> Colour:
    return COLOURS[list(FIGURES).index(figure)]


def _paper(height: int) -> Picture:
    return np.full((height, WIDTH, 3), PAPER, np.uint8)


def _across(value: float) -> int:
    return LEFT + round((WIDTH - LEFT - RIGHT) * min(max(value, 0.0), 1.0))


def _frame(picture: Picture, title: str, key: list[tuple[str, Colour, bool]]) -> None:
    """The title, and a line under it that explains the colours."""
    _text(picture, title, (12, 26), INK, SCALE)
    x = LEFT
    for name, colour, _ in key:
        cv2.rectangle(picture, (x, 40), (x + 14, 52), colour, -1)
        _text(picture, name, (x + 20, 51), INK, SMALL)
        x += 40 + cv2.getTextSize(name, FONT, SMALL, 1)[0][0]


def _whisker(picture: Picture, found: Interval, y: int) -> None:
    low, high = _across(found.low), _across(found.high)
    cv2.line(picture, (low, y), (high, y), INK, 1)
    for x in (low, high):
        cv2.line(picture, (x, y - 3), (x, y + 3), INK, 1)


def _line(
    picture: Picture, a: tuple[int, int], b: tuple[int, int], colour: Colour, solid: bool
) -> None:
    """A line two pixels wide, solid or in dashes of 6 pixels."""
    if solid:
        cv2.line(picture, a, b, colour, 2, cv2.LINE_AA)
        return
    start, way = np.array(a, float), np.array(b, float) - np.array(a, float)
    dashes = max(1, int(np.hypot(*way) / 12))
    for k in range(dashes):
        ends = (start + way * k / dashes, start + way * (k + 0.5) / dashes)
        first, second = ((round(float(end[0])), round(float(end[1]))) for end in ends)
        cv2.line(picture, first, second, colour, 2, cv2.LINE_AA)


def _text(picture: Picture, text: str, at: tuple[int, int], colour: Colour, scale: float) -> None:
    cv2.putText(picture, text, at, FONT, scale, colour, 1, cv2.LINE_AA)


def _write(path: Path, picture: Picture) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"could not write {path}")
