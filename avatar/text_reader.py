"""What is known of a speech beside its sound, brought together with what the network hears."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from avatar.features import Float32Array
from avatar.follower import Follower, Reading
from avatar.model_card import ModelCard
from avatar.phone_evidence import PhoneEvidence, Sound
from avatar.phones import PHONES, Segment
from avatar.words import Word


class TextReader:
    """The text of one speech; rows are counted from its start. Not thread-safe."""

    def __init__(self, card: ModelCard) -> None:
        """Begin without a text."""
        self._card = card
        self._delays = card.delays_rows
        self._first_delay = card.first_delay_rows
        self._evidence = PhoneEvidence(card.phone_shares)
        self._follower: Follower | None = None
        self._told: deque[Segment] = deque()
        # Rows that the follower has not taken yet, by the heads that heard them.
        self._waiting: dict[int, deque[tuple[int, Sound]]] = {}
        self._listened: dict[int, int] = {}

    def expect(self, words: Sequence[Word], next_row: int) -> None:
        """Take note of what will be spoken behind what was expected before.

        Args:
            words: In order.
            next_row: The first row that has not been given yet.
        """
        if not words:
            return
        if self._follower is None:
            self._follower = Follower(self._card.phone_s, next_row)
            first = self._delays.index(self._first_delay)
            self._waiting = {head: deque() for head in sorted({0, first})}
            self._listened = dict.fromkeys(self._waiting, next_row)
        self._follower.expect(words)

    def told(self, phones: Sequence[Segment]) -> None:
        """Take note of when the voice says that it speaks what; see `LipSyncState.told()`."""
        if phones:
            while self._told and self._told[-1][1] > phones[0][0] + 1e-6:
                self._told.pop()
            self._told.extend(phones)

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice begins a word; see `LipSyncState.told_word()`."""
        if self._follower:
            self._follower.told_word(text, start_s)

    @property
    def words_ahead(self) -> tuple[Word, ...]:
        """Expected words that have not been heard yet."""
        return self._follower.words_ahead if self._follower else ()

    def listen(self, phones: Float32Array, first_row: int) -> None:
        """Take what the network has heard.

        Args:
            phones: (rows, D, phones) float32 log-probabilities; row n of head d is of the row
                first_row + n - delays_rows[d] of the speech. Rows may come again.
            first_row: Number of the first of these rows of the network.
        """
        if self._follower is None:
            return
        heads: list[int] = []
        new: list[int] = []
        heard: list[Float32Array] = []
        for head, first in self._listened.items():
            delay = self._delays[head]
            rows = range(first, first_row + len(phones) - delay)
            if rows:
                at = first + delay - first_row
                heard.append(phones[at : at + len(rows), head])
                heads += [head] * len(rows)
                new += rows
                self._listened[head] = rows.stop
        if not new:
            return
        told = [self._told_at(row) for row in new] if self._told else ()
        # All at once: many small computations take longer than one.
        sounds = self._evidence.sounds(np.concatenate(heard), told)
        for head, row, sound in zip(heads, new, sounds, strict=True):
            self._waiting[head].append((row, sound))

    def read(self, row: int, wait: int) -> Reading | None:
        """What the text says about a row, by the `wait` rows behind it; None without a text."""
        follower, delays = self._follower, self._delays
        if follower is None:
            return None
        for head, waiting in self._waiting.items():
            take = follower.hear if delays[head] == self._first_delay else follower.glimpse
            while waiting and waiting[0][0] + delays[head] <= row + wait:
                take(waiting.popleft()[1])
        passed_s = row * self._card.row_s
        while self._told and self._told[0][1] <= passed_s:
            self._told.popleft()
        return follower.read()

    def _told_at(self, row: int) -> int | None:
        """The phone, as its index in PHONES, that the voice says it speaks in a row."""
        time_s = (row + 0.5) * self._card.row_s
        said = (phone for start, end, phone in self._told if start <= time_s < end)
        phone = next(said, None)
        return None if phone is None else PHONES.index(phone)
