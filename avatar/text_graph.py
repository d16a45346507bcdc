"""The ways a text can be spoken, as a graph of short states: words, pauses, and what is not in it.

One state lasts a row of the lip-sync model or more. Each phone of each pronunciation of each word
is a chain of one to three states, so that its length follows the mean length of the phone. Between
words lies an optional silence, and at each word's beginning a filler for speech that the text
does not tell: words that were changed, added or left out. A filler leads back to the words near
it, so that one wrong word never costs the place in the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH, VISEMES
from avatar.dominance import mouth_targets, viseme_ids
from avatar.phones import PHONES, Segment
from avatar.words import Word

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int32]

ROW_S = 0.02
"""Seconds of speech that a state explains at a time."""

FILLER = len(PHONES)
"""Stands behind the phones in `Graph.sounds`: any speech at all."""

_STATE_S = 0.03
_LONGEST_CHAIN = 3
_SHORTEST_S = 0.03
_SKIP_STATE = 0.15
"""Chance to leave out the middle state of three, in fast speech."""

_SKIP_PHONE, _SKIP_WEAK_PHONE = 0.01, 0.08
_WEAK = frozenset(("ax", "hh", "t", "d"))
"""Phones that are often not spoken."""

_SKIP_LAST = 0.12
"""Chance that a weak phone at a word's end is not spoken."""

_SKIP_WORD = 0.004
_PAUSE, _PAUSE_AT_COMMA = 0.12, 0.5
_STAY_SILENT = 0.92

_TO_FILLER, _TO_FILLER_INSIDE = 0.01, 0.001
"""Chance that what follows is not in the text: at a word's end, and in the middle of one."""

_STAY_FILLER = 0.9
_FILLER_TO_WORDS = (0.5, 0.2, 0.1)
"""Where a filler leads when it is left: its own word, the next, the one after."""

_FILLER_TO_SILENCE = 0.15
_DRIFT = 0.03
"""Chance that a filler passes over a word."""

_RELOCATION, _RELOCATION_WORDS = 0.02, 9
"""Chance that the place is looked for elsewhere, within so many words on both sides."""

_FIRST_SILENCE, _FIRST_WORD, _FIRST_FILLER = 0.7, 0.27, 0.03
"""How a speech begins."""

SPAN_SLACK_S = 0.03
"""How far the times that a voice tells may be off."""

_BEFORE_S, _AFTER_S = 0.15, 0.3
"""Silence around a text when the mouth's targets are made."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A text as states, in the order of its words: silence, filler, then the word's phones.

    Attributes:
        words: Its words.
        sounds: (states,) index in PHONES of what a state sounds like, or FILLER.
        word: (states,) the word that a state belongs to, or stands before.
        step: (states, states) float32, the chance of each way from a state (row) to a state.
        farthest: (states,) the last state that can be reached from a state or one before it.
        start: (states,) float32, how likely a speech begins in a state.
        earliest_s: (states,) float64, before this time of the speech a state is unlikely.
        latest_s: (states,) float64, and after this; infinite where nothing is known.
        timed: Whether something is known of that.
        shown: (states, 1 + 10 + 15) float32, for all states but fillers: 1, the mouth, with 0 or 1
            for `press` and `fv`, and the viseme.
    """

    words: tuple[Word, ...]
    sounds: IntArray
    word: IntArray
    step: Float32Array
    farthest: IntArray
    start: Float32Array
    earliest_s: NDArray[np.float64]
    latest_s: NDArray[np.float64]
    timed: bool
    shown: Float32Array

    def first_state(self, word: int) -> int:
        """Number of the silence before a word, counted from 0; the last one is after the text."""
        return int(np.searchsorted(self.word, word))


@dataclass(frozen=True, slots=True)
class _Chain:
    """The states of one phone."""

    phone: str
    length_s: float
    first: int
    states: int
    advance: float

    @property
    def last(self) -> int:
        return self.first + self.states - 1


