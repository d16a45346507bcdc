"""Features and targets of the corpus, each utterance spoken anew several times over."""

import json
import os
import zlib
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, sosfilt
from tqdm import tqdm

from avatar.dominance import mouth_targets, phone_ids, viseme_ids, without_gaps
from avatar.features import (
    BANDS,
    FFT_SIZE,
    HOP_SAMPLES,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    mel_filters,
)
from training.augment import PREPARED_FLOOR
from training.corpus import read_shard
from training.neural import HELD_OUT_VOICES
from training.noises import KINDS, room
from training.recipe import RECORDED, Recipe
from training.synthesis import Utterance

Float32Array = npt.NDArray[np.float32]

HELD_OUT_ESPEAK = frozenset(("f3", "m6", "klatt4", "Michael", "belinda", "john"))
HELD_OUT_RUSSIAN_SHARD = "russian-09"
HELD_OUT_RECORDED = 12
"""Of the people who were recorded about one in so many is kept from training, by name."""
ROW_S = 0.02
HISSING = 0.5
"""Share of the renderings with hiss; the others keep the silences that synthesisers make."""


def held_out(utterance: Utterance, shard: str) -> bool:
    """Whether a voice (or for the one Russian speaker, a recording) is kept from training."""
    if utterance.voice == "festival-ked":
        return True
    if utterance.voice.startswith(RECORDED):
        return zlib.crc32(utterance.voice.encode()) % HELD_OUT_RECORDED == 0
    name = utterance.voice.partition("+")[2]
    return shard == HELD_OUT_RUSSIAN_SHARD or name in HELD_OUT_ESPEAK or name in HELD_OUT_VOICES


@dataclass(frozen=True)
class Prepared:
    """A run of sound as the network sees it, and what the mouth does."""

    mel: Float32Array
    """(2 * rows, 40)"""
    mouth: Float32Array
    """(rows, 10) at (row + 0.5) * ROW_S"""
    visemes: npt.NDArray[np.int16]
    """(rows,) indices in VISEMES"""
    phones: npt.NDArray[np.int16]
    """(rows,) indices in PHONES"""


_FILTERS = mel_filters()
_WINDOW = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


def log_mel(pcm: Float32Array, tempo: float = 1.0) -> Float32Array:
    """Log-mel of a whole sound as LogMel gives it, but for the floor, which is PREPARED_FLOOR.

    Tempo > 1 makes it faster at equal pitch.
    """
    hop = HOP_SAMPLES * tempo
    rows = int(len(pcm) / hop)
    history = WINDOW_SAMPLES - HOP_SAMPLES
    padded = np.concatenate(
        (np.zeros(history, np.float32), pcm, np.zeros(WINDOW_SAMPLES, np.float32))
    )
    starts = np.round(np.arange(rows) * hop + HOP_SAMPLES * (tempo - 1)).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[
        np.maximum(0, starts)
    ]
    spectrum = np.fft.rfft(windows * _WINDOW, FFT_SIZE)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.log(power @ _FILTERS + np.float32(PREPARED_FLOOR))


def vary(pcm: Float32Array, rng: np.random.Generator) -> Float32Array:
    """The same speech through another microphone, room and line; level 0 to -30 dB."""
    if rng.random() < 0.5:
        tilt = rng.uniform(-0.6, 0.6)
        pcm = np.concatenate((pcm[:1], pcm[1:] + tilt * pcm[:-1]))
    if rng.random() < 0.35:
        pcm = fftconvolve(pcm, room(rng))[: len(pcm)].astype(np.float32)
    if rng.random() < 0.20:
        edges = [rng.uniform(100, 350), rng.uniform(3100, 3900)]
        pcm = sosfilt(butter(4, edges, "band", fs=SAMPLE_RATE, output="sos"), pcm)
    elif rng.random() < 0.15:
        pcm = sosfilt(butter(4, rng.uniform(3800, 7500), fs=SAMPLE_RATE, output="sos"), pcm)
    if rng.random() < 0.35:
        kind = KINDS[str(rng.choice(["coloured", "rustle", "hum", "music", "clicks"]))]
        loudness = float(np.sqrt(np.mean(pcm**2))) * 10 ** (-rng.uniform(5, 40) / 20)
        pcm = pcm + kind(len(pcm), rng) * loudness
    pcm = pcm / (np.abs(pcm).max() + 1e-6) * 10 ** (-rng.uniform(0, 30) / 20)
    if rng.random() < 0.1:
        companded = np.sign(pcm) * np.log1p(255 * np.abs(pcm)) / np.log(256)
        companded = np.round(companded * 127) / 127
        pcm = np.sign(companded) * (256 ** np.abs(companded) - 1) / 255
    if rng.random() < HISSING:
        pcm = pcm + rng.standard_normal(len(pcm)) * 10 ** (-rng.uniform(60, 95) / 20)
    return np.asarray(pcm, np.float32)


