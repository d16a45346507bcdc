"""Log-mel features of 16 kHz speech, computed as the sound arrives."""

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""The only rate the lip-sync model hears, Hz."""

HOP_SAMPLES = 160
"""One row of features every 10 ms."""

WINDOW_SAMPLES = 400
"""Each row looks at 25 ms that end with its hop."""

FFT_SIZE = 512
BANDS = 40
LOWEST_HZ = 60.0
HIGHEST_HZ = 7600.0

FLOOR, FIRST_FLOOR, HIGHEST_FLOOR = 1e-6, 4e-5, 1e-4
"""What is added to the power before the logarithm, at least, at first, and at most: about the level
of white noise at -82, -66 and -62 dBFS."""

FLOOR_BELOW_DB = 50.0
"""How far the floor lies below the loudest row. What recordings and synthesisers leave in their
silences drowns in it, and quiet speech does not."""

FORGET_DB_S = 60.0
"""How fast the loudest row is forgotten."""

SILENCE = float(np.log(FLOOR))
"""The value of every band in digital silence, once loud rows are forgotten."""

Float32Array = npt.NDArray[np.float32]


def mel_filters() -> Float32Array:
    """Triangular mel filters, each of unit sum.

    Returns:
        (FFT_SIZE // 2 + 1, BANDS) float32; power spectrum @ filters = power per band.

    Source: mel = 2595 log10(1 + f / 700), O'Shaughnessy 1987.
    """
    lowest, highest = 2595.0 * np.log10(1.0 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(lowest, highest, BANDS + 2) / 2595.0) - 1.0)
    bins_hz = np.arange(FFT_SIZE // 2 + 1)[:, None] * SAMPLE_RATE / FFT_SIZE
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles / triangles.sum(axis=0), np.float32)


_FILTERS = mel_filters()
_WINDOW = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
_HISTORY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES
_BELOW = 10 ** (-FLOOR_BELOW_DB / 10)
_REMEMBER = 10 ** (-FORGET_DB_S * HOP_SAMPLES / SAMPLE_RATE / 10)

FIRST_LOUDEST = FIRST_FLOOR / _BELOW
"""The loudest row before any sound, as mean power of its bands."""


def floors(power: Float32Array, loudest: float = FIRST_LOUDEST) -> tuple[Float32Array, float]:
    """What is added to the power before the logarithm.

    Args:
        power: (rows, 40) power per band.
        loudest: mean power of the loudest row so far, less what was forgotten.

    Returns:
        (rows, 1) float32, and the loudest row after these.
    """
    added = []
    for level in (np.add.reduce(power, 1) / BANDS).tolist():
        loudest = max(level, loudest * _REMEMBER)
        added.append(min(max(loudest * _BELOW, FLOOR), HIGHEST_FLOOR))
    return np.array(added, np.float32)[:, None], loudest


class LogMel:
    """Streaming log-mel features; row k is complete once (k + 1) * HOP_SAMPLES were fed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all sound; the next sample is the first, after digital silence."""
        self._pending = np.zeros(_HISTORY_SAMPLES, np.float32)
        self._loudest = FIRST_LOUDEST

    def feed(self, pcm: Float32Array) -> Float32Array:
        """Features of the hops that these samples complete.

        Args:
            pcm: (samples,) float32 in [-1, 1], mono, 16 kHz; any number of samples.

        Returns:
            (rows, 40) float32, natural logarithm of power; rows may be 0. The rows do not
            depend on how the sound was cut into pieces.

        Raises:
            ValueError: pcm is not one-dimensional or not finite.
        """
        pcm = np.asarray(pcm, np.float32)
        if pcm.ndim != 1:
            raise ValueError(f"pcm must have one dimension, not shape {pcm.shape}")
        if not np.isfinite(pcm).all():
            raise ValueError("pcm holds samples that are not finite")
        samples = np.concatenate((self._pending, pcm))
        rows = (len(samples) - _HISTORY_SAMPLES) // HOP_SAMPLES
        self._pending = samples[rows * HOP_SAMPLES :].copy()
        if rows == 0:
            return np.empty((0, BANDS), np.float32)
        stride = samples.strides[0]
        # What as_strided() gives, in a tenth of its time.
        windows = np.ndarray(
            (rows, WINDOW_SAMPLES), samples.dtype, samples, 0, (stride * HOP_SAMPLES, stride)
        )
        spectrum = np.fft.rfft(windows * _WINDOW, FFT_SIZE)
        power = np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32) @ _FILTERS
        added, self._loudest = floors(power, self._loudest)
        return np.asarray(np.log(power + added), np.float32)
