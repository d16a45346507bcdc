"""Recordings with labelled phones: a folder of them, or one built from Debian's test data."""

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.features import SAMPLE_RATE
from training.phones import Segment, canonical

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
    """

    name: str
    pcm: npt.NDArray[np.float32]
    segments: list[Segment]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


def read_folder(folder: Path) -> list[Recording]:
    """Every <id>.wav of the folder that has an <id>.tsv of start_s, end_s, ARPABET phone.

    Raises:
        SpeechMissing: there is none.
        ValueError: a WAV file is not 16-bit mono at 16 kHz, or a phone is unknown.
    """
    recordings = []
    for path in sorted(folder.glob("*.wav")):
        labels = path.with_suffix(".tsv")
        if not labels.exists():
            continue
        segments: list[Segment] = []
        for line in labels.read_text().splitlines():
            start, end, phone = line.split()
            segments.append((float(start), float(end), phone))
        pcm = _read_wav(path).astype(np.float32) / 32768
        recordings.append(Recording(path.stem, pcm, canonical(segments, "arpabet")))
    if not recordings:
        raise SpeechMissing(f"{folder}: holds no pair of <id>.wav and <id>.tsv")
    return recordings


def align_test_data() -> list[Recording]:
    """The read sentences of Debian's pocketsphinx-testdata, aligned here by pocketsphinx.

    Raises:
        SpeechMissing: the Debian package or the Python package is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise SpeechMissing("the aligner is missing: pip install pocketsphinx") from error
    if not TEST_DATA.is_dir():
        raise SpeechMissing("there is no speech: apt-get install pocketsphinx-testdata")
    recordings = []
    for path, text in _transcribed():
        decoder = Decoder(
            cmn="batch", beam=1e-80, wbeam=1e-80, pbeam=1e-80, fwdflat=False, bestpath=False
        )
        pcm = _read_wav(path)
        decoder.set_align_text(text)
        for second_pass in (False, True):
            if second_pass:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(pcm.tobytes(), full_utt=True)
            decoder.end_utt()
        segments = [
            (phone.start / 100, (phone.start + phone.duration) / 100, phone.name)
            for word in decoder.get_alignment()
            for phone in word
        ]
        floats = pcm.astype(np.float32) / 32768
        recordings.append(Recording(path.stem, floats, canonical(segments, "arpabet")))
    return recordings


def _transcribed() -> list[tuple[Path, str]]:
    """Path and words of each sentence of the test data that has both."""
    pairs = []
    for folder, transcription in (("librivox", "transcription"), ("cards", "cards.transcription")):
        for line in (TEST_DATA / folder / transcription).read_text().splitlines():
            found = re.fullmatch(r"<s> (.+?)\s+</s> \((\S+)\)", line.strip())
            if found:
                pairs.append((TEST_DATA / folder / f"{found[2]}.wav", found[1]))
    return pairs


def _read_wav(path: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(path)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, SAMPLE_RATE):
            raise ValueError(f"{path}: is not 16-bit mono at {SAMPLE_RATE} Hz")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
