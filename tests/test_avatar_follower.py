"""The follower: finds its place in a text, holds it, and says when text and sound do not fit."""

import numpy as np
import pytest

from avatar.controls import MOUTH, VISEMES
from avatar.follower import MOST_WORDS, Follower, Reading
from avatar.phone_evidence import PhoneEvidence
from avatar.phones import PHONES
from avatar.text_graph import ROW_S, text_graph
from avatar.words import Word, timed_words

PHONE_S = dict.fromkeys(PHONES, 0.08)
EVIDENCE = PhoneEvidence([1 / len(PHONES)] * len(PHONES))
PRESS, ROUND = MOUTH.index("press"), MOUTH.index("round")


def _word(phones: str, pause: bool = False) -> Word:
    return Word(phones.replace(" ", ""), (tuple(phones.split()),), pause)


TEXT = [_word("b uw m"), _word("s ae d"), _word("m iy"), _word("w ao k"), _word("p ae sh")]


def _heard(phones: str, sure: float = 0.6, rows: int = 4) -> list[np.ndarray]:
    """Log-probabilities of rows in which each phone is heard for so many rows, not too surely."""
    result = []
    for phone in phones.split():
        row = np.full(len(PHONES), (1 - sure) / (len(PHONES) - 1))
        row[PHONES.index(phone)] = sure
        result += [np.log(row).astype(np.float32)] * rows
    return result


def _hear(follower: Follower, row: np.ndarray, told: int | None = None) -> None:
    (sound,) = EVIDENCE.sounds(row[None], [told])
    follower.hear(sound)


def _follow(words: list[Word], rows: list[np.ndarray], lag: int) -> list[Reading]:
    follower = Follower(PHONE_S)
    follower.expect(words)
    readings = []
    for number, row in enumerate(rows):
        _hear(follower, row)
        if number >= lag:
            readings.append(follower.read())
    while len(readings) < len(rows):
        readings.append(follower.read())
    return readings


def _spoken(words: list[Word]) -> str:
    return " ".join(phone for word in words for phone in word.ways[0])


@pytest.mark.parametrize("lag", [0, 4, 8])
def test_it_follows_a_text_that_is_spoken(lag: int) -> None:
    readings = _follow(TEXT, _heard(f"sil {_spoken(TEXT)} sil"), lag)
    lengths = [4 * len(word.ways[0]) for word in TEXT]
    middles = 4 + np.cumsum(lengths) - np.array(lengths) // 2
    assert [readings[middle].word for middle in middles] == [0, 1, 2, 3, 4]
    assert readings[middles[-1]].trust > 0.8
    # closed in the middle of m and p, open in the vowels
    assert readings[4 + 10].mouth[PRESS] > 0.9 and readings[4 + 6].mouth[PRESS] < 0.1
    assert readings[4 + 6].mouth[ROUND] > 0.4


def test_a_doubtful_sound_is_settled_by_the_text() -> None:
    rows = _heard(f"sil {_spoken(TEXT)} sil")
    doubtful = np.full(len(PHONES), 0.2 / len(PHONES))
    for phone, share in (("m", 0.2), ("n", 0.4), ("d", 0.2)):
        doubtful[PHONES.index(phone)] = share
    rows[12:16] = [np.log(doubtful).astype(np.float32)] * 4
    assert _follow(TEXT, rows, 4)[14].mouth[PRESS] > 0.8


def test_another_text_is_not_trusted() -> None:
    said = _spoken(TEXT)
    other = [_word("g l ih th"), _word("eh n jh er"), _word("ay".replace("ay", "aa ih t"))]
    right = _follow(TEXT, _heard(f"sil {said} {said}"), 4)
    wrong = _follow(other, _heard(f"sil {said} {said}"), 4)
    assert max(reading.trust for reading in wrong[30:]) < 0.3
    assert right[50].trust > 0.8


def test_left_out_and_added_words_do_not_cost_the_place() -> None:
    said = [*TEXT[:1], _word("g ih g eh l"), *TEXT[2:]]
    readings = _follow(TEXT, _heard(f"sil {_spoken(said)} sil"), 6)
    last = readings[-12]
    assert last.word == 4 and last.trust > 0.5


def test_a_text_grows_while_it_is_spoken() -> None:
    rows = _heard(f"sil {_spoken(TEXT)} sil")
    at_once = _follow(TEXT, rows, 4)
    follower = Follower(PHONE_S)
    follower.expect(TEXT[:3])
    words = []
    for number, row in enumerate(rows):
        if number == 20:
            follower.expect(TEXT[3:])
        _hear(follower, row)
        if number >= 4:
            words.append(follower.read().word)
    assert words[30:] == [reading.word for reading in at_once[30 : len(words)]]


