"""What hearing and following a text cost: CPU time of the model's session, size, memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle

import numpy as np
import numpy.typing as npt
import psutil
from tqdm import tqdm

from avatar.lipsync import LipSyncModel, LipSyncState
from avatar.pronunciation import words_of
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_systems import LONG_S, Asked, Float32Array

CHUNK = 640
"""Samples in 40 ms."""
HOUR_S = 3600.0
SETTLED_S = 300.0
MEBI = 1 << 20


@dataclass(frozen=True)
class Cost:
    """What a session with text at the longest look-ahead takes of one thread.

    Attributes:
        realtime: CPU seconds a second of sound: features, network, alignment, reading the text.
        realtime_alone: the same without a text.
        chunk_p50_ms, chunk_p99_ms: CPU of one 40 ms chunk.
        chunk_wall_p99_ms: the same by the clock on the wall; other work on the machine counts.
        expect_ms: CPU of telling one sentence, pronunciation included, at the most.
        model_mb: size of the ONNX file in millions of bytes.
    """

    realtime: float
    realtime_alone: float
    chunk_p50_ms: float
    chunk_p99_ms: float
    chunk_wall_p99_ms: float
    expect_ms: float
    model_mb: float

    def as_numbers(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def cost(model: LipSyncModel, recordings: Sequence[Recording]) -> tuple[Cost, list[Asked]]:
    """Measure on all recordings, each a speech of its own; and what is asked."""
    spent: list[float] = []
    passed: list[float] = []
    told: list[float] = []
    state = LipSyncState(model)
    state.lookahead_s = LONG_S
    rest_s = alone_s = 0.0
    for recording in tqdm(recordings, "cost", unit="recording", disable=None):
        told.append(_cpu_s(lambda text=recording.text: state.expect(words_of(text))))  # type: ignore[misc]
        for piece in _chunks(recording.pcm):
            wall = time.perf_counter()
            spent.append(_cpu_s(lambda piece=piece: state.feed(piece)))  # type: ignore[misc]
            passed.append(time.perf_counter() - wall)
        rest_s += _cpu_s(state.flush)
        for piece in _chunks(recording.pcm):
            alone_s += _cpu_s(lambda piece=piece: state.feed(piece))  # type: ignore[misc]
        alone_s += _cpu_s(state.flush)
    seconds = sum(recording.seconds for recording in recordings)
    found = Cost(
        realtime=(sum(spent) + sum(told) + rest_s) / seconds,
        realtime_alone=alone_s / seconds,
        chunk_p50_ms=1e3 * float(np.median(spent)),
        chunk_p99_ms=1e3 * float(np.percentile(spent, 99)),
        chunk_wall_p99_ms=1e3 * float(np.percentile(passed, 99)),
        expect_ms=1e3 * max(told),
        model_mb=model.path.stat().st_size / 1e6,
    )
    asked = [
        Asked("cost", "real-time factor", found.realtime, 0.008, False),
        Asked("cost", "p99 of a 40 ms chunk, ms", found.chunk_p99_ms, 2.0, False),
        Asked("cost", "model, MB", found.model_mb, 2.0, False),
    ]
    return found, asked


def memory_of_an_hour(
    model: LipSyncModel, recordings: Sequence[Recording], seconds: float = HOUR_S
) -> dict[str, float]:
    """Resident memory in MiB after five minutes of one unbroken speech, and at its end.

    Args:
        model: the model.
        recordings: said again and again, each one's words told just before it.
        seconds: how much sound there is in all.
    """
    process = psutil.Process()
    state = LipSyncState(model)
    state.lookahead_s = LONG_S
    fed_s = 0.0
    resident: dict[str, float] = {}
    words = [words_of(recording.text) for recording in recordings]
    with tqdm(total=round(seconds), desc="an hour", unit="s", disable=None) as bar:
        for recording, told in cycle(zip(recordings, words, strict=True)):
            state.expect(told)
            for piece in _chunks(recording.pcm):
                state.feed(piece)
            fed_s += recording.seconds
            bar.update(round(fed_s) - bar.n)
            if fed_s >= min(SETTLED_S, seconds / 2) and not resident:
                resident["after_5_min_mib"] = process.memory_info().rss / MEBI
            if fed_s >= seconds:
                break
    resident["at_end_mib"] = process.memory_info().rss / MEBI
    resident["grown_mib"] = resident["at_end_mib"] - resident["after_5_min_mib"]
    resident["audio_s"] = fed_s
    return resident


def _chunks(pcm: Float32Array) -> Iterator[npt.NDArray[np.float32]]:
    for at in range(0, len(pcm), CHUNK):
        yield pcm[at : at + CHUNK]


def _cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this thread; the network runs on it alone."""
    start = time.thread_time()
    work()
    return time.thread_time() - start
