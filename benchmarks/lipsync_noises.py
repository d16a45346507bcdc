"""Sounds that are no speech, and how far a mouth opens in them, with a text pending and without.

Made by other means than the noises of training, so that the model has heard none of them.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from tqdm import tqdm

from avatar.features import SAMPLE_RATE
from avatar.lipsync import LipSyncModel
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_systems import AUDIO_80, SHORT_S, Asked, System, lip_sync, told_text

Float32Array = npt.NDArray[np.float32]
Maker = Callable[[int, np.random.Generator], Float32Array]

NOISE_SECONDS = 30
NOISE_LEVEL = 0.05
"""Root mean square of the sounds a mouth must ignore."""
SEED = 3
PENDING = (
    "my mother bought a big blue umbrella before we moved to boston "
    "because the weather was warm and wet most of the time"
)
"""What is about to be said while there is only noise."""
TEXT_PENDING = "text pending, 80 ms"


def silence(n: int, rng: np.random.Generator) -> Float32Array:
    """Digital silence."""
    return np.zeros(n, np.float32)


def noise(n: int, rng: np.random.Generator) -> Float32Array:
    """White noise."""
    return rng.standard_normal(n).astype(np.float32)


def mains(n: int, rng: np.random.Generator) -> Float32Array:
    """A bad earth: 50 Hz, clipped, and what a rectifier leaves of it."""
    turn = 2 * np.pi * 50 * np.arange(n) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
    clipped = np.tanh(2.5 * np.sin(turn))
    rectified = np.maximum(0.9, np.abs(np.sin(turn))) - 0.95
    return (clipped + 3 * rectified).astype(np.float32)


def keyboard(n: int, rng: np.random.Generator) -> Float32Array:
    """Keys struck about five times a second: a click, a resonance, a quieter release."""
    struck = np.zeros(n)
    times = np.cumsum(rng.uniform(0.08, 0.35, n // 1600)) * SAMPLE_RATE
    for at in times[times < n - 3000].astype(int):
        struck[at] = rng.uniform(0.5, 1)
        struck[at + int(rng.uniform(900, 2000))] = rng.uniform(0.2, 0.5)
    sound = np.zeros(n)
    for pitch_hz, width_hz in ((420, 150), (1900, 400), (3800, 700), (5600, 900)):
        sound += rng.uniform(0.5, 1) * resonance(struck, pitch_hz, width_hz)
    return sound.astype(np.float32)


def breathing(n: int, rng: np.random.Generator) -> Float32Array:
    """Air drawn in quickly and let go slowly, through the resonances of nose and throat."""
    times_s = np.arange(n) / SAMPLE_RATE
    flow = np.zeros(n)
    now_s = rng.uniform(0.2, 0.8)
    while now_s < times_s[-1]:
        for depth, rise_s, fall_s in ((1.0, 0.15, 0.25), (0.6, 0.1, 0.6)):
            since = np.maximum(0.0, times_s - now_s)
            flow += depth * (1 - np.exp(-since / rise_s)) * np.exp(-since / fall_s)
            now_s += rng.uniform(0.9, 1.3)
        now_s += rng.uniform(0.5, 1.5)
    air = rng.standard_normal(n) * flow
    shaped = sum(resonance(air, hz, wide) for hz, wide in ((650, 400), (1500, 500), (2900, 900)))
    return (shaped + 0.3 * air).astype(np.float32)


def guitar(n: int, rng: np.random.Generator) -> Float32Array:
    """Chords of plucked strings (Karplus and Strong 1983) over a beat of drums."""
    sound = np.zeros(n + SAMPLE_RATE)
    beat = SAMPLE_RATE // 2
    for i, at in enumerate(range(0, n, beat)):
        root = (0, 5, 7, 9)[i // 4 % 4]
        for step in (0, 4, 7, 12):
            period = round(SAMPLE_RATE / (110.0 * 2 ** ((root + step) / 12)))
            pluck = np.zeros(SAMPLE_RATE)
            pluck[:period] = rng.uniform(-1, 1, period)
            poles = np.zeros(period + 2)
            poles[0], poles[period], poles[period + 1] = 1.0, -0.498, -0.498
            sound[at : at + SAMPLE_RATE] += lfilter([1.0], poles, pluck)
        fade = np.exp(-np.arange(beat) / (0.03 * SAMPLE_RATE))
        drum = np.sin(2 * np.pi * 70 * np.arange(beat) / SAMPLE_RATE)
        sound[at : at + beat] += fade * (3 * drum if i % 2 == 0 else rng.standard_normal(beat))
    return sound[:n].astype(np.float32)


def resonance(
    sound: npt.NDArray[np.float64], pitch_hz: float, width_hz: float
) -> npt.NDArray[np.float64]:
    """The sound through one resonance, at its own level."""
    radius = np.exp(-np.pi * width_hz / SAMPLE_RATE)
    poles = [1.0, -2 * radius * np.cos(2 * np.pi * pitch_hz / SAMPLE_RATE), radius**2]
    return np.asarray(lfilter([1.0], poles, sound), np.float64)


NOISES: dict[str, tuple[Maker, float]] = {
    "silence": (silence, 0.02),
    "noise": (noise, 0.02),
    "hum": (mains, 0.02),
    "keyboard": (keyboard, 0.03),
    "breath": (breathing, 0.03),
    "music": (guitar, 0.03),
}
"""Each sound, and the largest mean opening in it that is asked for."""


def sounds() -> dict[str, Recording]:
    """Half a minute of each noise, with the words that are pending."""
    made = {}
    for name, (make, _) in NOISES.items():
        sound = make(NOISE_SECONDS * SAMPLE_RATE, np.random.default_rng(SEED))
        level = float(np.sqrt(np.mean(sound**2)))
        sound = sound * np.float32(NOISE_LEVEL / level if level > 0 else 1.0)
        made[name] = Recording(name, sound, [], PENDING)
    return made


def openings(
    model: LipSyncModel, baselines: dict[str, System]
) -> tuple[dict[str, dict[str, float]], list[Asked]]:
    """By system and sound the mean `open`, and what is asked.

    Args:
        model: heard alone, and with a text that is pending and never spoken.
        baselines: other systems, of which nothing is asked.
    """
    ours = {AUDIO_80: lip_sync(model, SHORT_S), TEXT_PENDING: lip_sync(model, SHORT_S, told_text)}
    found: dict[str, dict[str, float]] = {name: {} for name in (*baselines, *ours)}
    for sound, recording in tqdm(sounds().items(), "noises", unit="sound", disable=None):
        for name, system in (*baselines.items(), *ours.items()):
            found[name][sound] = float(system(recording).control("open").mean())
    asked = [
        Asked(name, f"opening in {sound}", found[name][sound], most, False)
        for name in ours
        for sound, (_, most) in NOISES.items()
    ]
    return found, asked
