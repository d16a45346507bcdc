"""Where in a known text the speech is, row by row, and the mouth that follows from it.

A forward filter over the states of `avatar.text_graph`, pruned to those that are possible at all,
smoothed over the rows of sound that have already come. What it says counts as far as text and
sound fit together: a running comparison with a model of speech that knows no text.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH, VISEMES
from avatar.phone_evidence import TEMPER, Sound
from avatar.phones import PHONES
from avatar.text_graph import FILLER, ROW_S, text_graph
from avatar.words import Word

Float32Array = NDArray[np.float32]

_KEPT_WORDS = 12
"""Words behind the place that stay in the graph: the place may be looked for there again."""

_WORDS_EVERY_ROWS = 10
_FEW_WORDS, _MORE_WORDS = 24, 40
"""When no more than so many words of the graph are ahead, so many are added."""

MOST_WORDS = 2_000
"""Words that wait for that; of more the first are forgotten."""

_MOST_STATES = 240
"""States that are possible at most, around the likeliest: more is being lost, not following."""

_PRUNED = 1e-5
"""States less likely than this are left out."""

_WORD_SLACK_S = 0.12
"""How far a word's time that the voice tells may be off."""

_WORDS_NEAR = 8
"""Among so many words the one is looked for whose time is told."""

_TIME_WIDTH_S = 0.015
"""How fast a state becomes unlikely outside the time that the voice tells for it."""

_TRUST_S = 0.8
"""Seconds of speech over which text and sound are compared."""

_TRUST_AT, _TRUST_WIDTH = 0.2, 0.08
"""Mean gain of the text, in log-likelihood a row, that is trusted half, and the slope there."""

_TRUST_FIRST, _TRUST_FIRST_ROWS = 0.3, 10
"""What is assumed before anything was heard, and how many rows that counts."""

_LEAST_GAIN, _MOST_GAIN = -6.0, 3.0
_STAY_PHONE = 0.72
"""Of the model that knows no text: two states for each phone, kept with this chance."""

_CLOSURE_GAIN = 1.3
"""Lips that are probably closed are shown closed."""

_LEAST = 1e-30
"""What sums of chances count at least, where they are divided by."""

_PRESS, _FV = MOUTH.index("press"), MOUTH.index("fv")
_SILENCE = PHONES.index("sil")
_CLOSED, _NO_VISEME = np.zeros(len(MOUTH), np.float32), np.zeros(len(VISEMES), np.float32)


def _free_step() -> Float32Array:
    """(2 phones, 2 phones) chances of the model that knows no text: first states, then second."""
    phones = len(PHONES)
    stay, leave = _STAY_PHONE * np.eye(phones), (1 - _STAY_PHONE) * np.eye(phones)
    any_phone = np.full((phones, phones), (1 - _STAY_PHONE) / phones)
    return np.block([[stay, leave], [any_phone, stay]]).astype(np.float32)


