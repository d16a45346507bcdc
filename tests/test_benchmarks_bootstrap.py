"""Intervals by the bootstrap: known numbers, and figures that are those of training.metrics."""

import numpy as np
import pytest

from avatar.controls import MOUTH
from benchmarks.bootstrap import (
    Interval,
    coarse_parts,
    correlation_parts,
    interval,
    pearson,
    share,
)
from training.metrics import Track, closure_parts, f1, score


def test_recordings_that_are_alike_leave_no_doubt() -> None:
    found = interval(np.array([[3.0, 4.0]] * 20), share)
    assert found == Interval(0.75, 0.75)
    assert found.half == 0.0


def test_a_hundred_coins_are_known_within_a_tenth() -> None:
    parts = np.stack([np.arange(100) % 2, np.ones(100)], axis=1)
    found = interval(parts, share)
    assert found.half == pytest.approx(1.96 * 0.05, abs=0.012)
    assert (found.low + found.high) / 2 == pytest.approx(0.5, abs=0.02)


def test_more_recordings_leave_less_doubt() -> None:
    few = np.stack([np.arange(20) % 2, np.ones(20)], axis=1)
    assert interval(np.tile(few, (16, 1)), share).half < 0.4 * interval(few, share).half


def test_the_draws_are_seeded() -> None:
    parts = np.random.default_rng(0).random((30, 2)) + np.array([0.0, 1.0])
    assert interval(parts, share) == interval(parts, share)
    assert interval(parts, share) != interval(parts, share, seed=4)


def test_nothing_to_draw_from() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        interval(np.zeros((0, 2)), share)


def test_sums_give_the_figures_of_the_metrics() -> None:
    rng = np.random.default_rng(2)

    def track(mouth: np.ndarray) -> Track:
        return Track(mouth.astype(np.float32), rng.integers(0, 15, len(mouth)).astype(np.int16))

    truths = [
        track(np.repeat(rng.random((count, len(MOUTH))), 5, axis=0)) for count in (20, 40, 30)
    ]
    tracks = [track(0.5 * truth.mouth + 0.5 * rng.random(truth.mouth.shape)) for truth in truths]
    scores = score(tracks, truths)
    pairs = list(zip(tracks, truths, strict=True))

    def summed(parts: list[list[float]]) -> np.ndarray:
        return np.array(parts).sum(axis=0, keepdims=True)

    assert share(summed([coarse_parts(*pair) for pair in pairs]))[0] == pytest.approx(scores.coarse)
    open_sums = summed([correlation_parts(*pair, "open") for pair in pairs])
    assert pearson(open_sums)[0] == pytest.approx(scores.r_open, abs=1e-5)


def test_a_closure_is_found_when_one_comes_near() -> None:
    def track(*closed: tuple[int, int]) -> Track:
        mouth = np.zeros((300, len(MOUTH)), np.float32)
        for start, end in closed:
            mouth[start:end, MOUTH.index("press")] = 1.0
        return Track(mouth, np.zeros(300, np.int16))

    # Two of three true ones are touched, by two of the four that were found.
    parts = closure_parts(
        track((20, 40), (103, 110), (200, 210), (280, 290)), track((30, 36), (90, 100), (150, 160))
    )
    assert parts == [2.0, 3.0, 2.0, 4.0]
    assert f1(np.array([parts]))[0] == pytest.approx(2 / 3.5)


def test_what_stands_still_correlates_with_nothing() -> None:
    assert pearson(np.array([[10.0, 5.0, 3.0, 2.5, 4.0, 1.5]]))[0] == 0.0
    assert f1(np.zeros((1, 4)))[0] == 0.0
