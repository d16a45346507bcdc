"""The lip-sync benchmark: what systems share is what a session gives, and the truth is perfect."""

import wave
from pathlib import Path

import numpy as np
import pytest

from avatar.features import SAMPLE_RATE
from avatar.lipsync import LipSyncModel, LipSyncState
from avatar.model_card import ROW_SAMPLES
from avatar.pronunciation import words_of
from benchmarks.labelled_speech import Recording, SpeechMissing, read_folder
from benchmarks.lipsync import ASKED, asked_of, lookahead_curves, table
from benchmarks.lipsync_cost import cost, memory_of_an_hour
from benchmarks.lipsync_systems import (
    AUDIO_80,
    LONG_S,
    SHORT_S,
    TEXT_80,
    TEXT_240,
    Asked,
    hear,
    least_lookahead_s,
    loudness,
    measure,
    model_systems,
    state_at,
)
from training.metrics import Track, touching

TINY = Path(__file__).parent / "data" / "tiny.onnx"
SEGMENTS = [
    (0.2, 0.3, "m"),
    (0.3, 0.5, "aa"),
    (0.5, 0.6, "b"),
    (0.6, 0.8, "iy"),
    (0.8, 0.9, "p"),
    (0.9, 1.1, "uw"),
]


@pytest.fixture(scope="module")
def model() -> LipSyncModel:
    return LipSyncModel.load(TINY)


def _recording(name: str = "tone", seed: int = 0) -> Recording:
    """A buzz where the labels speak, softer where the lips are closed, and a little noise."""
    t = np.arange(int(1.4 * SAMPLE_RATE)) / SAMPLE_RATE
    level = np.zeros(len(t))
    for start, end, phone in SEGMENTS:
        level[(t >= start) & (t < end)] = 0.05 if phone in "mbp" else 1.0
    buzz = sum(np.sin(2 * np.pi * 120 * h * t) / h for h in range(1, 30))
    rng = np.random.default_rng(seed)
    pcm = 0.1 * level * buzz + 0.001 * rng.standard_normal(len(t))
    return Recording(name, pcm.astype(np.float32), SEGMENTS, "mah beep who")