_FREE_STEP = _free_step()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the text says about one row.

    Attributes:
        trust: 0..1, how much it counts beside what was heard.
        mouth: (10,) float32, columns as in MOUTH; `press` and `fv` are probabilities.
        visemes: (15,) float32 probabilities, columns as in VISEMES.
        word: Number of the likeliest word since the beginning of the speech.
    """

    trust: float
    mouth: Float32Array
    visemes: Float32Array
    word: int


@dataclass(slots=True)
class _Row:
    """The filter after one row of sound. Not to be changed, as `Sound`.

    Attributes:
        low: The first state that is possible.
        high: One behind the last.
        chance: (states,) float32, how likely each is.
        evidence: (states,) float32, how well each fits this row alone.
    """

    low: int
    high: int
    chance: Float32Array
    evidence: Float32Array


class Follower:
    """Follows speech through a text that may grow; not thread-safe, one for each speech.

    `hear()` each row in order; `read()` then tells of the oldest row that was not read yet.
    """

    def __init__(self, phone_s: Mapping[str, float], first_row: int = 0) -> None:
        """Begin without a text.

        Args:
            phone_s: Mean length of each of PHONES, seconds.
            first_row: Number, since the start of the speech, of the row that is heard first.
        """
        self._phone_s = phone_s
        self._graph = text_graph((), phone_s)
        self._coming: deque[Word] = deque(maxlen=MOST_WORDS)
        self._dropped_words = 0
        self._heard_rows = first_row
        self._word_starts: dict[int, float] = {}
        self._next_told = 0
        self._rows: deque[_Row] = deque()
        self._glimpsed: deque[Sound] = deque()
        self._next_fit: Float32Array | None = None
        self._unread = 0
        self._free = np.zeros(2 * len(PHONES), np.float32)
        self._gain, self._gain_rows = _TRUST_FIRST, float(_TRUST_FIRST_ROWS)

    @property
    def words_ahead(self) -> tuple[Word, ...]:
        """The words that have not been spoken yet, by the newest row."""
        return (*self._graph.words[self._place() :], *self._coming)

    def expect(self, words: Sequence[Word]) -> None:
        """Add words to the end of the text."""
        self._coming.extend(words)
        self._take_words()

    def _take_words(self) -> None:
        """Take the next words into the graph when few are left, and leave old ones out of it."""
        if not self._coming or len(self._graph.words) - self._place() > _FEW_WORDS:
            return
        place = max(0, self._first_word() - _KEPT_WORDS)
        shift = self._graph.first_state(place)
        self._dropped_words += place
        more = [self._coming.popleft() for _ in range(min(_MORE_WORDS, len(self._coming)))]
        self._graph = text_graph((*self._graph.words[place:], *more), self._phone_s)
        self._rows = deque(
            replace(row, low=row.low - shift, high=row.high - shift) for row in self._rows
        )
        self._next_fit = None
        for word in [word for word in self._word_starts if word < self._dropped_words]:
            del self._word_starts[word]
        for word, start_s in self._word_starts.items():
            self._hold(word, start_s)

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice says that it begins a word of the text.

        Args:
            text: as in `Word.text`; where no word near is called so, nothing happens.
            start_s: seconds from the first row of the speech.
        """
        first = max(self._next_told - self._dropped_words, 0)
        for number, word in enumerate(self._graph.words[first : first + _WORDS_NEAR], first):
            if word.text == text:
                found = self._dropped_words + number
                self._word_starts[found] = start_s
                self._next_told = found + 1
                self._hold(found, start_s)
                return

    def _hold(self, word: int, start_s: float) -> None:
        """Let a word begin, and those before it end, about when the voice says so."""
        graph = self._graph
        first = graph.first_state(word - self._dropped_words)
        last = graph.first_state(word - self._dropped_words + 1)
        state = np.arange(len(graph.sounds))
        spoken = (graph.sounds != FILLER) & (graph.sounds != _SILENCE)
        later = spoken & (state >= first) & (state < last)
        graph.earliest_s[later] = np.maximum(graph.earliest_s[later], start_s - _WORD_SLACK_S)
        before = (graph.sounds != FILLER) & (state < first)
        graph.latest_s[before] = np.minimum(graph.latest_s[before], start_s + _WORD_SLACK_S)

    def glimpse(self, sound: Sound) -> None:
        """Look at a row that is to be heard later, by heads that know less of it.

        What it shows counts in `read()` until the row is heard.

        Args:
            sound: Of the row behind the newest that was heard or glimpsed.
        """
        self._glimpsed.append(sound)
        self._next_fit = None

    def hear(self, sound: Sound) -> None:
        """Take in the next row."""
        self._next_fit = None
        if self._glimpsed:
            self._glimpsed.popleft()
        before = self._rows[-1] if self._rows else None
        low, chance = 0, self._graph.start
        if before:
            low, high = before.low, self._farthest(before.high)
            chance = before.chance @ self._graph.step[low : before.high, low:high]
        evidence = self._evidence(sound, low, low + len(chance), self._heard_rows)
        self._heard_rows += 1
        chance = chance * evidence
        total = max(float(np.add.reduce(chance)), _LEAST)
        freely = self._hear_freely(sound.freely)
        if before and sound.speech:
            self._compare((math.log(total) - freely) / TEMPER)
        chance = chance / total
        possible = (chance > _PRUNED).nonzero()[0]
        if not len(possible):
            possible = np.arange(len(chance))
            chance = np.full(len(chance), 1 / len(chance), np.float32)
        kept = slice(int(possible[0]), int(possible[-1]) + 1)
        if kept.stop - kept.start > _MOST_STATES:
            first = max(kept.start, int(chance.argmax()) - _MOST_STATES // 2)
            kept = slice(first, min(kept.stop, first + _MOST_STATES))
        row = _Row(low + kept.start, low + kept.stop, chance[kept], evidence[kept])
        self._rows.append(row)
        self._unread += 1
        if self._heard_rows % _WORDS_EVERY_ROWS == 0:
            self._take_words()

    def read(self) -> Reading:
        """Tell of the oldest row that was heard and not read, from all that was heard since.

        Raises:
            IndexError: Every row was read.
        """
        if not self._unread:
            raise IndexError("every row that was heard has been read")
        at = len(self._rows) - self._unread
        row = self._rows[at]
        self._unread -= 1
        fit, self._next_fit = self._next_fit, None
        smoothed = row.chance * (self._backward(at) if fit is None else fit)
        smoothed /= max(float(np.add.reduce(smoothed)), _LEAST)
        for _ in range(at):
            self._rows.popleft()
        return self._reading(row.low, smoothed)

    def _reading(self, low: int, chance: Float32Array) -> Reading:
        graph = self._graph
        shown = chance @ graph.shown[low : low + len(chance)]
        known = float(shown[0])
        word = self._dropped_words + int(graph.word[low + int(chance.argmax())])
        if not graph.words or known < 1e-6:
            return Reading(0.0, _CLOSED, _NO_VISEME, word)
        numbers = shown[1:] / np.float32(known)
        mouth, visemes = numbers[: len(MOUTH)], numbers[len(MOUTH) :]
        mouth[_PRESS] = min(1.0, _CLOSURE_GAIN * mouth[_PRESS])
        slope = (self._gain - _TRUST_AT) / _TRUST_WIDTH
        return Reading(known / (1 + math.exp(-slope)), mouth, visemes, word)

    def _evidence(self, sound: Sound, low: int, high: int, row: int) -> Float32Array:
        """(high - low,) how well each of these states fits a row."""
        graph = self._graph
        evidence = sound.fitting.take(graph.sounds[low:high])
        if graph.timed or self._word_starts:
            now_s = (row + 0.5) * ROW_S
            early_s, late_s = graph.earliest_s[low:high] - now_s, now_s - graph.latest_s[low:high]
            outside_s = np.maximum(0.0, np.maximum(early_s, late_s))
            evidence = evidence * np.exp(-outside_s / _TIME_WIDTH_S).astype(np.float32)
        return evidence

    def _farthest(self, high: int) -> int:
        """One behind the last state that can be reached in a row from those before `high`."""
        return int(self._graph.farthest[high - 1]) + 1

    def _backward(self, at: int) -> Float32Array:
        """(states,) how well the rows after row `at` fit each of its states.

        The same of the row behind it stays for the next `read()`, if nothing is heard before that.
        """
        fit, step = self._fit_of_glimpses(), self._graph.step
        row = self._rows[-1]
        for number in range(len(self._rows) - 2, at - 1, -1):
            before, self._next_fit = self._rows[number], fit
            ways = step[before.low : before.high, row.low : row.high]
            fit, row = ways @ (fit * row.evidence), before
        return fit

    def _fit_of_glimpses(self) -> Float32Array:
        """(states,) how well what was glimpsed fits each state of the newest row."""
        newest = self._rows[-1]
        highs = [newest.high]
        for _ in self._glimpsed:
            highs.append(self._farthest(highs[-1]))
        low, fit = newest.low, np.ones(highs[-1] - newest.low, np.float32)
        for ahead in range(len(self._glimpsed), 0, -1):
            row = self._heard_rows + ahead - 1
            fit = fit * self._evidence(self._glimpsed[ahead - 1], low, highs[ahead], row)
            fit = self._graph.step[low : highs[ahead - 1], low : highs[ahead]] @ fit
        return fit

    def _hear_freely(self, evidence: Float32Array) -> float:
        """Log-likelihood of a row by the model that knows no text."""
        phones = len(PHONES)
        if not self._rows:
            self._free[:phones] = evidence / np.add.reduce(evidence)
            return 0.0
        free = ((self._free @ _FREE_STEP).reshape(2, phones) * evidence).ravel()
        total = max(float(np.add.reduce(free)), _LEAST)
        self._free = free / np.float32(total)
        return math.log(total)

    def _compare(self, gain: float) -> None:
        """Note by how much the text explains a row of speech better than no text does."""
        self._gain_rows += 1
        share = max(ROW_S / _TRUST_S, 1 / self._gain_rows)
        self._gain += (min(max(gain, _LEAST_GAIN), _MOST_GAIN) - self._gain) * share

    def _place(self) -> int:
        if not self._rows:
            return 0
        row = self._rows[-1]
        return int(self._graph.word[row.low + int(row.chance.argmax())])

    def _first_word(self) -> int:
        """The first word in which speech may be, by any row that is kept."""
        lows = [row.low for row in self._rows]
        return int(self._graph.word[min(lows)]) if lows else 0
