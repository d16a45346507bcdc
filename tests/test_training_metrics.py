"""Metrics: perfect on the truth itself, and sensitive to the faults they are named after."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.controls import MOUTH, VISEMES
from avatar.phones import Segment
from training.evaluate import event_threshold
from training.metrics import COARSE, Track, closures, correlation, matches, score

SEGMENTS: list[Segment] = [
    (0.2, 0.3, "m"),
    (0.3, 0.5, "aa"),
    (0.5, 0.6, "f"),
    (0.6, 0.8, "uw"),
    (0.8, 0.9, "b"),
    (0.9, 1.1, "iy"),
    (1.1, 1.2, "s"),
]


@pytest.fixture
def truth() -> Track:
    return Track.of_phones(SEGMENTS, 1.5)


def _late(track: Track, frames: int) -> Track:
    return Track(np.roll(track.mouth, frames, axis=0), np.roll(track.visemes, frames))


def test_the_truth_is_perfect(truth: Track) -> None:
    figures = score([truth, truth], [truth, truth])
    assert figures.coarse == figures.viseme == figures.f1 == 1.0
    assert figures.r_jaw == pytest.approx(1.0)
    assert figures.r_round == pytest.approx(1.0)
    assert figures.lag_ms == 0.0


@pytest.mark.parametrize("frames", [-5, 3, 10])
def test_lag_is_measured(truth: Track, frames: int) -> None:
    assert score([_late(truth, frames)], [truth]).lag_ms == 10 * frames


def test_late_closures_are_misses(truth: Track) -> None:
    assert score([_late(truth, 4)], [truth]).f1 == 1.0
    assert score([_late(truth, 6)], [truth]).f1 == 0.0


def test_a_closed_mouth_recalls_nothing(truth: Track) -> None:
    still = Track(np.zeros_like(truth.mouth), np.zeros_like(truth.visemes))
    figures = score([still], [truth])
    assert (figures.recall, figures.precision, figures.f1, figures.r_jaw) == (0, 0, 0, 0)
    assert figures.coarse == pytest.approx(np.mean(truth.visemes == VISEMES.index("sil")))


def test_coarse_classes_by_both_ways(truth: Track) -> None:
    for time_s, name in ((0.1, "sil"), (0.25, "PP"), (0.4, "open"), (0.55, "FF"), (0.7, "round")):
        frame = round(time_s * 100)
        assert COARSE[truth.coarse[frame]] == name
        assert COARSE[truth.coarse_by_controls[frame]] == name


def test_closures_need_twenty_milliseconds() -> None:
    press = np.zeros(50, np.float32)
    press[10] = press[20:22] = press[48:] = 1.0
    np.testing.assert_allclose(closures(press), [(0.20, 0.22), (0.48, 0.50)])


def test_each_true_closure_is_found_once() -> None:
    assert matches([(0.10, 0.12), (0.13, 0.15)], [(0.10, 0.14)]) == 1
    assert matches([(0.10, 0.14)], [(0.20, 0.24)]) == 0


def test_rows_become_frames() -> None:
    mouth = np.zeros((5, len(MOUTH)), np.float32)
    mouth[:, 0] = np.arange(5)
    visemes = np.eye(len(VISEMES), dtype=np.float32)[:5]
    track = Track.of_rows(mouth, visemes, 0.02, 0.1)
    assert track.visemes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    np.testing.assert_allclose(track.mouth[1:3, 0], [0.25, 0.75])


def test_correlation_of_what_stands_still_is_zero(truth: Track) -> None:
    still = replace(truth, mouth=np.ones_like(truth.mouth))
    assert correlation(still.control("jaw"), truth.control("jaw")) == 0.0


def test_the_threshold_is_taken_that_finds_best() -> None:
    def events(height: float, count: int) -> Track:
        """As many closures as told, a second apart, told with so much evidence."""
        mouth = np.zeros((100 * 200, len(MOUTH)), np.float32)
        for i in range(count):
            mouth[100 * i + 10 : 100 * i + 20, MOUTH.index("press")] = height
        return Track(mouth, np.zeros(len(mouth), np.int16))

    def with_false(height: float, count: int) -> Track:
        track = events(0.9, 100)
        for i in range(count):
            track.mouth[100 * i + 50 : 100 * i + 60, MOUTH.index("press")] = height
        return track

    true = [events(1.0, 100)]
    assert event_threshold({"a": ([with_false(0.33, 10)], true)}, "press") == 0.35
    # One of a hundred is not worth a higher one: it would be missed elsewhere.
    assert event_threshold({"a": ([with_false(0.33, 1)], true)}, "press") == 0.2
    # Every engine counts the same, however much was spoken by it.
    unsure = ([events(0.42, 40)], [events(1.0, 40)])
    both = {"a": ([with_false(0.47, 10)], true), "b": unsure}
    assert event_threshold(both, "press") == 0.2
