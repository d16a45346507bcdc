"""Text that will be spoken -> words and their phones, for a lip-sync that knows the text.

English comes from a dictionary, then from word parts, then from its letters. Other languages are
asked of the espeak-ng program where it is installed, and read letter by letter where not.
"""

import functools
import gzip
import logging
import re
import string
import subprocess
import unicodedata
from pathlib import Path

from avatar import letter_sounds
from avatar.phones import from_ipa
from avatar.spoken_words import MAX_CHARACTERS, MAX_WORDS, plain, spoken_words
from avatar.words import Word

_log = logging.getLogger(__name__)

WORDS_PATH = Path(__file__).parent / "assets" / "words.txt.gz"
ESPEAK = "espeak-ng"
ESPEAK_TIMEOUT_S = 2.0
_MAX_WAYS = 4
_MAX_PHONES = 80
"""What is taken of one word; a number may be one word to espeak-ng."""

_MAX_OUTPUT = 64 * MAX_CHARACTERS

Way = tuple[str, ...]

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8}){0,3}")
_ESPEAK_NAMES = {"zh": "cmn", "zh-cn": "cmn", "zh-tw": "cmn", "zh-hk": "yue", "no": "nb"}
_HAN = re.compile("[\u3400-\u9fff]")
_VOICE_SWITCH = re.compile(r"\([a-z\u200d-]+\)")
_CLAUSE_END = re.compile(r"[,.!?;:…—、。！？；：،؟।]")
_HISSES = frozenset(("s", "z", "sh", "zh", "ch", "jh", "ts"))
_VOICELESS = frozenset(("p", "t", "k", "f", "th"))
_ENDINGS: dict[str, Way] = {
    **{"n't": ("ax", "n", "t"), "'ll": ("ax", "l"), "'ve": ("ax", "v"), "'re": ("er",)},
    **{"'d": ("d",), "'m": ("m",), "ly": ("l", "iy"), "ing": ("ih", "ng")},
    **{"ness": ("n", "ax", "s"), "less": ("l", "ax", "s"), "ful": ("f", "ax", "l")},
}
_BEGINNINGS: dict[str, Way] = {
    **{
        "un": ("ah", "n"),
        "re": ("r", "iy"),
        "non": ("n", "aa", "n"),
        "over": ("o", "uh", "v", "er"),
    },
    **{"mis": ("m", "ih", "s"), "pre": ("p", "r", "iy")},
}


@functools.cache
def _dictionary() -> tuple[bytes, dict[str, str]]:
    """The lines of the dictionary, sorted, and the phone of each sign in them."""
    lines = gzip.decompress(WORDS_PATH.read_bytes())
    names = lines.split(b"\n", 2)[1].decode().split(" ")[2:]
    return lines, dict(zip(string.ascii_letters, names, strict=False))


def _line_of(word: str) -> bytes | None:
    """What the dictionary says behind a word, by bisection of its sorted lines."""
    lines, _ = _dictionary()
    key = word.encode() + b"\t"
    low, high = 0, len(lines)
    while low < high:
        start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
        end = lines.find(b"\n", start)
        if lines.startswith(key, start):
            return lines[start + len(key) : end]
        if lines[start:end] < key:
            low = end + 1
        else:
            high = start
    return None


def _is_word(word: str) -> bool:
    return _line_of(word) is not None


def _found(word: str) -> tuple[Way, ...]:
    """The dictionary's ways of a word, or none."""
    line = _line_of(word)
    if line is None:
        return ()
    _, phone_of = _dictionary()
    return tuple(tuple(phone_of[sign] for sign in way) for way in line.decode().split(";"))


def _plural(way: Way) -> Way:
    if way[-1] in _HISSES:
        return (*way, "ax", "z")
    return (*way, "s" if way[-1] in _VOICELESS else "z")


def _past(way: Way) -> Way:
    if way[-1] in ("t", "d"):
        return (*way, "ax", "d")
    return (*way, "t" if way[-1] in _HISSES - {"z", "zh", "jh"} | _VOICELESS else "d")


def _stem(word: str) -> tuple[Way, ...]:
    """The ways of a word whose ending was taken: perhaps an e, an i for y, a doubled letter."""
    if len(word) < 2:
        return ()
    variants = [word, word + "e"]
    if word[-1] == word[-2:-1]:
        variants.append(word[:-1])
    if word[-1] == "i":
        variants.append(word[:-1] + "y")
    return next((ways for variant in variants if (ways := _found(variant))), ())


