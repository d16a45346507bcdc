"""Streaming change of sample rate for the lip-sync model, with about 1 ms of delay."""

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_HALF_TAPS = 16
"""Input samples used on either side of an output sample, at the lower of the two rates."""

_KAISER_BETA = 8.0
"""About 80 dB of stop-band rejection."""


class PolyphaseResampler:
    """Resamples speech by a rational factor with a windowed-sinc filter.

    A block resampler such as soxr's holds 20 to 40 ms back, which would be added to the
    model's look-ahead. This one holds back half its filter only, and what it returns does not
    depend on how the sound was cut into pieces.
    """

    def __init__(self, rate_in_hz: int, rate_out_hz: int) -> None:
        """Design the filter.

        Args:
            rate_in_hz: Rate of the sound that is fed, 8000 to 192000 Hz.
            rate_out_hz: Rate of the sound that is returned, in the same range.

        Raises:
            ValueError: A rate is out of range.
        """
        for rate in (rate_in_hz, rate_out_hz):
            if not 8_000 <= rate <= 192_000:
                raise ValueError(f"sample rate must be 8000 to 192000 Hz, not {rate}")
        common = gcd(rate_in_hz, rate_out_hz)
        self._up, self._down = rate_out_hz // common, rate_in_hz // common
        cutoff = min(1.0, rate_out_hz / rate_in_hz)
        self._half = int(np.ceil(_HALF_TAPS / cutoff))
        self._filters = _phase_filters(self._up, self._half, cutoff)
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far; the next sample fed is at time zero."""
        self._held = np.zeros(self._half - 1, np.float32)
        self._held_start = 1 - self._half
        self._returned = 0

    def feed(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample the next piece of sound.

        Args:
            pcm: (samples,) float32 at the input rate.

        Returns:
            (samples,) float32 at the output rate: all that can be known by now. Sample n is at
            n / rate_out_hz seconds from the first sample fed.
        """
        if self._up == self._down:
            return pcm
        held = np.concatenate((self._held, pcm))
        last = self._held_start + len(held) - 1 - self._half
        count = max(0, (last * self._up + self._up - 1) // self._down + 1 - self._returned)
        resampled = np.zeros(0, np.float32)
        if count:
            position = (self._returned + np.arange(count)) * self._down
            phase, nearest = position % self._up, position // self._up
            windows = sliding_window_view(held, 2 * self._half)
            first = nearest - self._half + 1 - self._held_start
            resampled = np.einsum("ij,ij->i", windows[first], self._filters[phase])
        self._returned += count
        done = (self._returned * self._down) // self._up - self._half + 1 - self._held_start
        self._held = held[done:].copy()
        self._held_start += done
        return resampled

    def flush(self) -> NDArray[np.float32]:
        """Return what is left, as if silence followed, and start anew."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        fed = self._held_start + len(self._held)
        left = -(-fed * self._up // self._down) - self._returned
        rest = self.feed(np.zeros(2 * self._half, np.float32))[:left]
        self.reset()
        return rest


@lru_cache(maxsize=16)
def _phase_filters(up: int, half: int, cutoff: float) -> NDArray[np.float32]:
    """Return (up, 2 * half) float32: for each phase the weights of the samples around it."""
    offset = np.arange(2 * half) - (half - 1) - np.arange(up)[:, None] / up
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1)))
    filters = np.sinc(offset * cutoff) * window
    normalised: NDArray[np.float32] = (filters / filters.sum(1, keepdims=True)).astype(np.float32)
    return normalised
