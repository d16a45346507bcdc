"""Lips that open with the loudness of speech: next to no work, where time is short."""

import numpy as np

from avatar.controls import MOUTH
from avatar.features import SAMPLE_RATE, Float32Array
from avatar.model_card import ROW_SAMPLES

_QUIET_DB, _LOUD_DB = -42.0, -14.0
"""Levels of a row at which the mouth is shut, and open as far as it goes by loudness."""

_RELEASE = 0.55
"""What is left of the opening one row later when the sound stops: 20 ms at a time."""

_SHAPE = {"jaw": 0.55, "open": 0.75, "spread": 0.15, "speak": 1.0}
"""Controls at full loudness."""


class LoudnessLips:
    """Takes the place of LipSyncState: the same rows, without look-ahead or model."""

    def __init__(self, rate_hz: int = SAMPLE_RATE) -> None:
        """Begin.

        Args:
            rate_hz: Sample rate of the speech, a multiple of 50 Hz.
        """
        self._row_samples = ROW_SAMPLES * rate_hz // SAMPLE_RATE
        self._shape = np.array([_SHAPE.get(name, 0.0) for name in MOUTH], np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._rest = np.zeros(0, np.float32)
        self._opening = 0.0

    def feed(self, pcm: Float32Array) -> Float32Array:
        """Mouth controls of the rows that these samples complete.

        Args:
            pcm: (samples,) float32 in [-1, 1], mono; any number of samples.

        Returns:
            (rows, 10) float32 in [0, 1], columns as in MOUTH; rows may be 0.
        """
        waiting = np.concatenate((self._rest, pcm))
        whole = len(waiting) // self._row_samples * self._row_samples
        self._rest = waiting[whole:]
        return self._rows(waiting[:whole].reshape(-1, self._row_samples))

    def flush(self) -> Float32Array:
        """The row that is not complete, as if silence followed; then as after reset()."""
        last = np.pad(self._rest, (0, -len(self._rest) % self._row_samples))
        rows = self._rows(last.reshape(-1, self._row_samples))
        self.reset()
        return rows

    def _rows(self, sound: Float32Array) -> Float32Array:
        level_db = 10 * np.log10(np.mean(sound**2, axis=1) + 1e-10)
        opening = np.clip((level_db - _QUIET_DB) / (_LOUD_DB - _QUIET_DB), 0, 1)
        for row in range(len(opening)):
            opening[row] = self._opening = max(float(opening[row]), self._opening * _RELEASE)
        rows: Float32Array = opening[:, None].astype(np.float32) * self._shape
        return rows
