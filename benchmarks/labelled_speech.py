"""Recordings with labelled phones: a folder of them, Debian's test data, or held-out voices."""

import re
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.features import SAMPLE_RATE
from avatar.phones import Segment, canonical
from training.alignment import Aligner, AlignerMissing
from training.corpus import shards_of
from training.evaluate import held_out_utterances
from training.prepare import HELD_OUT_RUSSIAN_SHARD
from training.recipe import FULL
from training.synthesis import SynthesisError, Utterance

TEST_DATA = Path("/usr/share/pocketsphinx/test/data")


class SpeechMissing(Exception):
    """There is nothing to measure on; the message says what to install."""


@dataclass(frozen=True)
class Recording:
    """One recording and what is said in it.

    Attributes:
        name: of its file.
        pcm: (samples,) float32 in [-1, 1], mono, 16 kHz.
        segments: canonical phones with their times.
        text: the words, as far as anybody tells them; may be empty or wrong.
    """

    name: str
    pcm: npt.NDArray[np.float32]
    segments: list[Segment]
    text: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / SAMPLE_RATE


def read_folder(folder: Path) -> list[Recording]:
    """Every <id>.wav of the folder that has an <id>.tsv of start_s, end_s, ARPABET phone.

    The words are those of <id>.txt; without one there are none.

    Raises:
        SpeechMissing: there is none.
        ValueError: a WAV file is not 16-bit mono at 16 kHz, or a phone is unknown.
    """
    recordings = []
    for path in sorted(folder.glob("*.wav")):
        labels, words = path.with_suffix(".tsv"), path.with_suffix(".txt")
        if not labels.exists():
            continue
        segments: list[Segment] = []
        for line in labels.read_text(encoding="utf-8").splitlines():
            start, end, phone = line.split()
            segments.append((float(start), float(end), phone))
        text = words.read_text(encoding="utf-8").strip() if words.exists() else ""
        canon = canonical(segments, "arpabet")
        recordings.append(Recording(path.stem, _floats(_read_wav(path)), canon, text))
    if not recordings:
        raise SpeechMissing(f"{folder}: holds no pair of <id>.wav and <id>.tsv")
    return recordings


def align_test_data() -> list[Recording]:
    """The read sentences of Debian's pocketsphinx-testdata, aligned here by pocketsphinx.

    Raises:
        SpeechMissing: the Debian package or the Python package is not installed.
    """
    try:
        aligner = Aligner()
    except AlignerMissing as error:
        raise SpeechMissing(str(error)) from error
    if not TEST_DATA.is_dir():
        raise SpeechMissing("there is no speech: apt-get install pocketsphinx-testdata")
    recordings = []
    for path, text in _transcribed():
        pcm = _read_wav(path)
        found = aligner.align(pcm, text)
        if found is not None:
            canon = canonical(found.segments, "arpabet")
            recordings.append(Recording(path.stem, _floats(pcm), canon, text))
    return recordings


def held_out_russian() -> list[Recording]:
    """The sentences of festvox-ru that training never hears; without their words.

    Raises:
        SpeechMissing: festvox-ru is not installed.
    """
    kept = [
        shard for shard in shards_of(FULL, 0) if shard.path(Path()).stem == HELD_OUT_RUSSIAN_SHARD
    ]
    try:
        return _recordings("russian", [said for shard in kept for said in shard.utterances()])
    except SynthesisError as error:
        raise SpeechMissing(str(error)) from error


def held_out_voices(corpus: Path) -> dict[str, list[Recording]]:
    """What voices kept from training say in a corpus of training's, by engine; without words.

    Args:
        corpus: the folder of its shards, *.npz.

    Raises:
        SpeechMissing: there are none.
    """
    groups = held_out_utterances(sorted(corpus.glob("*.npz")), FULL.judged)
    if not groups:
        raise SpeechMissing(f"{corpus}: holds no shard with a voice kept from training")
    return {engine: _recordings(engine, utterances) for engine, utterances in groups.items()}


def _recordings(name: str, utterances: Iterable[Utterance]) -> list[Recording]:
    return [
        Recording(
            f"{name}-{number:03d}",
            _floats(utterance.pcm),
            canonical(utterance.segments, utterance.inventory)
            if utterance.inventory != "canonical"
            else utterance.segments,
        )
        for number, utterance in enumerate(utterances)
    ]


def _transcribed() -> list[tuple[Path, str]]:
    """Path and words of each sentence of the test data that has both."""
    pairs = []
    for folder, transcription in (("librivox", "transcription"), ("cards", "cards.transcription")):
        for line in (TEST_DATA / folder / transcription).read_text().splitlines():
            found = re.fullmatch(r"<s> (.+?)\s+</s> \((\S+)\)", line.strip())
            if found:
                pairs.append((TEST_DATA / folder / f"{found[2]}.wav", found[1]))
    return pairs


def _floats(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    return pcm.astype(np.float32) / np.float32(32768)


def _read_wav(path: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(path)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, SAMPLE_RATE):
            raise ValueError(f"{path}: is not 16-bit mono at {SAMPLE_RATE} Hz")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
