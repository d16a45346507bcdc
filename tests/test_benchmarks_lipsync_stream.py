"""The long stream: words told in time, and a place that is kept where the phones are clear."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avatar.controls import MOUTH, VISEMES
from avatar.features import SAMPLE_RATE
from avatar.lipsync import Heads, LipSyncModel
from avatar.phones import PHONES
from avatar.pronunciation import words_of
from avatar.words import Word
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_stream import Stream, believed_words, longest_run, stream, word_times
from benchmarks.lipsync_systems import SHORT_S, KnownSound

TINY = Path(__file__).parent / "data" / "tiny.onnx"
PHONE_S = 0.09
TEXTS = (
    "my mother bought a big blue umbrella",
    "we moved to boston before winter came",
    "people often forget what they promised",
)


def _spoken(text: str) -> Recording:
    """Labels as if each phone of a text took as long as the others; no sound."""
    phones = [phone for word in words_of(text) for phone in word.ways[0]]
    times_s = 0.2 + PHONE_S * np.arange(len(phones) + 1)
    segments = [(times_s[i], times_s[i + 1], phone) for i, phone in enumerate(phones)]
    samples = int((times_s[-1] + 0.2) * SAMPLE_RATE)
    return Recording(text, np.zeros(samples, np.float32), segments, text)


class ClearPhones(KnownSound):
    """A model that hears the labelled phones, whatever the sound."""

    def __init__(self, model: LipSyncModel, recording: Recording) -> None:
        self.path, self.card = model.path, model.card
        rows = len(recording.pcm) // 320 + 30
        heads, delays = len(self.card.delays_rows), self.card.delays_rows
        phones = np.full((rows, heads, len(PHONES)), 0.1 / len(PHONES), np.float32)
        said = [PHONES.index("sil")] * rows
        for start, end, phone in recording.segments:
            for row in range(round(start / 0.02), round(end / 0.02)):
                said[row] = PHONES.index(phone)
        for head, delay in enumerate(delays):
            for row in range(delay, rows):
                phones[row, head, said[row - delay]] += 0.9
        mouth = np.zeros((rows, heads, len(MOUTH)), np.float32)
        visemes = np.zeros((rows, heads, len(VISEMES)), np.float32)
        self._heads = Heads(mouth, visemes, np.log(phones))


@pytest.fixture(scope="module")
def said() -> Iterator[Stream]:
    yield stream([_spoken(text) for text in TEXTS], seconds=12)


def test_words_are_told_just_before_their_sound(said: Stream) -> None:
    clips = [_spoken(text) for text in TEXTS]
    lengths = [len(clip.pcm) for clip in clips]
    starts = np.cumsum([0, *lengths, *lengths])
    assert [sample for sample, _ in said.told] == starts[: len(said.told)].tolist()
    assert said.recording.seconds >= 12
    assert all(a < b for (a, _), (b, _) in zip(said.spoken, said.spoken[1:], strict=False))
    words = [word.text for _, lot in said.told for word in lot]
    true = " ".join(TEXTS[i % 3] for i in range(len(said.told))).split()
    wrong = np.mean([a != b for a, b in zip(words, true, strict=True)])
    assert 0.02 < wrong < 0.2


def test_word_times_are_those_of_their_first_phones() -> None:
    clip = _spoken("my big umbrella")
    found = word_times(clip.segments, words_of(clip.text))
    counts = np.cumsum([0] + [len(word.ways[0]) for word in words_of(clip.text)])
    assert [number for _, number in found] == [0, 1, 2]
    assert [time_s for time_s, _ in found] == pytest.approx(0.2 + PHONE_S * counts[:3])


def test_a_phone_that_is_not_written_is_passed_over() -> None:
    words = [Word("ab", (("aa", "b"),)), Word("um", (("uw", "m"),))]
    segments = [(0.0, 0.1, "aa"), (0.1, 0.2, "s"), (0.2, 0.3, "b"), (0.3, 0.4, "sil")]
    segments += [(0.4, 0.5, "uw"), (0.5, 0.6, "m")]
    assert word_times(segments, words) == [(0.0, 0), (0.4, 1)]


def test_clear_phones_keep_the_place_among_wrong_words(said: Stream) -> None:
    model = ClearPhones(LipSyncModel.load(TINY), said.recording)
    believed = believed_words(model, said, SHORT_S)
    starts_s, numbers = (np.array(column) for column in zip(*said.spoken, strict=True))
    times_s = (np.arange(len(believed)) + 0.5) * 0.02
    true = numbers[np.maximum(0, np.searchsorted(starts_s, times_s, "right") - 1)]
    assert np.mean(np.abs(believed - true) <= 2) > 0.95


def test_the_longest_run() -> None:
    assert longest_run(np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)) == 3
    assert longest_run(np.zeros(5, bool)) == 0
    assert longest_run(np.zeros(0, bool)) == 0
