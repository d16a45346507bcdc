"""Texts become words with phones, in any language and from any garbage."""

import gzip
import logging
import random
import shutil
import string

import pytest

from avatar import letter_sounds, pronunciation
from avatar.phones import PHONES
from avatar.pronunciation import WORDS_PATH, words_of
from avatar.words import Word

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: apt install espeak-ng"
)


def _phones(text: str, language: str = "en") -> str:
    return " / ".join(" ".join(word.ways[0]) for word in words_of(text, language))


PRONOUNCED = {
    "hello": "hh ax l o uh",
    "bubble": "b ah b ax l",
    "phone": "f o uh n",
    "the": "dh ax",
    "a": "ax",
    "of": "ax v",
    "now": "n aa uh",
    "boy": "b ao ih",
    "twenty": "t w eh n t iy",
    "A B": "ax / b iy",
    "plan A": "p l ae n / eh ih",
    "GPUs": "jh iy / p iy / y uw z",
    "isn't": "ih z ax n t",
    "cat's": "k ae t s",
    "dog's": "d ao g z",
    "boss's": "b aa s ax z",
    "chatbots": "ch ae t b ao t s",
    "unkissable": "ah n k ih s ax b ax l",
    "onboarding": "aa n b ao r d ih ng",
    "smartwatch": "s m aa r t w aa ch",
    "vaped": "v eh ih p t",
    "pumply": "p ah m p l iy",
    "she'd've": "sh iy d ax v",
    "thuckle": "th ah k ax l",
    "привет": "p rr iy v eh t",
}


@pytest.mark.parametrize("text", PRONOUNCED)
def test_phones_of_words(text: str) -> None:
    assert _phones(text) == PRONOUNCED[text]


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("knight", "n aa ih t"),
        ("quick", "k w ih k"),
        ("station", "s t eh ih sh ax n"),
        ("gem", "jh eh m"),
        ("city", "s ih t iy"),
        ("write", "r aa ih t"),
        ("photo", "f o uh t o uh"),
        ("lamb", "l ae m"),
        ("moon", "m uw n"),
        ("rabbit", "r ae b ih t"),
        ("home", "hh o uh m"),
        ("jewel", "jh uw ax l"),
    ],
)
def test_letters_alone(word: str, phones: str) -> None:
    assert " ".join(letter_sounds.english(word)) == phones


def test_words_have_ways_and_pauses() -> None:
    words = words_of("Yes, read the record.")
    assert [word.text for word in words] == ["yes", "read", "the", "record"]
    assert [word.pause for word in words] == [True, False, False, True]
    assert words[1].ways == (("r", "eh", "d"), ("r", "iy", "d"))
    assert len(words[3].ways) == 3
    assert isinstance(words[0], Word)


def test_the_dictionary_is_sorted_and_known() -> None:
    data = WORDS_PATH.read_bytes()
    assert len(data) <= 1_200_000
    lines = gzip.decompress(data).decode("ascii").removesuffix("\n").split("\n")
    assert "Carnegie Mellon University" in lines[0]
    names = lines[1].removeprefix("# phones: ").split(" ")
    assert set(names) <= set(PHONES)
    assert lines == sorted(lines)
    signs = set(string.ascii_letters[: len(names)])
    for line in lines[2:]:
        word, _, ways = line.partition("\t")
        assert word and set(ways) <= signs | {";"}
        assert 1 <= len(ways.split(";")) <= 4
        assert all(ways.split(";"))


def test_every_word_of_the_dictionary_is_found() -> None:
    lines = gzip.decompress(WORDS_PATH.read_bytes()).decode().split("\n")[2:-1]
    words = [line.split("\t")[0] for line in lines]
    for word in (*words[:50], *words[-50:], *random.Random(1).sample(words, 2000)):
        assert pronunciation._found(word), word
    for word in ("", "#", "aaaaa", "hellp", "zzzzzz", "hell\t", "'"):
        assert not pronunciation._found(word), word


def _garbage(rng: random.Random) -> str:
    kinds = (
        lambda: chr(rng.randrange(0x110000)),
        lambda: chr(rng.randrange(0x250)),
        lambda: rng.choice("0123456789.,:/-$€%+#@'’ \n*_`[]()°"),
        lambda: rng.choice(string.ascii_letters),
        lambda: rng.choice(["1st", "$", "10:05", "am", "http://", "a.b", "Dr.", "3/4", "--", "'s"]),
        lambda: rng.choice(
            ["\u200d", "\ud800", "\x00", "\u0301", "½", "²", "٣", "Ⅷ", "ﬁ", "\ue000"]
        ),
    )
    some = rng.sample(kinds, rng.randint(1, len(kinds)))
    return "".join(rng.choice(some)() for _ in range(rng.choice((1, 5, 30, 300))))


@pytest.mark.parametrize("language", ["en", "", "../xx"])
def test_no_text_raises(language: str) -> None:
    rng = random.Random(7)
    for _ in range(600):
        text = _garbage(rng)
        for word in words_of(text, language):
            assert word.text == word.text.lower()
            assert 1 <= len(word.ways) <= 4
            assert all(way and set(way) <= set(PHONES) for way in word.ways), (text, word)


@needs_espeak
@pytest.mark.parametrize("language", ["fr", "ru", "zh"])
def test_no_text_raises_with_espeak(language: str) -> None:
    rng = random.Random(8)
    for _ in range(30):
        for word in words_of(_garbage(rng), language):
            assert set(word.ways[0]) <= set(PHONES)


@pytest.mark.parametrize("text", ["a" * 100_000, "1" * 5000, "$" * 5000, "a.b@" * 900, "- " * 3000])
def test_long_texts_are_cut(text: str) -> None:
    assert len(words_of(text)) <= 400
    assert len(words_of(text, "")) <= 400


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "😀", "你好", "\x00", "'", "- -"])
def test_nothing_to_say(text: str) -> None:
    assert words_of(text) == []
    assert words_of(text, "qq") == []


@needs_espeak
def test_french_is_asked_of_espeak() -> None:
    words = words_of("Bonjour, je suis là. **Merci**!", "fr-FR")
    assert [word.text for word in words] == ["bonjour", "je", "suis", "là", "merci"]
    assert [word.pause for word in words] == [True, False, False, True, True]
    assert words[0].ways == (("b", "ao", "zh", "uw", "x"),)
    assert words[4].ways[0][0] == "m"


@needs_espeak
def test_numbers_switches_and_marks_of_espeak() -> None:
    assert _phones("42", "es").startswith("k w aa rr eh n t aa")
    assert _phones("[[h@l@U]] hola", "es").endswith("o l aa")
    computer = _phones("мой computer", "ru").split(" / ")[-1]
    assert computer.startswith("k") and "p y uw" in computer
    assert _phones("こんにちは", "ja") == "k o n n iy ch iy hh aa"
    assert words_of("今日", "ja") == []


def test_without_espeak_letters_are_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pronunciation, "ESPEAK", "no-such-program")
    pronunciation._espeak.cache_clear()
    pronunciation._without_espeak.cache_clear()
    with caplog.at_level(logging.DEBUG, logger="avatar.pronunciation"):
        assert _phones("Bom fim, você", "pt") == "b o m / f iy m / v o k eh"
        assert _phones("мова", "uk") == "m o v aa"
    assert [word.pause for word in words_of("Bom fim, você", "pt")] == [False, True, False]
    assert len(caplog.records) == 1
    pronunciation._espeak.cache_clear()


def test_an_unknown_language_is_read_by_its_letters() -> None:
    assert _phones("Hola", "qq") == "hh o l aa"
