"""Measures what a picture of the avatar costs: drawing, lip-sync model, memory, loading.

    python -m benchmarks.avatar_cost
    python -m benchmarks.avatar_cost --size 720 --pictures 1800 --json

CPU milliseconds of the drawing thread, one picture at a time, in a face that lives as in a
session. Each figure comes again as a multiple of one 512x512 BGRA remap measured all through the
run, because a shared machine is sometimes half as fast as a minute ago. Encoding is not included.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.config import AvatarConfig
from avatar.controls import MOUTH, VISEME_POSES
from avatar.life import Life
from avatar.lipsync import LipSyncModel, LipSyncState
from avatar.performance import Performance
from avatar.rig import load_rig
from benchmarks.machine import remap_ms
from benchmarks.report import Figure, print_report

FPS = 30
VOICE_HZ = 16_000
WARM_UP = 15
BUDGET_SIZE, BUDGET_MEAN_MS, BUDGET_P99_MS = 512, 4.0, 8.0
BUDGET_MODEL_MS = 1.0
MEBI = 1 << 20


def mouth_track(pictures: int, seed: int = 7) -> NDArray[np.float32]:
    """A fluent talker: random visemes of 70 to 160 ms that run into one another, some pauses.

    Returns:
        (pictures, 10) float32, columns as in MOUTH.
    """
    rng = np.random.default_rng(seed)
    shapes = np.array([[getattr(pose, name) for name in MOUTH] for pose in VISEME_POSES.values()])
    middles, chosen, now_s = [], [], 0.0
    while now_s < pictures / FPS + 1:
        pause = rng.random() < 0.07
        length_s = 0.35 if pause else rng.uniform(0.07, 0.16)
        middles.append(now_s + length_s / 2)
        chosen.append(0 if pause else int(rng.integers(1, len(shapes))))
        now_s += length_s
    times_s = np.arange(pictures)[:, None] / FPS
    weight = np.exp(-((np.abs(times_s - np.array(middles)) / 0.045) ** 1.4))
    return (weight @ shapes[chosen] / weight.sum(1, keepdims=True)).astype(np.float32)


def voice(seconds: float, seed: int = 7) -> NDArray[np.int16]:
    """Something like speech: a gliding buzz with a syllable's rhythm; (samples,) int16, 16 kHz."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * VOICE_HZ)) / VOICE_HZ
    pitch_hz = 130 + 25 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / VOICE_HZ
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    loud = np.clip(np.sin(2 * np.pi * 3.1 * time_s), 0, 1)
    return ((buzz * loud + 0.02 * rng.normal(size=len(time_s))) * 6000).astype(np.int16)


class Stopwatch:
    """Times many short pieces of work, and the yardstick between them."""

    def __init__(self, yardstick_every: int) -> None:
        self._every = yardstick_every
        self._remaps: list[float] = []

    def run(self, work: Iterable[Callable[[], object]]) -> NDArray[np.float64]:
        """CPU milliseconds of each piece, in this thread; the first few are left out."""
        spent = []
        for index, piece in enumerate(work):
            if index % self._every == 0:
                self._remaps.append(remap_ms(20))
            start = time.thread_time()
            piece()
            spent.append((time.thread_time() - start) * 1e3)
        return np.array(spent[WARM_UP:])

    @property
    def remap(self) -> float:
        """Milliseconds of one remap, median over the whole run."""
        return float(np.median(self._remaps))


def _figure(name: str, spent: NDArray[np.float64], limits: dict[str, float]) -> Figure:
    values = {
        "mean": float(spent.mean()),
        "p50": float(np.percentile(spent, 50)),
        "p99": float(np.percentile(spent, 99)),
        "n": float(len(spent)),
    }
    return Figure(name, values, "ms CPU a picture", limits)


def _in_remaps(figure: Figure, remap: float) -> Figure:
    values = {name: value / remap for name, value in figure.values.items() if name != "n"}
    return Figure(f"  {figure.name}", values, "remaps")


def drawing(avatar: Avatar, watch: Stopwatch, pictures: int) -> list[Figure]:
    """Drawing alone, talking and idle."""
    face = avatar.face()
    fits = avatar.config.size <= BUDGET_SIZE
    budget = {"mean": BUDGET_MEAN_MS, "p99": BUDGET_P99_MS} if fits else {}
    figures = []
    for name, speaking in (("draw, talking", True), ("draw, idle", False)):
        life, track = Performance(seed=3), mouth_track(pictures)
        poses = [life.pose(k / FPS, track[k] if speaking else None) for k in range(pictures)]
        spent = watch.run(partial(face.draw, pose) for pose in poses)
        figures.append(_figure(name, spent, budget))
    return figures


def hearing(model: LipSyncModel, watch: Stopwatch, pictures: int) -> list[Figure]:
    """Features and model, and the whole animator, a picture's length of speech at a time."""
    pcm = voice(pictures / FPS)
    cuts = [k * VOICE_HZ // FPS for k in range(pictures + 1)]
    pieces = [pcm[a:b] for a, b in pairwise(cuts)]
    floats = [piece.astype(np.float32) / 32768 for piece in pieces]
    state, animator = LipSyncState(model), Animator(model, VOICE_HZ, FPS)
    limit = {"mean": BUDGET_MODEL_MS}
    heard = watch.run(partial(state.feed, piece) for piece in floats)
    whole = watch.run(partial(animator.feed, piece) for piece in pieces)
    return [
        _figure("lip-sync features and model", heard, limit),
        _figure("animator with it", whole, {}),
    ]


def living(watch: Stopwatch, pictures: int) -> Figure:
    """The face's own life."""
    life = Life(3)
    times = [k / FPS for k in range(pictures)]
    spent = watch.run(partial(life.face, at, True, 0.3) for at in times)
    return _figure("life", spent, {})


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of a picture (default 512)")
    parser.add_argument("--pictures", type=int, default=900, help="of each kind (default 900)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.pictures < 2 * WARM_UP:
        parser.error(f"--pictures must be at least {2 * WARM_UP}")
    cv2.setNumThreads(1)
    process = psutil.Process()
    imported = process.memory_info().rss / MEBI
    config = AvatarConfig(size=options.size)
    rig_ms = _timed(lambda: load_rig(config.rig))
    model_ms = _timed(lambda: LipSyncModel.load(config.model))
    avatar = Avatar.load(config)
    face_ms = _timed(avatar.still)
    watch = Stopwatch(max(1, options.pictures // 10))
    figures = drawing(avatar, watch, options.pictures)
    figures += hearing(avatar.model, watch, options.pictures)
    figures.append(living(watch, options.pictures))
    figures = [one for figure in figures for one in (figure, _in_remaps(figure, watch.remap))]
    loading = {"rig": rig_ms, "model": model_ms, "face and first picture": face_ms}
    figures.append(Figure("yardstick", {"remap": watch.remap}, "ms CPU"))
    figures.append(Figure("load", loading, "ms CPU"))
    resident = {"imported": imported, "after": process.memory_info().rss / MEBI}
    figures.append(Figure("memory, resident", resident, "MiB"))
    print_report(f"Cost of the avatar, {options.size}x{options.size}", figures, options.json)


if __name__ == "__main__":
    main()
