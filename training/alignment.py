"""Phone times of English speech whose words are known, by pocketsphinx's aligner."""

import re

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

    def align(self, pcm: npt.NDArray[np.int16], text: str) -> list[Segment] | None:
        """The phones of a text in its sound.

        Args:
            pcm: (samples,) int16, mono, 16 kHz.
            text: what is said, in words of the dictionary.

        Returns:
            Start, end and ARPABET name of each phone and pause, noises among these; None if text
            and sound do not fit together.
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
        # The names of breath, coughs and other noises begin with a plus.
        segments = [
            (
                phone.start * FRAME_S,
                (phone.start + phone.duration) * FRAME_S,
                "SIL" if phone.name.startswith("+") else phone.name,
            )
            for word in found
            for phone in word
        ]
        return segments or None


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()
