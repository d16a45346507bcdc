"""The lip-sync model's resampler against exact sines, and its independence of chunk sizes."""

import numpy as np
import pytest

from avatar.resample import PolyphaseResampler


def _sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("hertz", [100, 1000, 3000])
def test_keeps_a_sine_and_its_time(rate: int, hertz: int) -> None:
    resampler = PolyphaseResampler(rate, 16000)
    resampled = np.concatenate((resampler.feed(_sine(hertz, rate)), resampler.flush()))
    assert len(resampled) == 16000
    # Half a filter at either end looks into the silence around the sine.
    inside = slice(100, -100)
    assert np.abs(resampled - _sine(hertz, 16000))[inside].max() < 2e-3


def test_removes_what_the_lower_rate_cannot_hold() -> None:
    resampler = PolyphaseResampler(48000, 16000)
    resampled = resampler.feed(_sine(12000, 48000))
    assert np.abs(resampled[100:]).max() < 1e-3


@pytest.mark.parametrize("rate", [16000, 22050, 24000])
def test_does_not_depend_on_chunk_sizes(rate: int) -> None:
    noise = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    whole = PolyphaseResampler(rate, 16000)
    expected = np.concatenate((whole.feed(noise), whole.flush()))
    for chunk in (1, 37, 160, 1000):
        pieces = PolyphaseResampler(rate, 16000)
        fed = [pieces.feed(noise[i : i + chunk]) for i in range(0, len(noise), chunk)]
        np.testing.assert_allclose(np.concatenate((*fed, pieces.flush())), expected, atol=1e-6)


def test_starts_anew_after_flush() -> None:
    resampler = PolyphaseResampler(24000, 16000)
    sound = _sine(440, 24000, 0.1)
    first = np.concatenate((resampler.feed(sound), resampler.flush()))
    again = np.concatenate((resampler.feed(sound), resampler.flush()))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("rate", [0, 7999, 200_000])
def test_refuses_rates_out_of_range(rate: int) -> None:
    with pytest.raises(ValueError, match="8000 to 192000"):
        PolyphaseResampler(rate, 16000)
