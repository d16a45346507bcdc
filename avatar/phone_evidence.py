"""How well each phone of a text would explain a row of sound, from what the network heard."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.phones import PHONES

Float32Array = NDArray[np.float32]

TEMPER = 0.33
"""Rows are far from independent: log-likelihoods count this much."""

_FLOOR, _RAREST = math.log(0.0004), math.log(0.002)
"""Bounds of log-posteriors, and of log-priors, of phones."""

_FILLER = math.exp(-2.0 * TEMPER)
"""How well speech of no text fits: worse than the best phone by so much log-likelihood."""

_TOLD = 4.0
"""What a phone gains, in log-likelihood, when the voice itself says that it is spoken."""

_ALLOPHONES = {
    "ax": "ah ih ix", "ah": "ax", "ih": "ix ax", "iy": "ih", "t": "d q", "d": "t", "ao": "aa o",
    "aa": "ao", "o": "ao", "uh": "uw ax", "uw": "ue uh", "er": "r", "r": "er rr", "hh": "x",
    "z": "s", "zh": "sh", "dh": "th", "v": "f", "b": "p", "g": "k", "jh": "ch", "eh": "ae",
    "k": "g", "p": "b", "ng": "n", "s": "z ts",
}  # fmt: skip
"""Phones that a phone of the text may sound like as well."""

_SILENCE = PHONES.index("sil")


def _likeness() -> NDArray[np.intp]:
    """(n, phones) indices of the phones that each may sound like, itself first, padded."""
    sets = [[phone, *_ALLOPHONES.get(phone, "").split()] for phone in PHONES]
    widest = max(map(len, sets))
    padded = [row + row[:1] * (widest - len(row)) for row in sets]
    return np.array([[PHONES.index(phone) for phone in row] for row in padded]).T.copy()


_LIKE = _likeness()


@dataclass(slots=True)
class Sound:
    """A row of sound. Not to be changed; to freeze it would triple the time that making it takes.

    Attributes:
        fitting: (phones + 1,) float32, how well it fits each of PHONES and the filler, at best 1.
        freely: (phones,) float32, the same for a model that knows no text.
        speech: Whether somebody seems to speak.
    """

    fitting: Float32Array
    freely: Float32Array
    speech: bool


class PhoneEvidence:
    """Takes from what was heard how common each phone is anyway."""

    def __init__(self, shares: Sequence[float]) -> None:
        """Set up.

        Args:
            shares: (phones,) how often the model met each of PHONES in training; sums to 1.
        """
        priors = np.maximum(np.log(np.maximum(shares, 1e-9)), _RAREST)
        self._log_priors: Float32Array = priors.astype(np.float32)

    def sounds(self, phones: Float32Array, told: Sequence[int | None] = ()) -> list[Sound]:
        """The rows as sounds.

        Args:
            phones: (rows, phones) float32 log-probabilities of PHONES.
            told: For each row the index in PHONES of what the voice says that it speaks there,
                None where it says nothing; or nothing at all.
        """
        likelihood = np.maximum(phones, _FLOOR) - self._log_priors
        for row, phone in enumerate(told):
            if phone is not None:
                likelihood[row, phone] += _TOLD
        best = np.maximum.reduce(likelihood, 1, keepdims=True)
        freely = np.exp(TEMPER * (likelihood - best))
        # The best phone is like itself: what is best of the text's phones is best of all.
        alike = np.maximum.reduce(freely.take(_LIKE, 1), 1)
        filler = np.full((len(phones), 1), _FILLER, np.float32)
        fitting = np.concatenate((alike, filler), 1)
        speech = (phones.argmax(1) != _SILENCE).tolist()
        return [Sound(*row) for row in zip(fitting, freely, speech, strict=True)]