def test_a_long_text_keeps_little() -> None:
    follower = Follower(PHONE_S)
    for _ in range(40):
        follower.expect(TEXT)
        for row in _heard(_spoken(TEXT)):
            _hear(follower, row)
            reading = follower.read()
    assert len(follower.words_ahead) <= 1
    assert reading.word >= 195
    assert len(follower._graph.words) < 40


def test_a_text_that_is_never_spoken_does_not_pile_up() -> None:
    follower = Follower(PHONE_S)
    other = [_word("g l ih th"), _word("eh n jh er")]
    for _ in range(MOST_WORDS // 2 + 50):
        follower.expect(other)
    for row in _heard("s uw", rows=200):
        _hear(follower, row)
        follower.read()
    assert len(follower._graph.words) < 150
    assert len(follower.words_ahead) <= MOST_WORDS + 150
    assert max(len(row.chance) for row in follower._rows) <= 240


def test_a_long_text_is_followed_though_it_comes_at_once() -> None:
    follower = Follower(PHONE_S)
    follower.expect(TEXT * 30)
    readings = []
    for row in _heard(_spoken(TEXT * 30)):
        _hear(follower, row)
        readings.append(follower.read())
    assert readings[-6].word == 149 and readings[-6].trust > 0.8
    assert len(follower._graph.words) < 100


def test_told_phones_outweigh_what_is_heard() -> None:
    follower = Follower(PHONE_S)
    follower.expect([_word("m aa n"), _word("n aa m")])
    rows = _heard("n aa n n aa n", sure=0.3)
    told = [PHONES.index(phone) for phone in ["m", "aa", "n", "n", "aa", "m"] for _ in range(4)]
    closed = []
    for row, phone in zip(rows, told, strict=True):
        _hear(follower, row, phone)
        closed.append(follower.read().mouth[PRESS])
    assert closed[2] > 0.9 and closed[22] > 0.9 and max(closed[6:18]) < 0.1


def test_timed_phones_are_held_to_their_times() -> None:
    segments = [(0.0, 0.2, "sil"), (0.2, 0.28, "m"), (0.28, 0.4, "aa"), (0.4, 0.48, "p")]
    words = timed_words(segments)
    assert [word.ways for word in words] == [(("m", "aa", "p"),)]
    heard = "sil sil sil sil sil m m aa aa aa p p sil sil sil"
    doubtful = _heard(heard, sure=0.1, rows=2)
    readings = _follow(words, doubtful, 4)
    closed = [number for number, reading in enumerate(readings) if reading.mouth[PRESS] > 0.5]
    assert {11, 12} <= set(closed) and {21, 22} <= set(closed)
    assert not {row for row in closed if not 8 <= row <= 15 and not 18 <= row <= 26}


def test_a_word_whose_time_is_told_is_not_spoken_elsewhere() -> None:
    twice = [_word("m aa n"), _word("g iy"), _word("m aa n"), _word("p uw")]
    follower = Follower(PHONE_S)
    follower.expect(twice)
    follower.told_word("giy", 0.16)
    follower.told_word("maan", 0.32)
    follower.told_word("nowhere", 0.4)
    places = []
    for row in _heard("sil sil g iy m aa n p uw sil", sure=0.3):
        _hear(follower, row)
        places.append(follower.read().word)
    assert places[18:26] == [2] * 8
    assert places[30] == 3


def test_nothing_heard_is_nothing_read() -> None:
    with pytest.raises(IndexError, match="has been read"):
        Follower(PHONE_S).read()


def test_without_words_there_is_no_trust() -> None:
    follower = Follower(PHONE_S)
    for row in _heard("aa b"):
        _hear(follower, row)
        reading = follower.read()
    assert reading.trust == 0.0 and reading.visemes.shape == (len(VISEMES),)


def test_the_graph_is_a_chance_and_every_state_can_be_left_and_reached() -> None:
    graph = text_graph([*TEXT, Word("the", (("dh", "ax"), ("dh", "iy")), True)], PHONE_S)
    states = len(graph.sounds)
    assert states == len(graph.word) == len(graph.shown)
    assert graph.step.shape == (states, states)
    np.testing.assert_allclose(graph.step.sum(1), 1.0, rtol=1e-5)
    assert graph.step.any(0).all()
    assert np.all(graph.farthest >= np.arange(states))
    assert graph.start.sum() == pytest.approx(1.0)
    assert ROW_S == 0.02