def _built(word: str) -> tuple[Way, ...]:
    """The ways of a word made of one or two that the dictionary has, or none."""
    if word.endswith("'s"):
        return tuple(_plural(way) for way in _ways(word[:-2])) if len(word) > 2 else ()
    for ending, phones in _ENDINGS.items():
        if word.endswith(ending) and (ways := _stem(word.removesuffix(ending))):
            return tuple(way + phones for way in ways)
    if word.endswith("s") and not word.endswith("ss"):
        ways = _found(word[:-1]) or (_stem(word[:-2]) if word.endswith("es") else ())
        if ways:
            return tuple(_plural(way) for way in ways)
    if word.endswith("ed") and (ways := _stem(word[:-2])):
        return tuple(_past(way) for way in ways)
    for beginning, phones in _BEGINNINGS.items():
        rest = word.removeprefix(beginning)
        if len(rest) > 3 and rest != word and (ways := _found(rest)):
            return tuple(phones + way for way in ways)
    middle = len(word) // 2
    for at in sorted(range(3, len(word) - 2), key=lambda at: abs(at - middle)):
        if len(word) > 6 and (first := _found(word[:at])) and (second := _found(word[at:])):
            return (first[0] + second[0],)
    return ()


@functools.lru_cache(4096)
def _ways(word: str) -> tuple[Way, ...]:
    """One to four ways of saying an English word, none where it has no letters."""
    if not word.isascii():
        way = letter_sounds.plain(word)
        return (way,) if way else ()
    ways = _found(word) or _built(word) or (letter_sounds.english(word),)
    return tuple(way[:_MAX_PHONES] for way in dict.fromkeys(ways) if way)[:_MAX_WAYS]


def _letter_ways(letter: str) -> tuple[Way, ...]:
    """The ways of a letter's name; "a" alone would be the article."""
    if letter.startswith("a"):
        return (_plural(("eh", "ih")),) if letter.endswith("'s") else (("eh", "ih"),)
    return _ways(letter)


def _english(text: str) -> list[Word]:
    words: list[Word] = []
    for spoken in spoken_words(text, _is_word):
        if ways := _letter_ways(spoken.text) if spoken.letter else _ways(spoken.text):
            words.append(Word(spoken.text, ways, spoken.pause))
    return words


@functools.cache
def _without_espeak(reason: str) -> None:
    _log.debug("words of other languages are read letter by letter: %s", reason)


@functools.lru_cache(64)
def _espeak(text: str, language: str) -> str | None:
    """What espeak-ng prints for a text: IPA, a line for each clause; None if it failed."""
    try:
        ran = subprocess.run(
            [ESPEAK, "-q", "--ipa=3", "-b", "1", "-v", language, "--stdin"],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ESPEAK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _without_espeak(type(error).__name__)
        return None
    return ran.stdout[:_MAX_OUTPUT].decode(errors="ignore")


def _by_espeak(text: str, language: str) -> list[Word] | None:
    """The words as espeak-ng says them, which joins and splits what is written.

    Where it gives another number of words than are written, each is called by what stands at
    about its place.
    """
    printed = _espeak(re.sub(r"\[(?=\[)", "[ ", text), _ESPEAK_NAMES.get(language, language))
    if printed is None:
        return None
    if "(\u200de\u200dn)" in printed and _HAN.search(text):
        return []
    printed = unicodedata.normalize("NFD", _VOICE_SWITCH.sub(" ", printed).replace("\u200d", ""))
    clauses = []
    for line in printed.replace("c\u0327", "ç").splitlines():
        ways = [way for word in line.split() if (way := from_ipa(word)[:_MAX_PHONES])]
        if ways:
            clauses.append(ways)
    written = re.findall(r"\w+(?:['’-]\w+)*", text.lower()) or [""]
    count = sum(len(ways) for ways in clauses)
    ends = _CLAUSE_END.search(text.rstrip()[-1:]) is not None
    words: list[Word] = []
    for i, ways in enumerate(clauses):
        for j, way in enumerate(ways):
            name = written[len(words) * len(written) // count]
            pause = j == len(ways) - 1 and (i < len(clauses) - 1 or ends)
            words.append(Word(name, (way,), pause))
    return words[:MAX_WORDS]


def _by_letters(text: str) -> list[Word]:
    words: list[Word] = []
    for token in re.findall(r"[^\W\d_]+|[^\w\s]", text.lower()):
        if way := letter_sounds.plain(token)[:_MAX_PHONES]:
            words.append(Word(token, (way,), False))
        elif words and _CLAUSE_END.match(token):
            words[-1] = Word(words[-1].text, words[-1].ways, True)
    return words[:MAX_WORDS]


def words_of(text: str, language: str = "en") -> list[Word]:
    """The words that a voice will say for a text, and how; never raises.

    For other languages than English it waits for a program, some 20 ms; call it on a thread.

    Args:
        text: as written; its first `spoken_words.MAX_CHARACTERS` characters are looked at.
        language: "en", "fr", "pt-BR"...

    Returns:
        At most `spoken_words.MAX_WORDS`; none where nothing can be said.
    """
    language = language.lower().replace("_", "-")
    if language.startswith("en"):
        return _english(text)
    text = plain(text)
    if _LANGUAGE.fullmatch(language) and any(c.isalnum() for c in text):
        words = _by_espeak(text, language)
        if words is not None:
            return words
    return _by_letters(text)
