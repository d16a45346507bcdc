"""Log-mel features: against a slow reference, and independent of how the sound is cut."""

import numpy as np
import pytest

from avatar.features import (
    BANDS,
    FFT_SIZE,
    FIRST_FLOOR,
    FLOOR,
    FLOOR_BELOW_DB,
    FORGET_DB_S,
    HIGHEST_FLOOR,
    HOP_SAMPLES,
    SAMPLE_RATE,
    SILENCE,
    WINDOW_SAMPLES,
    LogMel,
    mel_filters,
)


def _sound(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    swell = np.sin(np.arange(samples) / 2000)
    return (0.2 * swell * rng.standard_normal(samples)).astype(np.float32)


def _reference(pcm: np.ndarray) -> np.ndarray:
    """Row by row in double precision, by a discrete Fourier transform written out."""
    padded = np.concatenate((np.zeros(WINDOW_SAMPLES - HOP_SAMPLES), pcm))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    bins = np.arange(FFT_SIZE // 2 + 1)
    waves = np.exp(-2j * np.pi * np.outer(bins, np.arange(WINDOW_SAMPLES)) / FFT_SIZE)
    rows = []
    below = 10 ** (-FLOOR_BELOW_DB / 10)
    peak = FIRST_FLOOR / below
    for k in range(len(pcm) // HOP_SAMPLES):
        piece = padded[k * HOP_SAMPLES : k * HOP_SAMPLES + WINDOW_SAMPLES] * window
        power = np.abs(waves @ piece) ** 2 @ mel_filters()
        peak = max(power.mean(), peak * 10 ** (-FORGET_DB_S * HOP_SAMPLES / SAMPLE_RATE / 10))
        rows.append(np.log(power + np.clip(below * peak, FLOOR, HIGHEST_FLOOR)))
    return np.array(rows)


def test_rows_equal_the_reference() -> None:
    pcm = _sound(SAMPLE_RATE // 2)
    # single precision in the transform and in 257 sums of positive numbers: about 1e-6 relative
    np.testing.assert_allclose(LogMel().feed(pcm), _reference(pcm), atol=1e-3)


@pytest.mark.parametrize("chunk", [1, 37, 160, 1000])
def test_chunks_do_not_matter(chunk: int) -> None:
    pcm = _sound(8000 + 77)
    whole = LogMel().feed(pcm)
    log_mel = LogMel()
    pieces = [log_mel.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    assert whole.shape == (len(pcm) // HOP_SAMPLES, BANDS)
    assert whole.dtype == np.float32
    # the order of summation may differ with the number of rows at once
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_a_row_needs_its_whole_hop() -> None:
    log_mel = LogMel()
    assert log_mel.feed(_sound(HOP_SAMPLES - 1)).shape == (0, BANDS)
    assert log_mel.feed(_sound(1)).shape == (1, BANDS)
    assert log_mel.feed(np.empty(0, np.float32)).shape == (0, BANDS)


def test_silence_is_the_floor_once_speech_is_forgotten() -> None:
    log_mel = LogMel()
    rows = log_mel.feed(np.zeros(SAMPLE_RATE, np.float32))
    assert np.log(FIRST_FLOOR) > rows[0, 0] > rows[5, 0] > SILENCE
    np.testing.assert_allclose(rows[50:], SILENCE, atol=1e-5)
    log_mel.feed(_sound(SAMPLE_RATE))
    assert log_mel.feed(np.zeros(1600, np.float32))[5, 0] > SILENCE + 1


def test_quiet_speech_keeps_what_a_loud_one_drowns() -> None:
    hum = 3e-5 * np.sin(2 * np.pi * 300 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    alone, beside = LogMel().feed(hum.astype(np.float32)), LogMel()
    beside.feed(_sound(8000))
    after = beside.feed(hum[:1600].astype(np.float32))
    band = alone[-1].argmax()
    assert alone[-1, band] > alone[-1].min() + 1
    assert after[3].max() < after[3].min() + 0.3


@pytest.mark.parametrize("pitch_hz", [200.0, 1000.0, 4000.0])
def test_a_tone_lights_its_band(pitch_hz: float) -> None:
    tone = np.sin(2 * np.pi * pitch_hz * np.arange(3200) / SAMPLE_RATE).astype(np.float32)
    nearest_bin = round(pitch_hz * FFT_SIZE / SAMPLE_RATE)
    loudest = LogMel().feed(tone)[10].argmax()
    assert abs(int(loudest) - int(mel_filters()[nearest_bin].argmax())) <= 1


def test_filters_have_unit_sum() -> None:
    filters = mel_filters()
    assert filters.shape == (FFT_SIZE // 2 + 1, BANDS)
    np.testing.assert_allclose(filters.sum(axis=0), 1.0, atol=1e-5)


def test_reset_forgets() -> None:
    log_mel = LogMel()
    pcm = _sound(1600)
    first = log_mel.feed(pcm)
    log_mel.feed(_sound(777, seed=1))
    log_mel.reset()
    np.testing.assert_array_equal(log_mel.feed(pcm), first)


def test_the_caller_may_reuse_its_buffer() -> None:
    log_mel, buffer = LogMel(), _sound(100)
    log_mel.feed(buffer)
    expected = LogMel().feed(np.concatenate((buffer, _sound(60))))
    buffer[:] = 1.0
    np.testing.assert_allclose(log_mel.feed(_sound(60)), expected, atol=1e-5)


@pytest.mark.parametrize(
    "pcm", [np.zeros((2, 160), np.float32), np.array([0.0, np.nan]), np.array([np.inf])]
)
def test_bad_sound_is_refused(pcm: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pcm"):
        LogMel().feed(pcm)
