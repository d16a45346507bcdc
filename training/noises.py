"""Sounds that are not speech, made from nothing: what a mouth must stay closed for."""

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from avatar.features import SAMPLE_RATE

Float32Array = npt.NDArray[np.float32]


def _unit(sound: npt.NDArray[np.floating]) -> Float32Array:
    """The same sound with a root mean square of 1."""
    rms = float(np.sqrt(np.mean(sound**2))) + 1e-9
    return (sound / rms).astype(np.float32)


def _band(sound: npt.NDArray[np.floating], low_hz: float, high_hz: float) -> Float32Array:
    sections = butter(2, [low_hz, min(high_hz, 7900.0)], "band", fs=SAMPLE_RATE, output="sos")
    return np.asarray(sosfilt(sections, sound), np.float32)


def coloured(n: int, rng: np.random.Generator) -> Float32Array:
    """White to brown noise: fans, wind, hiss."""
    white = rng.standard_normal(n)
    return _unit(lfilter([1.0], [1.0, -rng.uniform(-0.5, 0.995)], white))


def rustle(n: int, rng: np.random.Generator) -> Float32Array:
    """A band of noise that swells and fades: traffic, cloth, paper."""
    sound = _band(rng.standard_normal(n), rng.uniform(60, 1500), rng.uniform(2000, 7500))
    points = max(2, int(n / SAMPLE_RATE * rng.uniform(1, 12)))
    swell = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, points), rng.uniform(0, 1, points))
    return _unit(sound * swell**2)


def breath(n: int, rng: np.random.Generator) -> Float32Array:
    """Breathing in and out through a closed mouth, again and again."""
    sound = np.zeros(n, np.float32)
    at = int(rng.uniform(0, 0.5) * SAMPLE_RATE)
    while at < n:
        length = int(rng.uniform(0.25, 1.2) * SAMPLE_RATE)
        noise = _band(rng.standard_normal(length), rng.uniform(200, 900), rng.uniform(1800, 7000))
        piece = _unit(noise) * np.sin(np.linspace(0, np.pi, length)) ** rng.uniform(0.7, 2)
        sound[at : at + length] += piece[: n - at] * rng.uniform(0.4, 1)
        at += length + int(rng.uniform(0.1, 1.5) * SAMPLE_RATE)
    return _unit(sound)


def clicks(n: int, rng: np.random.Generator) -> Float32Array:
    """Keyboard, mouse, knocks: short resonances, press and release, in bursts."""
    sound = np.zeros(n, np.float32)
    kind = rng.integers(0, 3)
    gap_s = rng.uniform(0.06, 0.5)
    at = int(rng.uniform(0, 0.3) * SAMPLE_RATE)
    while at < n:
        for _ in range(rng.integers(1, 3)):
            length = int(rng.uniform(0.004, (0.02, 0.05, 0.15)[kind]) * SAMPLE_RATE)
            decay = np.exp(-np.arange(length) / (length / rng.uniform(3, 7)))
            noise = rng.standard_normal(length) * rng.uniform(0, 1)
            for _ in range(rng.integers(1, 4)):
                low, high = ((800, 7000), (150, 4000), (60, 900))[kind]
                phase = rng.uniform(0, 6.28)
                pitch_hz = rng.uniform(low, high)
                noise += np.sin(2 * np.pi * pitch_hz * np.arange(length) / SAMPLE_RATE + phase)
            piece = (noise * decay * rng.uniform(0.2, 1)).astype(np.float32)
            sound[at : at + length] += piece[: max(0, n - at)]
            at += length + int(rng.uniform(0.01, 0.09) * SAMPLE_RATE)
        at += int(rng.exponential(gap_s) * SAMPLE_RATE)
    return _unit(sound + 1e-4 * rng.standard_normal(n))


def hum(n: int, rng: np.random.Generator) -> Float32Array:
    """Mains and machines: steady harmonics with a little noise."""
    t = np.arange(n) / SAMPLE_RATE
    base_hz = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(40, 400)])
    sound = 0.05 * rng.standard_normal(n)
    for harmonic in range(1, rng.integers(2, 20)):
        phase = rng.uniform(0, 6.28)
        sound += rng.uniform(0, 1) / harmonic * np.sin(2 * np.pi * base_hz * harmonic * t + phase)
    return _unit(sound)


