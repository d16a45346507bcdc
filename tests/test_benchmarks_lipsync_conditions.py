"""Conditions of the lip-sync benchmark change what they say they change."""

import shutil

import numpy as np
import pytest

from avatar.features import SAMPLE_RATE
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_conditions import (
    by_telephone,
    derangement,
    faster,
    largest_fall,
    noisy,
    quieter,
    with_others_text,
    with_wrong_words,
)
from benchmarks.lipsync_systems import Measured
from training.metrics import Scores


def _tone(hz: float, seconds: float = 2.0, text: str = "") -> Recording:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pcm = (0.3 * np.sin(2 * np.pi * hz * t)).astype(np.float32)
    return Recording(f"{hz:.0f}", pcm, [(0.5, 1.0, "aa"), (1.0, 1.2, "m")], text)


def _level(recording: Recording) -> float:
    return float(np.sqrt(np.mean(recording.pcm**2)))


@pytest.mark.parametrize("count", [2, 3, 10, 52])
@pytest.mark.parametrize("seed", range(5))
def test_a_derangement_leaves_nothing_in_its_place(count: int, seed: int) -> None:
    order = derangement(count, seed)
    assert sorted(order) == list(range(count))
    assert all(place != i for i, place in enumerate(order))
    assert order == derangement(count, seed)


def test_one_alone_cannot_be_deranged() -> None:
    with pytest.raises(ValueError):
        derangement(1)


def test_no_recording_keeps_its_text() -> None:
    recordings = [_tone(100 + i, 0.1, f"text {i}") for i in range(8)]
    changed = with_others_text(recordings)
    assert all(
        a.text != b.text and a.pcm is b.pcm for a, b in zip(recordings, changed, strict=True)
    )
    assert sorted(r.text for r in changed) == sorted(r.text for r in recordings)


def _texts() -> list[Recording]:
    words = [f"w{i}" for i in range(17)]
    return [_tone(100, 0.1, " ".join(words[k : k + 10])) for k in range(8)]


def test_a_tenth_of_the_words_is_replaced() -> None:
    recordings = _texts()
    pairs = [
        (a, b)
        for before, after in zip(recordings, with_wrong_words(recordings, drop=False), strict=True)
        for a, b in zip(before.text.split(), after.text.split(), strict=True)
    ]
    assert sum(a != b for a, b in pairs) == 8
    assert {b for _, b in pairs} <= {a for a, _ in pairs}


def test_a_tenth_of_the_words_is_left_out() -> None:
    recordings = _texts()
    after = with_wrong_words(recordings, drop=True)
    assert sum(len(recording.text.split()) for recording in after) == 72
    assert [r.text for r in after] == [r.text for r in with_wrong_words(recordings, drop=True)]


@pytest.mark.skipif(shutil.which("sox") is None, reason="apt-get install sox")
def test_faster_speech_is_shorter_and_no_higher() -> None:
    recording = _tone(440)
    found = faster(recording)
    assert found.seconds == pytest.approx(recording.seconds / 1.3, abs=0.03)
    assert found.segments[1][:2] == pytest.approx((1.0 / 1.3, 1.2 / 1.3))
    spectrum = np.abs(np.fft.rfft(found.pcm))
    assert spectrum.argmax() * SAMPLE_RATE / len(found.pcm) == pytest.approx(440, abs=5)
    assert _level(found) == pytest.approx(_level(recording), rel=0.1)


def test_noise_lies_ten_decibels_below() -> None:
    recording = _tone(440)
    added = noisy(recording).pcm - recording.pcm
    ratio_db = 20 * np.log10(_level(recording) / np.sqrt(np.mean(added**2)))
    assert ratio_db == pytest.approx(10, abs=0.2)
    np.testing.assert_array_equal(noisy(recording).pcm, noisy(recording).pcm)


@pytest.mark.parametrize(("hz", "passes"), [(80, False), (1000, True), (3000, True), (6000, False)])
def test_a_telephone_passes_its_band(hz: float, passes: bool) -> None:
    kept = _level(by_telephone(_tone(hz))) / _level(_tone(hz))
    assert kept > 0.9 if passes else kept < 0.05


def test_quieter_by_thirty_five_decibels() -> None:
    ratio = _level(quieter(_tone(440))) / _level(_tone(440))
    assert 20 * np.log10(ratio) == pytest.approx(-35, abs=0.01)


def test_the_largest_fall_is_named() -> None:
    before = Scores(0.8, 0.8, 0.7, 0.9, 0.8, 0.6, 0.7, 0.7, 0.7, 0.0)
    after = Scores(0.78, 0.1, 0.1, 0.95, 0.8, 0.5, 0.1, 0.7, 0.7, 90.0)
    name, fall = largest_fall(Measured(before, 0.8, 0.9, {}), Measured(after, 0.75, 0.9, {}))
    assert name == "r_round"
    assert fall == pytest.approx(0.1)
