"""Phones: every synthesiser's names land in one inventory, at the right times."""

import pytest

from avatar.controls import VISEMES
from avatar.phones import CLOSURE_S, PHONES, VISEME_PHONES, canonical


def test_visemes_are_the_avatars() -> None:
    assert tuple(VISEME_PHONES) == VISEMES
    assert len(set(PHONES)) == len(PHONES)


def test_arpabet_diphthongs_are_halved() -> None:
    segments = canonical([(0.0, 0.1, "B"), (0.1, 0.3, "AY"), (0.3, 0.4, "SIL")], "arpabet")
    assert [phone for _, _, phone in segments] == ["b", "aa", "ih", "sil"]
    assert segments[1][:2] == pytest.approx((0.1, 0.2))
    assert segments[2][:2] == pytest.approx((0.2, 0.3))


def test_espeak_stops_begin_before_their_event() -> None:
    segments = canonical([(0.0, 0.2, "a"), (0.2, 0.25, "p"), (0.25, 0.4, "aɪ")], "ipa")
    assert [phone for _, _, phone in segments] == ["aa", "p", "aa", "ih"]
    assert segments[0][1] == segments[1][0] == pytest.approx(0.2 - CLOSURE_S)
    voiced = canonical([(0.0, 0.2, "a"), (0.2, 0.3, "b")], "ipa")
    assert voiced[1][0] == 0.2


def test_a_moved_stop_leaves_something_of_the_phone_before() -> None:
    segments = canonical([(0.0, 0.03, "s"), (0.03, 0.1, "t")], "ipa")
    assert segments[0][1] == segments[1][0] == pytest.approx(0.02)


def test_ipa_marks_are_passed_over() -> None:
    segments = canonical([(0.0, 0.1, "t"), (0.1, 0.2, "ː"), (0.2, 0.3, "tʃ")], "ipa")
    assert [phone for _, _, phone in segments] == ["t", "ch"]
    assert segments[0][1] == pytest.approx(0.2 - CLOSURE_S)


def test_russian_doubles_are_soft_consonants() -> None:
    segments = canonical([(0.0, 0.1, "mm"), (0.1, 0.2, "ii"), (0.2, 0.3, "sch")], "msu_ru")
    assert [phone for _, _, phone in segments] == ["m", "iy", "sh"]


@pytest.mark.parametrize("inventory", ["arpabet", "msu_ru"])
def test_unknown_phones_are_named(inventory: str) -> None:
    with pytest.raises(ValueError, match="no phone 'zzz'"):
        canonical([(0.0, 0.1, "zzz")], inventory)
