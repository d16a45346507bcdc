"""A word as it is spoken."""

from collections.abc import Sequence
from dataclasses import dataclass

from avatar.phones import Segment


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text that will be spoken.

    Attributes:
        text: As spoken, in lower case.
        ways: One to four pronunciations, the likeliest first; each a row of PHONES.
        pause: Whether what is written behind it suggests a pause.
        spans: Start and end of each phone of its only pronunciation, seconds from the start of
            the speech, where the voice tells them; else nothing.
    """

    text: str
    ways: tuple[tuple[str, ...], ...]
    pause: bool = False
    spans: tuple[tuple[float, float], ...] = ()


def timed_words(segments: Sequence[Segment]) -> list[Word]:
    """Phones whose times are known, as words: what lies between two silences is one.

    Args:
        segments: canonical phones in order, seconds from the start of the speech.
    """
    words: list[Word] = []
    run: list[Segment] = []
    for segment in (*segments, (0.0, 0.0, "sil")):
        if segment[2] != "sil":
            run.append(segment)
        elif run:
            way = tuple(phone for _, _, phone in run)
            words.append(Word("", (way,), True, tuple((start, end) for start, end, _ in run)))
            run = []
    return words
