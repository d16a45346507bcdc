"""English that people have read aloud, from a folder of recordings and their texts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from training.alignment import Aligner, AlignerMissing
from training.synthesis import SynthesisError, Utterance, read_wav

LEAST_FIT = -22.0
"""Of sound and text, see Alignment.fit: what is mumbled, noisy or read wrongly lies below, and of
English that learners read about a third."""


def recorded(folder: Path) -> list[tuple[Path, Path]]:
    """Each sound and its text, by name.

    Args:
        folder: with SPEAKER_NUMBER.wav (mono, 16 bit) and SPEAKER_NUMBER.txt anywhere within it, as
            VCTK has them.

    Raises:
        SynthesisError: there are none.
    """
    texts = {path.stem: path for path in folder.rglob("*.txt")}
    pairs = [(path, texts[path.stem]) for path in folder.rglob("*.wav") if path.stem in texts]
    if not pairs:
        raise SynthesisError(f"{folder}: holds no pair of <speaker>_<number>.wav and .txt")
    return sorted(pairs, key=lambda pair: pair[0].stem)


def speaker(stem: str) -> str:
    """Who speaks in a file of this name."""
    return stem.partition("_")[0]


def recorded_utterances(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Utterance]:
    """Those of the recordings that fit their texts well.

    Raises:
        SynthesisError: the aligner is missing.
    """
    try:
        aligner = Aligner()
    except AlignerMissing as error:
        raise SynthesisError(str(error)) from error
    for sound, words in pairs:
        text = words.read_text("utf-8").strip()
        if not aligner.knows(text):
            continue
        pcm = read_wav(sound)
        found = aligner.align(pcm, text)
        if found is not None and found.fit >= LEAST_FIT:
            yield Utterance(f"recorded-{speaker(sound.stem)}", "arpabet", pcm, found.segments)
