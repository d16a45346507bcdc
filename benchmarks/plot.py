"""Draws series over time into a PNG, one panel above the other."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

WIDTH, PANEL_HEIGHT = 1000, 220
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 28
INK, GRID, PAPER = (60, 60, 60), (225, 225, 225), (255, 255, 255)
COLOURS = ((180, 110, 30), (40, 120, 220), (80, 150, 60), (150, 60, 150))
"""Blue, green, red, for OpenCV."""
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
STEPS = 4


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: with the unit.
        series: name -> (times in minutes, values), each (n,); NaN is left out.
    """

    title: str
    series: dict[str, tuple[np.ndarray, np.ndarray]]


def draw_plot(path: Path, panels: list[Panel]) -> None:
    """Write the panels as one PNG over a common time in minutes.

    Raises:
        OSError: the file could not be written.
    """
    times = [t for panel in panels for t, _ in panel.series.values() if len(t)]
    end = max((float(t.max()) for t in times), default=1.0)
    pictures = [_panel(panel, max(end, 1e-6)) for panel in panels]
    if not cv2.imwrite(str(path), np.concatenate(pictures)):
        raise OSError(f"could not write {path}")


def _panel(panel: Panel, end: float) -> np.ndarray:
    """(PANEL_HEIGHT, WIDTH, 3) uint8 BGR."""
    picture = np.full((PANEL_HEIGHT, WIDTH, 3), PAPER, np.uint8)
    values = [v[np.isfinite(v)] for _, v in panel.series.values()]
    low, high = _span(np.concatenate([np.zeros(0), *values]))
    height, width = PANEL_HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    for step in range(STEPS + 1):
        value, y = low + (high - low) * step / STEPS, TOP + height - height * step // STEPS
        cv2.line(picture, (LEFT, y), (WIDTH - RIGHT, y), GRID, 1)
        _text(picture, f"{value:.4g}", (6, y + 4), INK)
        minute = end * step / STEPS
        label = f"{minute:.3g} min"
        _text(picture, label, (LEFT + width * step // STEPS - 6 * step * 2, PANEL_HEIGHT - 8), INK)
    _text(picture, panel.title, (LEFT, 20), INK)
    x = WIDTH - RIGHT
    for colour, (name, (minutes, series)) in zip(COLOURS, panel.series.items(), strict=False):
        kept = np.isfinite(series)
        columns = LEFT + minutes[kept] / end * width
        rows = TOP + height * (1 - (series[kept] - low) / (high - low))
        points = np.stack([columns, rows], axis=1).round().astype(np.int32)
        cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, colour, 1, cv2.LINE_AA)
        x -= cv2.getTextSize(name, FONT, FONT_SCALE, 1)[0][0] + 16
        _text(picture, name, (x, 20), colour)
    return picture


def _span(values: np.ndarray) -> tuple[float, float]:
    """Where an axis begins and ends: the values with some room, and never nothing."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = max(0.05 * (high - low), 0.5)
    return low - room, high + room


def _text(picture: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, ...]) -> None:
    cv2.putText(picture, text, at, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
