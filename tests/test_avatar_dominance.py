"""Targets: what a row of phones makes the mouth do."""

import numpy as np
import pytest

from avatar.controls import MOUTH, VISEMES
from avatar.dominance import mouth_targets, phone_ids, viseme_ids, without_gaps
from avatar.phones import PHONES, Segment

TIMES_S = (np.arange(100) + 0.5) * 0.01


def _word(*phones: str, each_s: float = 0.1) -> list[Segment]:
    segments = [(0.3 + i * each_s, 0.3 + (i + 1) * each_s, p) for i, p in enumerate(phones)]
    return without_gaps(segments, 1.0)


def _at(mouth: np.ndarray, time_s: float, control: str) -> float:
    return float(mouth[round(time_s * 100), MOUTH.index(control)])


def test_silence_is_a_closed_resting_mouth() -> None:
    mouth = mouth_targets([(0.0, 1.0, "sil")], TIMES_S)
    assert mouth.shape == (100, 10) and mouth.dtype == np.float32
    np.testing.assert_allclose(mouth, 0.0, atol=1e-6)


@pytest.mark.parametrize("phone", PHONES)
def test_every_phone_stays_in_range(phone: str) -> None:
    mouth = mouth_targets(_word("aa", phone, "iy"), TIMES_S)
    assert mouth.min() >= 0.0 and mouth.max() <= 1.0


@pytest.mark.parametrize("lips", ["p", "b", "m"])
def test_a_closure_is_flat_and_shuts_the_lips(lips: str) -> None:
    mouth = mouth_targets(_word("aa", lips, "aa"), TIMES_S)
    press = mouth[:, MOUTH.index("press")]
    closed = np.flatnonzero(press > 0.5)
    assert closed[0] == pytest.approx(40, abs=1)
    assert closed[-1] == pytest.approx(48, abs=2)
    assert np.all(np.diff(closed) == 1)
    assert press[41:47] == pytest.approx(1.0)
    assert _at(mouth, 0.44, "open") < 0.15
    assert _at(mouth, 0.35, "open") > 0.5


def test_the_shortest_closure_counts() -> None:
    mouth = mouth_targets(_word("aa", "b", "aa", each_s=0.04), TIMES_S)
    assert (mouth[:, MOUTH.index("press")] > 0.5).sum() >= 2


def test_vowels_are_felt_through_a_consonant() -> None:
    rounded = mouth_targets(_word("t", "uw"), TIMES_S)
    spread = mouth_targets(_word("t", "iy"), TIMES_S)
    assert _at(rounded, 0.35, "round") > 0.3 > _at(spread, 0.35, "round")
    assert _at(spread, 0.35, "spread") > 0.3 > _at(rounded, 0.35, "spread")


def test_an_open_vowel_opens_more_than_a_close_one() -> None:
    assert _at(mouth_targets(_word("aa"), TIMES_S), 0.35, "jaw") > 0.6
    assert _at(mouth_targets(_word("iy"), TIMES_S), 0.35, "jaw") < 0.3


def test_classes_follow_the_segments() -> None:
    segments = _word("hh", "aa", "m")
    visemes = [VISEMES[i] for i in viseme_ids(segments, TIMES_S)]
    phones = [PHONES[i] for i in phone_ids(segments, TIMES_S)]
    assert (visemes[10], visemes[35], visemes[45], visemes[55]) == ("sil", "aa", "aa", "PP")
    assert (phones[10], phones[35], phones[45], phones[55]) == ("sil", "hh", "aa", "m")


def test_gaps_become_silence() -> None:
    segments = without_gaps([(0.1, 0.2, "aa"), (0.22, 0.3, "m"), (0.5, 0.5, "t")], 0.6)
    assert segments == [
        (0.0, 0.1, "sil"),
        (0.1, 0.2, "aa"),
        (0.22, 0.3, "m"),
        (0.3, 0.6, "sil"),
    ]
