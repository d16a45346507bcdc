"""Variation of log-mel features while training: other mouths, lines, levels and noises."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.features import BANDS, HIGHEST_HZ, LOWEST_HZ, floors

Float32Array = npt.NDArray[np.float32]

PREPARED_FLOOR = 1e-10
"""Added to the power of features that wait for their level: 40 dB lower than at the end, so that
what is made louder has silences as deep as what was loud from the beginning."""

LOUDEST_DB = 18.0
"""The highest level that is given to speech, beyond that of `prepare`, which lowers most."""
LONGEST_WARP = 0.16
LEAN = 0.04


@dataclass(frozen=True)
class Hardship:
    """How bad the lines are through which speech comes.

    Attributes:
        noisy: Share of the examples of speech with noise mixed in.
        cleanest_db: Noise is mixed in at 0 to so many dB below the speech.
        quietest_db: The lowest level that is given to speech.
        narrow: Share of lines that lose what is above some frequency, and below another.
    """

    noisy: float
    cleanest_db: float
    quietest_db: float
    narrow: float


USUAL = Hardship(noisy=0.5, cleanest_db=32.0, quietest_db=-22.0, narrow=0.15)
HARD = Hardship(noisy=0.65, cleanest_db=25.0, quietest_db=-42.0, narrow=0.7)

LOW_EDGE_HZ, HIGH_EDGE_HZ = (60.0, 500.0), (2200.0, 7600.0)
"""Where narrow lines begin and end."""
SKIRT_DB = (12.0, 200.0)
"""What they lose per octave beyond: from a simple filter to a cut."""
TELEPHONE = 0.5
"""Share of them that begin and end about where a telephone does."""
TELEPHONE_LOW_HZ, TELEPHONE_HIGH_HZ = (200.0, 400.0), (3000.0, 4000.0)


def _band_centres_hz() -> npt.NDArray[np.float64]:
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (LOWEST_HZ, HIGHEST_HZ))
    return 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 2)[1:-1] / 2595.0) - 1.0)


_CENTRES_HZ = _band_centres_hz()


def warp(mel: Float32Array, factor: float, lean: float = 1.0) -> Float32Array:
    """As if the vocal tract were shorter: every resonance times `factor`.

    Args:
        mel: (hops, 40) log-mel.
        factor: of the frequencies in the middle of the bands.
        lean: the highest resonances move by lean times, the lowest by 1 / lean times as much.
    """
    factors = factor * lean ** np.linspace(-1, 1, BANDS)
    sources = np.interp(_CENTRES_HZ / factors, _CENTRES_HZ, np.arange(BANDS))
    low = np.minimum(sources.astype(int), BANDS - 2)
    share = (sources - low).astype(np.float32)
    return mel[:, low] * (1 - share) + mel[:, low + 1] * share


def line(rng: np.random.Generator) -> Float32Array:
    """(40,) a smooth gain per band, natural log of power: microphone, room, voice timbre."""
    points = rng.integers(3, 8)
    gains_db = rng.normal(0, rng.uniform(0, 6), points)
    gains_db += np.linspace(-1, 1, points) * rng.normal(0, 4)
    curve = np.interp(np.linspace(0, 1, BANDS), np.linspace(0, 1, points), gains_db)
    return (curve * np.log(10) / 10).astype(np.float32)


def narrow_line(rng: np.random.Generator) -> Float32Array:
    """(40,) gain per band, natural log of power, of a line that ends and begins somewhere."""
    edges_hz = LOW_EDGE_HZ, HIGH_EDGE_HZ
    if rng.random() < TELEPHONE:
        edges_hz = TELEPHONE_LOW_HZ, TELEPHONE_HIGH_HZ
    low_hz, high_hz, low_db, high_db = (
        np.exp(rng.uniform(*np.log(bounds))) for bounds in (*edges_hz, SKIRT_DB, SKIRT_DB)
    )
    below = np.maximum(0.0, np.log2(low_hz / _CENTRES_HZ))
    above = np.maximum(0.0, np.log2(_CENTRES_HZ / high_hz))
    return (-(low_db * below + high_db * above) * np.log(10) / 10).astype(np.float32)


def vary(
    mel: Float32Array,
    noise: Float32Array | None,
    rng: np.random.Generator,
    hardship: Hardship = USUAL,
) -> Float32Array:
    """A variation of prepared (hops, 40) log-mel, as LogMel gives it; the targets stay.

    Args:
        mel: speech.
        noise: (hops, 40) log-mel of a noise to mix in, or None.
        rng: source of chance.
        hardship: of the line.
    """
    if rng.random() < 0.75:
        factor = np.exp(rng.uniform(-LONGEST_WARP, LONGEST_WARP))
        mel = warp(mel, float(factor), float(np.exp(rng.normal(0, LEAN))))
    power = np.maximum(np.exp(mel) - PREPARED_FLOOR, 0.0)
    if rng.random() < 0.75:
        power = power * np.exp(line(rng))
    level = (
        10 ** (rng.uniform(hardship.quietest_db, LOUDEST_DB) / 10) if rng.random() < 0.7 else 1.0
    )
    power = power * level
    if noise is not None:
        added = np.maximum(np.exp(noise) - PREPARED_FLOOR, 0.0)
        snr_db = rng.uniform(0, hardship.cleanest_db)
        loud = np.mean(np.sort(power.sum(1))[len(power) // 2 :])
        gain = loud / (added.sum(1).mean() + 1e-9) * 10 ** (-snr_db / 10)
        power = power + gain * added
    if rng.random() < hardship.narrow:
        power = power * np.exp(narrow_line(rng))
    power = power.astype(np.float32)
    mel = np.log(power + floors(power)[0])
    for _ in range(rng.integers(0, 3)):  # what a cough or a dropped packet takes away
        start, width = rng.integers(0, BANDS - 5), rng.integers(1, 6)
        mel[:, start : start + width] = mel.mean()
    for _ in range(rng.integers(0, 5)):
        start, width = rng.integers(0, len(mel) - 8), rng.integers(1, 8)
        mel[start : start + width] = mel.mean(0)
    return mel
