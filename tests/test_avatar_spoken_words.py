"""What is written becomes what a voice says."""

import gzip

import pytest

from avatar.number_words import cardinal, ordinal, spoken_number, year
from avatar.pronunciation import WORDS_PATH
from avatar.spoken_words import MAX_WORDS, plain, spoken_words

WORDS = frozenset(
    line.split("\t")[0] for line in gzip.decompress(WORDS_PATH.read_bytes()).decode().split("\n")
)

GOLDEN = {
    "I have 1,234 apples": "i have one thousand two hundred thirty four apples",
    "pi is 3.14, half is .5": "pi is three point one four| half is point five",
    "-5 and 5 - 3": "minus five and five minus three",
    "the 1st, 22nd and 12th": "the first| twenty second and twelfth",
    "In 1999 and 2024": "in nineteen ninety nine and twenty twenty four",
    "since 1905, in 2005": "since nineteen oh five| in two thousand five",
    "the 1990s and the '80s": "the nineteen nineties and the eighties",
    "2019-2021": "twenty nineteen to twenty twenty one",
    "It costs $42.50.": "it costs forty two dollars and fifty cents|",
    "€5, £3 or $1": "five euros| three pounds or one dollar",
    "$1.5 million, $0.99, -$5": (
        "one point five million dollars| ninety nine cents| minus five dollars"
    ),
    "45% of 10-15%": "forty five percent of ten to fifteen percent",
    "at 9:30": "at nine thirty",
    "10:05 am and 9:00": "ten oh five A M and nine o'clock",
    "by 5 p.m. Then go": "by five P M| then go",
    "due 3/14": "due three fourteen",
    "3/14/2024 or 2024-03-14": (
        "march fourteenth twenty twenty four or march fourteenth twenty twenty four"
    ),
    "March 3rd and Jan. 5, 2020": "march third and january fifth twenty twenty",
    "1/2 a cup, 24/7": "one half a cup| twenty four seven",
    "555-123-4567": "five five five| one two three| four five six seven",
    "+1 (555) 123": "plus one| five five five| one two three",
    "call 911 or 007": "call nine one one or zero zero seven",
    "5km, 20°C, 1 kg, 6ft": "five kilometers| twenty degrees celsius| one kilogram| six feet",
    "60 km/h": "sixty kilometers per hour",
    "Dr. Smith vs. Mrs. Jones": "doctor smith versus missus jones",
    "St. Paul on Main St. today": "saint paul on main street today",
    "cats, dogs, etc. The end": "cats| dogs| et cetera| the end",
    "e.g. this, i.e. that": "for example this| that is that",
    "approx. 5 in the U.S. Army": "approximately five in the U S| army",
    "A GPU and two LLMs": "a G P U and two L L M'S",
    "NASA saw the COVID data": "nasa saw the covid data",
    "the US and us": "the U S and us",
    "MP3 and GPT-4o": "M P three and G P T four o",
    "OpenAI made it": "open A I made it",
    "STOP IT RIGHT NOW": "stop it right now",
    "salt & pepper": "salt and pepper",
    "2+2=4 @ home": "two plus two equals four at home",
    "#1 #fun and/or C#": "number one hashtag fun and or c sharp",
    "he/she, this/that": "he or she| this slash that",
    "me@example.com": "me at example dot com",
    "see https://example.com/docs.": "see example dot com slash docs|",
    "run bot.py now": "run bot dot py now",
    "well-known — yes…": "well known| yes|",
    "it’s “fine”, don’t 'worry'": "it's fine| don't worry",
    "'em dogs' o'clock": "'em dogs o'clock",
    "**bold** *it* `code` ~~no~~ _x_": "bold it code no x",
    "[a link](http://x.y/z)": "a link",
    "naïve café": "naive cafe",
    "# Title\n\n- one\n- two": "title| one| two",
    "wow 😀 ok ♥": "wow ok",
}


def _said(text: str) -> str:
    """The words of a text: letters in capitals, a bar where a pause is."""
    words = spoken_words(text, WORDS.__contains__)
    return " ".join(
        (word.text.upper() if word.letter else word.text) + "|" * word.pause for word in words
    )


@pytest.mark.parametrize("written", GOLDEN)
def test_what_is_said(written: str) -> None:
    assert _said(written) == GOLDEN[written]


def test_numbers() -> None:
    assert cardinal(0) == "zero"
    assert cardinal(1_000_015) == "one million fifteen"
    assert [ordinal(n) for n in (3, 8, 20, 100)] == [
        "third",
        "eighth",
        "twentieth",
        "one hundredth",
    ]
    assert [year(n) for n in (1900, 2000, 2010)] == [
        "nineteen hundred",
        "two thousand",
        "twenty ten",
    ]
    assert spoken_number("5551234") == "five five five one two three four"
    assert spoken_number("8000000") == "eight million"
    assert spoken_number("9" * 16) == " ".join(["nine"] * 16)


@pytest.mark.parametrize("mark", [",", ".", "!", "?", ";", ":", " —", " -", "…"])
def test_punctuation_pauses(mark: str) -> None:
    words = spoken_words(f"one{mark} two", WORDS.__contains__)
    assert [word.pause for word in words] == [True, False]


def test_hyphens_and_brackets_do_not_pause() -> None:
    assert not any(word.pause for word in spoken_words("well-known (old) man", WORDS.__contains__))


def test_plain_text_has_nothing_that_is_not_said() -> None:
    assert plain("a\x00b\u200bc 👍 ٣ ½") == "a bc   3 ½"
    assert len(plain("x" * 5000)) == 2000


def test_no_more_words_than_the_limit() -> None:
    assert len(spoken_words("1234567890123 " * 200, WORDS.__contains__)) == MAX_WORDS
    assert spoken_words(" \n\t...!", WORDS.__contains__) == []