def prepare_utterance(utterance: Utterance, rng: np.random.Generator, plain: bool) -> Prepared:
    """One utterance between silences; unless plain, with another body, tempo and surroundings."""
    pcm = utterance.pcm.astype(np.float32) / 32768
    before_s = rng.uniform(0.05, 0.8) if rng.random() < 0.85 else rng.uniform(0.8, 2.0)
    speed = tempo = 1.0
    if not plain and rng.random() < 0.75:
        speed = rng.uniform(0.84, 1.22)
        positions = np.arange(int(len(pcm) / speed)) * speed
        pcm = np.interp(positions, np.arange(len(pcm)), pcm).astype(np.float32)
    pcm = np.concatenate((np.zeros(int(before_s * SAMPLE_RATE), np.float32), pcm))
    if not plain:
        pcm = vary(pcm, rng)
        if rng.random() < 0.6:
            tempo = rng.uniform(0.8, 1.35)
    mel = log_mel(pcm, tempo)
    rows = len(mel) // 2
    segments = [
        ((before_s + start / speed) / tempo, (before_s + end / speed) / tempo, phone)
        for start, end, phone in utterance.segments
    ]
    segments = without_gaps(segments, rows * ROW_S)
    times_s = (np.arange(rows) + 0.5) * ROW_S
    return Prepared(
        mel[: 2 * rows],
        mouth_targets(segments, times_s),
        viseme_ids(segments, times_s),
        phone_ids(segments, times_s),
    )


def _write(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(partial, path)


def prepare_shard(shard: Path, number: int, out: Path, seed: int) -> None:
    """Features and targets of one shard; number 0 is the plain pass over held-out voices."""
    rng = np.random.default_rng(zlib.crc32(f"{seed} {shard.stem} {number}".encode()))
    runs, voices = [], []
    for utterance in read_shard(shard):
        if held_out(utterance, shard.stem) == (number == 0):
            runs.append(prepare_utterance(utterance, rng, plain=number == 0))
            voices.append(utterance.voice)
    if not runs:
        runs.append(
            Prepared(
                np.empty((0, BANDS), np.float32),
                np.empty((0, 10), np.float32),
                np.empty(0, np.int16),
                np.empty(0, np.int16),
            )
        )
    _write(
        out,
        mel=np.concatenate([run.mel for run in runs]).astype(np.float16),
        mouth=np.concatenate([run.mouth for run in runs]).astype(np.float16),
        visemes=np.concatenate([run.visemes for run in runs]).astype(np.int8),
        phones=np.concatenate([run.phones for run in runs]).astype(np.int8),
        rows=np.array([len(run.mouth) for run in runs]),
        voices=np.array(json.dumps(voices)),
    )


def prepare_noise(kind: str, out: Path, minutes: int, seed: int) -> None:
    """Features of so many minutes of one kind of noise at a root mean square of 0.1."""
    rng = np.random.default_rng(zlib.crc32(f"{seed} {kind}".encode()))
    pieces = []
    for _ in range(minutes * 6):
        sound = KINDS[kind](10 * SAMPLE_RATE, rng)
        if rng.random() < 0.3:
            sound = fftconvolve(sound, room(rng))[: len(sound)].astype(np.float32)
        pieces.append(log_mel(0.1 * sound).astype(np.float16))
    _write(out, mel=np.concatenate(pieces))


def prepare(shards: list[Path], folder: Path, recipe: Recipe, seed: int, workers: int = 2) -> None:
    """Write every file of features that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        jobs = []
        for kind in KINDS:
            out = folder / f"noise-{kind}.npz"
            if not out.exists():
                jobs.append(pool.submit(prepare_noise, kind, out, recipe.noise_minutes, seed))
        for number in range(recipe.passes + 1):
            for shard in shards:
                out = folder / f"{shard.stem}-pass{number}.npz"
                if not out.exists():
                    jobs.append(pool.submit(prepare_shard, shard, number, out, seed))
        for job in tqdm(as_completed(jobs), "prepare", total=len(jobs), unit="file"):
            job.result()
