"""A long stream of sentences with wrong words in their texts: whether the place is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from avatar.features import SAMPLE_RATE
from avatar.lipsync import LipSyncModel
from avatar.model_card import ROW_SAMPLES
from avatar.phones import Segment
from avatar.pronunciation import words_of
from avatar.words import Word
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_conditions import with_wrong_words
from benchmarks.lipsync_systems import (
    AUDIO_80,
    LONG_S,
    SHORT_S,
    TEXT_80,
    TEXT_240,
    Asked,
    Measured,
    Told,
    hear,
    lip_sync,
    measure,
    state_at,
)

Float32Array = npt.NDArray[np.float32]

STREAM_S = 150.0
SAME_MOUTH = 0.02
"""Two mouths none of whose controls differ by more are the same."""
OFF_WORDS = 2
"""A place farther than this from the word that is spoken is a wrong one."""


@dataclass(frozen=True)
class Stream:
    """Recordings one after the other, each one's words told just before its sound.

    Attributes:
        recording: all in one.
        told: words with the sample at which they are told.
        spoken: from which second on which word is spoken, counted in words that were told.
    """

    recording: Recording
    told: Told
    spoken: list[tuple[float, float]]


def stream(recordings: Sequence[Recording], seconds: float = STREAM_S) -> Stream:
    """At least so many seconds of speech, a tenth of its words told wrongly.

    Args:
        recordings: with text; said again where they are shorter.
        seconds: how long.
    """
    wrong = with_wrong_words(recordings, drop=False)
    pieces: list[Float32Array] = []
    segments: list[Segment] = []
    told: list[tuple[int, Sequence[Word]]] = []
    spoken: list[tuple[float, float]] = []
    at = count = 0
    while at < seconds * SAMPLE_RATE:
        recording, heard = recordings[len(pieces) % len(wrong)], wrong[len(pieces) % len(wrong)]
        start_s, true, words = at / SAMPLE_RATE, words_of(recording.text), words_of(heard.text)
        told.append((at, words))
        for time_s, word in word_times(recording.segments, true):
            spoken.append((start_s + time_s, count + word * len(words) / max(1, len(true))))
        segments += [(start_s + a, start_s + b, phone) for a, b, phone in recording.segments]
        pieces.append(recording.pcm)
        at += len(recording.pcm)
        count += len(words)
    return Stream(Recording("stream", np.concatenate(pieces), segments), told, spoken)


def word_times(segments: Sequence[Segment], words: Sequence[Word]) -> list[tuple[float, int]]:
    """From which second on which word is spoken, by the likeness of their phones in a row."""
    spoken = [(start, phone) for start, _, phone in segments if phone != "sil"]
    written = [(number, phone) for number, word in enumerate(words) for phone in word.ways[0]]
    matcher = SequenceMatcher(
        None, [phone for _, phone in written], [phone for _, phone in spoken], autojunk=False
    )
    times: list[tuple[float, int]] = []
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            number = written[block.a + k][0]
            if not times or times[-1][1] != number:
                times.append((spoken[block.b + k][0], number))
    return times


@dataclass(frozen=True)
class Lost:
    """How long the text was of no use in a stream, in seconds of speech, at the longest.

    Attributes:
        off_place_s: the follower took another word than the spoken one or its neighbours.
        distrusted_s: the mouth was that of the sound alone.
    """

    off_place_s: float
    distrusted_s: float


def longest_run(rows: npt.NDArray[np.bool_]) -> int:
    """The length of the longest run of True."""
    edges = np.diff(np.concatenate(([0], rows.astype(np.int8), [0])))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))


def lost(model: LipSyncModel, said: Stream, lookahead_s: float) -> Lost:
    """How long the text was lost.

    Args:
        model: the model.
        said: the stream.
        lookahead_s: what a row may wait for.
    """
    pcm, row_s = said.recording.pcm, model.card.row_s
    believed = believed_words(model, said, lookahead_s)
    times_s = (np.arange(len(believed)) + 0.5) * row_s
    starts_s, numbers = (np.array(column) for column in zip(*said.spoken, strict=True))
    true = numbers[np.maximum(0, np.searchsorted(starts_s, times_s, "right") - 1)]
    speaks = np.zeros(len(believed), bool)
    for start, end, phone in said.recording.segments:
        if phone != "sil":
            speaks[int(start / row_s) : int(end / row_s)] = True
    off = np.abs(believed - true) > OFF_WORDS
    read, _ = hear(model, pcm, lookahead_s, said.told)
    heard, _ = hear(model, pcm, lookahead_s)
    same = np.abs(read - heard).max(axis=1)[: len(speaks)] < SAME_MOUTH
    same = same[speaks[: len(same)]]
    return Lost(row_s * longest_run(off[speaks]), row_s * longest_run(same))


def believed_words(
    model: LipSyncModel, said: Stream, lookahead_s: float
) -> npt.NDArray[np.float64]:
    """(rows,) which of the told words was believed to be spoken, when each row was newest.

    The follower hears a row when the network has it, the model's first delay later.
    """
    state = state_at(model, lookahead_s)
    told, count = list(said.told), 0
    pcm, delay = said.recording.pcm, round(model.card.lookahead_s / model.card.row_s)
    places = []
    steps = range(0, len(pcm), ROW_SAMPLES)
    for at in tqdm(steps, "follow the stream", unit="row", disable=None):
        while told and told[0][0] <= at:
            _, words = told.pop(0)
            state.expect(words)
            count += len(words)
        state.feed(pcm[at : at + ROW_SAMPLES])
        places.append(count - len(state.words_ahead))
    return np.array(places[delay:], np.float64)


def stream_figures(
    model: LipSyncModel, recordings: Sequence[Recording]
) -> tuple[dict[str, Measured], dict[str, Lost], list[Asked]]:
    """Figures of each system on the stream, how long text was lost, and what is asked.

    Args:
        model: the model.
        recordings: with text.
    """
    said = stream(recordings)
    found = measure(
        {
            AUDIO_80: lip_sync(model, SHORT_S),
            TEXT_80: lip_sync(model, SHORT_S, lambda _: said.told),
            TEXT_240: lip_sync(model, LONG_S, lambda _: said.told),
        },
        [said.recording],
        "stream",
    )
    losses = {TEXT_80: lost(model, said, SHORT_S), TEXT_240: lost(model, said, LONG_S)}
    asked = []
    for name, loss in losses.items():
        what = f"stream: {name}"
        asked.append(Asked(what, "f1", found[name].f1, 0.86))
        asked.append(Asked(what, "longest off its place, s", loss.off_place_s, 3.0, False))
    return found, losses, asked