def tones(n: int, rng: np.random.Generator) -> Float32Array:
    """Telephone tones, beeps and chimes."""
    t = np.arange(n) / SAMPLE_RATE
    sound = np.zeros(n)
    period_s, on = rng.uniform(0.1, 1.5), rng.uniform(0.2, 0.9)
    for _ in range(rng.integers(1, 3)):
        sound += np.sin(2 * np.pi * rng.uniform(250, 3000) * t)
    return _unit(sound * ((t % period_s) < on * period_s))


def music(n: int, rng: np.random.Generator) -> Float32Array:
    """Chords, a melody, a bass and drums in one tempo and key, through a random body and room."""
    beat = int(rng.uniform(0.25, 0.8) * SAMPLE_RATE)
    key_hz = 55.0 * 2 ** rng.uniform(0, 1)
    scale = rng.choice([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 4, 7, 9, 12, 14]])
    sound = np.zeros(n + 4 * beat, np.float32)
    voices = [
        (rng.random() < 0.8, 2, 3, 4, 0.5),
        (rng.random() < 0.8, 3, 1, rng.choice([1, 2]) / 2, 1.0),
        (rng.random() < 0.5, 1, 1, 1, 1.0),
    ]
    for playing, octave, notes, beats, level in voices:
        if not playing:
            continue
        partials = rng.uniform(0, 1, 12) / np.arange(1, 13) ** rng.uniform(0.3, 2)
        attack_s, ring = rng.uniform(0.002, 0.12), rng.uniform(0.5, 6)
        wobble_hz, wobble = rng.uniform(4, 7), rng.choice([0.0, rng.uniform(0, 0.012)])
        for at in range(0, n, max(1, int(beats * beat))):
            length = min(int(beats * beat * rng.uniform(0.8, 1.4)), len(sound) - at)
            t = np.arange(length) / SAMPLE_RATE
            envelope = np.minimum(1, t / attack_s) * np.exp(-ring * t)
            envelope *= np.minimum(1, (t[-1] - t) / 0.02) if length > 1 else 1
            for _ in range(notes):
                pitch = key_hz * 2 ** (octave - 1 + rng.choice(scale) / 12)
                phase = 2 * np.pi * pitch * t + wobble / 0.01 * np.sin(2 * np.pi * wobble_hz * t)
                piece = np.zeros(length)
                for harmonic, loudness in enumerate(partials, 1):
                    if pitch * harmonic < 7600:
                        piece += loudness * np.sin(harmonic * phase)
                sound[at : at + length] += (level * piece * envelope).astype(np.float32)
    if rng.random() < 0.6:
        for at in range(0, n, max(1, beat // int(rng.choice([1, 2, 4])))):
            length = min(int(rng.uniform(0.02, 0.25) * SAMPLE_RATE), len(sound) - at)
            fade = np.exp(-np.arange(length) / (length / 5))
            if rng.random() < 0.5:
                drum = np.sin(2 * np.pi * rng.uniform(50, 120) * np.arange(length) / SAMPLE_RATE)
            else:
                drum = rng.standard_normal(length)
            sound[at : at + length] += (rng.uniform(0.3, 2) * drum * fade).astype(np.float32)
    body = rng.standard_normal(400) * np.exp(-np.arange(400) / rng.uniform(20, 120))
    return _unit(fftconvolve(sound, body)[:n])


KINDS = {
    "coloured": coloured,
    "rustle": rustle,
    "breath": breath,
    "clicks": clicks,
    "hum": hum,
    "tones": tones,
    "music": music,
}
"""Each gives (n,) float32 of root mean square 1 at 16 kHz."""


def room(rng: np.random.Generator) -> Float32Array:
    """A room's impulse response: the direct sound and an exponentially fading tail."""
    n = int(rng.uniform(0.1, 0.7) * SAMPLE_RATE)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail *= rng.uniform(0.02, 0.4) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)
