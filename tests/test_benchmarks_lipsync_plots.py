"""Plots of the lip-sync benchmark: bars as long as their figures, curves where they belong."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.bootstrap import Interval
from benchmarks.lipsync_plots import LEFT, RIGHT, WIDTH, Curve, draw_bars, draw_curves
from benchmarks.lipsync_systems import Measured
from benchmarks.plot import COLOURS
from training.metrics import Scores


def _measured(coarse: float) -> Measured:
    scores = Scores(coarse, 0.8, 0.7, 0.9, 0.6, 0.6, 0.7, 0.7, 0.4, 0.0)
    return Measured(scores, 0.8, 0.8, {"coarse": Interval(coarse - 0.05, coarse + 0.05)})


def test_bars_are_as_long_as_their_figures(tmp_path: Path) -> None:
    path = tmp_path / "bars.png"
    draw_bars(path, {"one": _measured(0.5), "two": _measured(0.9)}, "Title")
    picture = cv2.imread(str(path))
    blue = (picture == COLOURS[0]).all(axis=2)
    across = (WIDTH - LEFT - RIGHT) * np.array([0.5, 0.9])
    ends = {int(np.flatnonzero(row).max()) for row in blue if row.sum() > 300}
    assert any(abs(end - LEFT - across[0]) <= 2 for end in ends)
    assert any(abs(end - LEFT - across[1]) <= 2 for end in ends)


def test_curves_rise_where_figures_do(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    points = np.array([[40, 0.6], [80, 0.7], [240, 0.9]])
    curves = [Curve("a", "coarse", True, points), Curve("b", "f1", False, points - [0, 0.1])]
    draw_curves(path, curves, "Title")
    picture = cv2.imread(str(path))[:, :740]
    blue = np.argwhere((picture == COLOURS[0]).all(axis=2))
    first, last = blue[blue[:, 1].argmin()], blue[blue[:, 1].argmax()]
    assert last[0] < first[0] - 100
    assert (picture == COLOURS[2]).all(axis=2).any()


def test_a_plot_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises((OSError, cv2.error)):
        draw_bars(tmp_path / "no" / "bars.png", {"one": _measured(0.5)}, "Title")
