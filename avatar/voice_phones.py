"""Phoneme events of a voice, as they come with its sound, into phones with times."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from avatar.phones import Segment, canonical

OPEN_S = 0.3
"""How long a phone lasts at most whose successor is not known yet."""

MOST_EVENTS = 2_000
"""Events of one frame; what is beyond is not looked at."""

_REOPENED = 2
"""So many of the last events are looked at again: those that follow change where they end."""


PHONEMES = "phonemes"
"""Key of an audio frame's `metadata`, under which a voice may put a tuple of PhonemeEvent."""


@runtime_checkable
class PhonemeEvent(Protocol):
    """One phoneme of what a frame says, in order."""

    @property
    def sample(self) -> int:
        """Where the phoneme begins, counted from the frame's first sample."""

    @property
    def ipa(self) -> str:
        """The phoneme in the International Phonetic Alphabet; nothing where a pause begins."""


class VoicePhones:
    """Collects the events of one speech."""

    def __init__(self) -> None:
        self._events: list[tuple[float, str]] = []

    def add(self, events: Iterable[tuple[float, str]]) -> list[Segment]:
        """Take the next events.

        Args:
            events: seconds from the start of the speech, rising, and IPA.

        Returns:
            Canonical phones; they take the place of those told before from their first time on.
        """
        self._events = self._events[-_REOPENED:]
        for start, ipa in events:
            if not self._events or start >= self._events[-1][0]:
                self._events.append((start, ipa))
        ends = [start for start, _ in self._events[1:]]
        if self._events:
            ends.append(self._events[-1][0] + OPEN_S)
        return canonical(
            [
                (start, end, ipa)
                for (start, ipa), end in zip(self._events, ends, strict=True)
                if any(character.isalpha() for character in ipa)
            ],
            "ipa",
        )
