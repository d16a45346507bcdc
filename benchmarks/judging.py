"""Judges one sentence of a session, in a process of its own so that reception is not held up."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from avatar.avatar import Avatar
from benchmarks.av_sync import clocks_of, lag_between
from benchmarks.mouth_reading import FITTED_ON, MouthReader, fit_reader
from benchmarks.recording import AUDIO_HZ, Recording
from benchmarks.skew import Lag
from benchmarks.sound_breaks import Heard, compare

NICENESS = 10
"""The judging waits while the pod and its peer are busy; it is not measured."""
READABLE = 0.5
"""Correlation of mouth and sound below which the lag of a sentence is not read."""


@dataclass(frozen=True)
class Verdict:
    """What became of a sentence.

    Attributes:
        at_s: when its first sound came, on the peer's clock; when it was asked for if none did.
        length_s: of the sentence as sent.
        heard: how its sound was received; None when it was not.
        lags: clock -> how much later the mouth is than the sound; only where it can be read.
    """

    at_s: float
    length_s: float
    heard: Heard | None
    lags: dict[str, Lag]


@dataclass(frozen=True)
class _Eyes:
    """What the judging process has: the lip-sync model and the reader of the face."""

    avatar: Avatar
    reader: MouthReader


_eyes: _Eyes


class Judge:
    """Gives verdicts; made by `judging()`."""

    def __init__(self, process: ProcessPoolExecutor) -> None:
        """Take over a process that is prepared."""
        self._process = process

    async def verdict(self, sent: np.ndarray | None, recording: Recording) -> Verdict:
        """What became of a sentence.

        Args:
            sent: (samples,) int16, 48 kHz; None when it was not spoken.
            recording: of the time in which it was asked for and spoken.
        """
        asked_s = float(recording.event_times("/speak")[-1])
        if sent is None:
            return Verdict(asked_s, 0.0, None, {})
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._process, _verdict, asked_s, sent, recording)


@contextmanager
def judging(drawings: int = FITTED_ON) -> Iterator[Judge]:
    """A judge, ready; its process ends on leaving.

    Args:
        drawings: how many the reader of the mouth is fitted on.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _prepare, (drawings,)) as process:
        process.submit(os.getpid).result()
        yield Judge(process)


def _prepare(drawings: int) -> None:
    global _eyes
    os.nice(NICENESS)
    avatar = Avatar.load()
    _eyes = _Eyes(avatar, fit_reader(avatar.face().draw, drawings))


def _verdict(asked_s: float, sent: np.ndarray, recording: Recording) -> Verdict:
    length_s = len(sent) / AUDIO_HZ
    heard = compare(sent, recording.pcm)
    if heard is None or not len(recording.audio_packets):
        return Verdict(asked_s, length_s, None, {})
    wire_sound, _ = recording.wire_clocks()
    at_s = float(wire_sound(np.array([recording.pcm_rtp + heard.start]))[0])
    lags = {}
    if len(recording.pictures):
        opening = _eyes.reader.opening(recording.pictures)
        for name, clocks in clocks_of(recording).items():
            samples = (heard.start, heard.end)
            lag = lag_between(recording, opening, _eyes.avatar.model, clocks, samples)
            if lag.correlation >= READABLE:
                lags[name] = lag
    return Verdict(at_s, length_s, heard, lags)
