"""Phone times of English speech whose words are known, by pocketsphinx's aligner."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.phones import Segment

try:
    from pocketsphinx import Decoder
except ImportError:  # needed for neural voices and for the benchmark's real speech only
    Decoder = None

FRAME_S = 0.01


class AlignerMissing(Exception):
    """The aligner is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Alignment:
    """The phones of a text in its sound.

    Attributes:
        segments: Start and end in seconds and ARPABET name of each phone and pause, noises among
            these.
        fit: How well the sound fits the phones: mean over the frames of speech of how much less
            likely than the likeliest of all sounds they are, in steps of the aligner; 0 at best.
    """

    segments: list[Segment]
    fit: float


class Aligner:
    """Pocketsphinx with its own American English model and dictionary; 10 ms grid."""

    def __init__(self) -> None:
        """Load the model.

        Raises:
            AlignerMissing: pocketsphinx is not installed.
        """
        if Decoder is None:
            raise AlignerMissing("the aligner is missing: pip install pocketsphinx")
        self._decoder = Decoder(
            cmn="batch",
            beam=1e-80,
            wbeam=1e-80,
            pbeam=1e-80,
            fwdflat=False,
            bestpath=False,
            loglevel="FATAL",
        )

    def knows(self, text: str) -> bool:
        """Whether every word of a text is in the dictionary."""
        return all(self._decoder.lookup_word(word) is not None for word in _words(text))

    def align(self, pcm: npt.NDArray[np.int16], text: str) -> Alignment | None:
        """Find the phones of a text in its sound.

        Args:
            pcm: (samples,) int16, mono, 16 kHz.
            text: what is said, in words of the dictionary.

        Returns:
            None if text and sound do not fit together.
        """
        self._decoder.set_align_text(" ".join(_words(text)))
        try:
            for second_pass in (False, True):
                if second_pass:
                    self._decoder.set_alignment()
                self._decoder.start_utt()
                self._decoder.process_raw(pcm.tobytes(), full_utt=True)
                self._decoder.end_utt()
        except RuntimeError:
            return None
        found = self._decoder.get_alignment()
        if found is None:
            return None
        segments: list[Segment] = []
        frames = score = 0
        for phone in (phone for word in found for phone in word):
            # The names of breath, coughs and other noises begin with a plus.
            name = "SIL" if phone.name.startswith("+") else phone.name
            end = phone.start + phone.duration
            segments.append((phone.start * FRAME_S, end * FRAME_S, name))
            if name != "SIL":
                frames += phone.duration
                score += phone.score
        return Alignment(segments, score / frames) if frames else None


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()
