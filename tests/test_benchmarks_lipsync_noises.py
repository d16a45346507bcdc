"""Sounds that are no speech: what they are called, at one level."""

import numpy as np
import pytest

from avatar.features import SAMPLE_RATE
from benchmarks.lipsync_noises import NOISE_LEVEL, NOISE_SECONDS, NOISES, breathing, mains, sounds


def test_all_are_half_a_minute_at_one_level() -> None:
    made = sounds()
    assert set(made) == set(NOISES)
    for name, recording in made.items():
        assert recording.pcm.shape == (NOISE_SECONDS * SAMPLE_RATE,)
        assert recording.pcm.dtype == np.float32 and np.isfinite(recording.pcm).all()
        level = float(np.sqrt(np.mean(recording.pcm**2)))
        assert level == pytest.approx(0.0 if name == "silence" else NOISE_LEVEL, rel=1e-3)
        assert recording.text and not recording.segments


def test_mains_hum_is_fifty_hertz_and_its_multiples() -> None:
    power = np.abs(np.fft.rfft(mains(4 * SAMPLE_RATE, np.random.default_rng(0)))) ** 2
    power[0] = 0
    assert power.argmax() / 4 == 50
    assert power[:: 4 * 50].sum() > 0.99 * power.sum()


def test_breath_comes_and_goes() -> None:
    sound = breathing(20 * SAMPLE_RATE, np.random.default_rng(0))
    levels = np.sqrt((sound.reshape(-1, SAMPLE_RATE // 10) ** 2).mean(axis=1))
    assert np.quantile(levels, 0.9) > 5 * np.quantile(levels, 0.1)