class _Builder:
    """Collects states and edges of a graph."""

    def __init__(self, words: Sequence[Word], phone_s: Mapping[str, float]) -> None:
        self._words = words
        self._phone_s = phone_s
        self._sounds: list[int] = []
        self._word: list[int] = []
        self._times: dict[int, tuple[float, float]] = {}
        self._edges: list[tuple[int, int, float]] = []
        self._silences: list[int] = []
        self._fillers: list[int] = []
        self._chains: list[list[list[_Chain]]] = []

    def graph(self) -> Graph:
        """The finished graph."""
        for number, word in enumerate(self._words):
            self._silences.append(self._state("sil", number))
            self._fillers.append(self._state(None, number))
            self._chains.append([self._chains_of(way, word, number) for way in word.ways])
        count = len(self._words)
        self._silences.append(self._state("sil", count))
        self._fillers.append(self._state(None, count))
        for number in range(count):
            for chains in self._chains[number]:
                self._connect_phones(chains, number)
        for number in range(count + 1):
            self._connect_silence(number)
            self._connect_filler(number)
        states = len(self._sounds)
        step, reached = self._steps(states)
        start = np.zeros(states, np.float32)
        start[self._silences[0]] = _FIRST_SILENCE
        start[self._fillers[0]] = _FIRST_FILLER
        for state, share in self._entries(0):
            start[state] += _FIRST_WORD * share
        earliest_s, latest_s = np.full(states, -np.inf), np.full(states, np.inf)
        for state, times_s in self._times.items():
            earliest_s[state], latest_s[state] = times_s
        return Graph(
            words=tuple(self._words),
            sounds=np.array(self._sounds, np.int32),
            word=np.array(self._word, np.int32),
            step=step,
            farthest=np.maximum.accumulate(reached).astype(np.int32),
            start=start,
            earliest_s=earliest_s,
            latest_s=latest_s,
            timed=bool(self._times),
            shown=self._shown(),
        )

    def _steps(self, states: int) -> tuple[Float32Array, IntArray]:
        """All ways as a matrix whose rows sum to 1, and the last state that each row reaches."""
        sources, targets, weights = (np.array(part) for part in zip(*self._edges, strict=True))
        step = np.zeros((states, states), np.float32)
        np.add.at(step, (sources, targets), weights / np.bincount(sources, weights)[sources])
        reached = np.zeros(states, np.int32)
        np.maximum.at(reached, sources, targets)
        return step, reached

    def _state(self, phone: str | None, word: int) -> int:
        self._sounds.append(FILLER if phone is None else PHONES.index(phone))
        self._word.append(word)
        return len(self._sounds) - 1

    def _length_s(self, phone: str) -> float:
        return max(_SHORTEST_S, self._phone_s[phone])

    def _chains_of(self, way: tuple[str, ...], word: Word, number: int) -> list[_Chain]:
        chains = []
        spans = word.spans or (None,) * len(way)
        for phone, span in zip(way, spans, strict=True):
            length_s = max(_SHORTEST_S, span[1] - span[0]) if span else self._length_s(phone)
            states = min(_LONGEST_CHAIN, max(1, round(length_s / _STATE_S)))
            if length_s > 1.5 * _STATE_S:
                states = max(states, 2)
            advance = min(0.95, states * ROW_S / length_s)
            chains.append(_Chain(phone, length_s, len(self._sounds), states, advance))
            for _ in range(states):
                state = self._state(phone, number)
                if span:
                    self._times[state] = (span[0] - SPAN_SLACK_S, span[1] + SPAN_SLACK_S)
        return chains

    def _edge(self, source: int, target: int, chance: float) -> None:
        self._edges.append((source, target, chance))

    def _entries(self, word: int) -> list[tuple[int, float]]:
        """First states of a word, with the share of each of its pronunciations."""
        if word >= len(self._words):
            return []
        chains = self._chains[word]
        return [(way[0].first, 1 / len(chains)) for way in chains]

    def _connect_phones(self, chains: list[_Chain], word: int) -> None:
        for at, chain in enumerate(chains):
            advance = chain.advance
            for state in range(chain.first, chain.last + 1):
                self._edge(state, state, 1 - advance)
                self._edge(state, self._fillers[word + 1], _TO_FILLER_INSIDE)
                if state == chain.last:
                    break
                skip = _SKIP_STATE if chain.states == 3 and state == chain.first else 0.0
                self._edge(state, state + 1, advance * (1 - skip))
                if skip:
                    self._edge(state, state + 2, advance * skip)
            following = chains[at + 1 : at + 3]
            if not following:
                self._leave_word(chain.last, advance, word)
                continue
            skip = 0.0
            if len(following) == 2:
                skip = _SKIP_WEAK_PHONE if following[0].phone in _WEAK else _SKIP_PHONE
                self._edge(chain.last, following[1].first, advance * skip)
            elif following[0].phone in _WEAK:
                self._leave_word(chain.last, advance * _SKIP_LAST, word)
            self._edge(chain.last, following[0].first, advance * (1 - skip))

    def _leave_word(self, state: int, chance: float, word: int) -> None:
        """From the end of a word to the silence, filler and word behind it, or the one after."""
        pause = _PAUSE_AT_COMMA if self._words[word].pause else _PAUSE
        if word + 1 == len(self._words):
            pause = 1 - _TO_FILLER
        self._edge(state, self._silences[word + 1], chance * pause)
        self._edge(state, self._fillers[word + 1], chance * _TO_FILLER)
        for entry, share in self._entries(word + 1):
            self._edge(state, entry, chance * (1 - pause) * share)
        for entry, share in self._entries(word + 2):
            self._edge(state, entry, chance * _SKIP_WORD * share)

    def _connect_silence(self, word: int) -> None:
        silence, leave = self._silences[word], 1 - _STAY_SILENT
        self._edge(silence, silence, _STAY_SILENT)
        self._edge(silence, self._fillers[word], leave * _TO_FILLER)
        for entry, share in self._entries(word):
            self._edge(silence, entry, leave * share)
        for entry, share in self._entries(word + 1):
            self._edge(silence, entry, leave * _SKIP_WORD * share)

    def _connect_filler(self, word: int) -> None:
        filler, leave = self._fillers[word], 1 - _STAY_FILLER
        self._edge(filler, filler, _STAY_FILLER)
        self._edge(filler, self._silences[word], leave * _FILLER_TO_SILENCE)
        for ahead, chance in enumerate(_FILLER_TO_WORDS):
            for entry, share in self._entries(word + ahead):
                self._edge(filler, entry, leave * chance * share)
        if word < len(self._words):
            self._edge(filler, self._fillers[word + 1], _DRIFT)
        near = [
            other
            for other in range(word - _RELOCATION_WORDS, word + _RELOCATION_WORDS + 1)
            if other != word and 0 <= other < len(self._words)
        ]
        shares = np.exp([-abs(other - word) / (_RELOCATION_WORDS / 3) for other in near])
        for other, share in zip(near, shares / max(shares.sum(), 1e-9), strict=True):
            self._edge(filler, self._fillers[other], _RELOCATION * float(share))

    def _shown(self) -> Float32Array:
        """1, mouth and viseme of each state, in speech of mean tempo with the text's own words."""
        shown = np.zeros((len(self._sounds), 1 + len(MOUTH) + len(VISEMES)), np.float32)
        shown[np.array(self._sounds) != FILLER, 0] = 1.0
        shown[self._silences, 1 + len(MOUTH) + VISEMES.index("sil")] = 1.0
        likeliest = [ways[0] for ways in self._chains]
        self._show(likeliest, slice(None), shown)
        for number, ways in enumerate(self._chains):
            for other in ways[1:]:
                near = slice(max(0, number - 2), number + 3)
                around = [
                    other if at == number else likeliest[at] for at in range(len(likeliest))[near]
                ]
                own = slice(other[0].first, other[-1].last + 1)
                self._show(around, own, shown, near.start == 0, near.stop >= len(likeliest))
        for control, phones in (("press", "p b m"), ("fv", "f v")):
            sounds = [PHONES.index(phone) for phone in phones.split()]
            shown[:, 1 + MOUTH.index(control)] = np.isin(self._sounds, sounds)
        return shown

    def _show(
        self,
        words: Sequence[list[_Chain]],
        kept: slice,
        shown: Float32Array,
        begins: bool = True,
        ends: bool = True,
    ) -> None:
        """Set mouth and viseme of some states, from words that are spoken one after the other.

        Args:
            words: One pronunciation of each.
            kept: The states to set, of those of the words.
            shown: Of all states.
            begins: Whether nothing is spoken before them.
            ends: Whether nothing is spoken after them.
        """
        time_s = _BEFORE_S if begins else 0.0
        segments: list[Segment] = [(0.0, _BEFORE_S, "sil")] if begins else []
        states: list[int] = []
        times_s: list[float] = []
        for chain in (chain for word in words for chain in word):
            segments.append((time_s, time_s + chain.length_s, chain.phone))
            for at in range(chain.states):
                states.append(chain.first + at)
                times_s.append(time_s + chain.length_s * (at + 0.5) / chain.states)
            time_s += chain.length_s
        if ends:
            segments.append((time_s, time_s + _AFTER_S, "sil"))
        if not states:
            return
        wanted = np.isin(states, np.arange(len(shown))[kept])
        state, time = np.array(states)[wanted], np.array(times_s)[wanted]
        shown[state, 1 : 1 + len(MOUTH)] = mouth_targets(segments, time)
        shown[state, 1 + len(MOUTH) + viseme_ids(segments, time)] = 1.0


def text_graph(words: Sequence[Word], phone_s: Mapping[str, float]) -> Graph:
    """The graph of a text.

    Args:
        words: What will be spoken, in order; may be empty.
        phone_s: Mean length of each phone, seconds.
    """
    return _Builder(words, phone_s).graph()