@pytest.mark.parametrize("lookahead_s", [SHORT_S, LONG_S])
@pytest.mark.parametrize("text", ["", "my mother moved to boston"])
def test_shared_rows_are_those_of_a_session(
    model: LipSyncModel, lookahead_s: float, text: str
) -> None:
    pcm = _recording().pcm[: SAMPLE_RATE + 77]
    words = words_of(text)
    state = LipSyncState(model)
    state.lookahead_s = lookahead_s
    state.expect(words)
    pieces = [
        state.feed_with_visemes(pcm[at : at + ROW_SAMPLES])
        for at in range(0, len(pcm), ROW_SAMPLES)
    ]
    pieces.append(state.flush_with_visemes())
    mouth, visemes = hear(model, pcm, lookahead_s, [(0, words)])
    assert len(mouth) == -(-len(pcm) // ROW_SAMPLES)
    np.testing.assert_allclose(mouth, np.concatenate([a for a, _ in pieces]), atol=1e-4)
    np.testing.assert_allclose(visemes, np.concatenate([b for _, b in pieces]), atol=1e-4)


def test_words_told_in_the_middle_are_told_as_in_a_session(model: LipSyncModel) -> None:
    pcm, words, at = _recording().pcm, words_of("before we move"), 16 * ROW_SAMPLES
    state = LipSyncState(model)
    state.lookahead_s = LONG_S
    first = state.feed(pcm[:at])
    state.expect(words)
    expected = np.concatenate((first, state.feed(pcm[at:]), state.flush()))
    mouth, _ = hear(model, pcm, LONG_S, [(at, words)])
    np.testing.assert_allclose(mouth, expected, atol=1e-4)


def test_less_lookahead_than_the_model_begins_with(model: LipSyncModel) -> None:
    least_s = least_lookahead_s(model)
    state = state_at(model, least_s)
    pcm = _recording().pcm
    given = len(state.feed(pcm))
    assert given == int(len(pcm) / SAMPLE_RATE / model.card.row_s) - round(
        least_s / model.card.row_s
    )
    assert model.card.lookahead_s == SHORT_S
    with pytest.raises(ValueError, match="more look-ahead"):
        state_at(model, least_s - 0.02)


def _truth(recording: Recording) -> Track:
    return Track.of_phones(recording.segments, recording.seconds)


def test_the_truth_meets_what_is_asked() -> None:
    recordings = [_recording("one"), _recording("two", 1)]
    rows = measure({name: _truth for name in ASKED}, recordings, "truth")
    asked = asked_of(rows)
    assert len(asked) == sum(map(len, ASKED.values())) + 2
    assert all(one.met for one in asked)
    for row in rows.values():
        assert row.f1 == pytest.approx(1.0)
        assert row.intervals["coarse"].low == row.intervals["coarse"].high == 1.0
    assert all(name in table(rows) for name in (AUDIO_80, TEXT_80, TEXT_240))


def test_loudness_does_not_meet_it() -> None:
    rows = measure({AUDIO_80: loudness()}, [_recording(), _recording("two", 1)], "loudness")
    assert not all(one.met for one in asked_of(rows))


def test_one_recording_has_no_interval() -> None:
    row = measure({AUDIO_80: _truth}, [_recording()], "truth")[AUDIO_80]
    assert row.intervals == {}
    assert "±" not in table({AUDIO_80: row}).splitlines()[1]


def test_systems_that_read_need_a_text(model: LipSyncModel) -> None:
    assert {TEXT_80, TEXT_240} <= set(model_systems(model, reads=True))
    assert not {TEXT_80, TEXT_240} & set(model_systems(model, reads=False))


def test_touching_is_milder_than_matching() -> None:
    true = [(1.0, 1.1), (2.0, 2.1)]
    assert touching([(0.9, 0.97)], true) == (1, 1)
    assert touching([(0.9, 0.95)], true) == (0, 0)
    assert touching([(0.9, 2.2)], true) == (2, 1)
    assert touching([(1.0, 1.02), (1.08, 1.1)], true) == (1, 2)
    assert touching([], true) == (0, 0)


def test_at_least_and_at_most() -> None:
    assert Asked("a", "f1", 0.5, 0.5).met and not Asked("a", "f1", 0.49, 0.5).met
    assert Asked("a", "lag", 10.0, 10.0, False).met and not Asked("a", "lag", 11, 10, False).met
    assert "MISSED" in str(Asked("a", "f1", 0.4, 0.5)) and "asked >= 0.5" in str(
        Asked("a", "f1", 0.4, 0.5)
    )


def test_curves_begin_where_the_model_can(model: LipSyncModel) -> None:
    curves = lookahead_curves(model, [_recording(), _recording("two", 1)])
    assert len(curves) == 6
    for curve in curves:
        assert curve.points[0, 0] == pytest.approx(1000 * least_lookahead_s(model))
        assert curve.points[-1, 0] == pytest.approx(240)


def test_a_folder_with_words_and_without(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(np.full(1600, 16384, np.int16).tobytes())
    (tmp_path / "a.tsv").write_text("0.00\t0.05\tM\n0.05\t0.10\tAY\n")
    (tmp_path / "a.txt").write_text("my\n")
    (tmp_path / "b.tsv").write_text("0.00\t0.10\tSIL\n")
    first, second = read_folder(tmp_path)
    assert (first.name, first.text, second.text) == ("a", "my", "")
    assert [phone for _, _, phone in first.segments] == ["m", "aa", "ih"]
    assert first.seconds == pytest.approx(0.1)
    assert first.pcm[0] == pytest.approx(0.5) and first.pcm.dtype == np.float32
    with pytest.raises(SpeechMissing):
        read_folder(tmp_path / "nothing")


def test_cost_and_memory_are_measured(model: LipSyncModel) -> None:
    found, asked = cost(model, [_recording()])
    assert found.realtime_alone > 0 and found.realtime > 0
    assert found.model_mb == pytest.approx(TINY.stat().st_size / 1e6)
    assert [one.figure for one in asked][-1] == "model, MB"
    resident = memory_of_an_hour(model, [_recording()], seconds=4.0)
    assert resident["audio_s"] >= 4.0
    assert resident["grown_mib"] == resident["at_end_mib"] - resident["after_5_min_mib"]
