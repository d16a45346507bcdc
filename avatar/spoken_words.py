"""English as it is written -> the words a voice says: numbers, dates, money, signs, acronyms."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from avatar.number_words import cardinal, digits, ordinal, spoken_number, year

MAX_CHARACTERS = 2000
MAX_WORDS = 400
_LONGEST_WORD = 40


class Spoken(NamedTuple):
    """A word to be said.

    Attributes:
        text: lower case.
        pause: whether punctuation behind it suggests a pause.
        letter: whether it is the name of a letter, with 's where an acronym is plural.
    """

    text: str
    pause: bool = False
    letter: bool = False


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MONTHS = tuple(
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
)
_MONTH = "|".join(f"{month}|{month[:3]}\\b\\.?" for month in _MONTHS) + r"|Sept\b\.?"
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
_REAL = rf"(?:{_NUMBER}(?:\.[0-9]+)?|\.[0-9]+)"
_SPELL = "\ue000"
"""Marks a letter that is said by its name, while a text is one string."""

_ABBREVIATIONS = {
    **dict(mr="mister", mrs="missus", ms="miz", dr="doctor", prof="professor", st="saint"),
    **dict(jr="junior", sr="senior", gen="general", sen="senator", rev="reverend"),
    **dict(capt="captain", lt="lieutenant", col="colonel", sgt="sergeant", gov="governor"),
    **dict(vs="versus", etc="et cetera", approx="approximately", inc="incorporated"),
    **dict(ltd="limited", corp="corporation", co="company", dept="department"),
    **dict(est="established", ave="avenue", blvd="boulevard", rd="road", mt="mount"),
    **dict(fig="figure", min="minimum", max="maximum", misc="miscellaneous", tel="telephone"),
    **dict(jan="january", feb="february", aug="august", sept="september", oct="october"),
    **dict(nov="november", dec="december"),
}
_NO_END = _set("vs mr mrs ms dr prof st gen sen rev capt lt col sgt gov mt fig")
_DOTTED = {"e.g.": "for example", "i.e.": "that is", "ph.d.": f"{_SPELL}p {_SPELL}h {_SPELL}d"}
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_AMOUNTS = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "t": "trillion"}
_UNITS = {
    **{"km/h": "kilometer per hour", "km": "kilometer", "cm": "centimeter", "mm": "millimeter"},
    **{"m": "meter", "mi": "mile", "ft": "foot", "in": "inch", "yd": "yard", "kg": "kilogram"},
    **{"g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce"},
    **{"L": "liter", "l": "liter", "ml": "milliliter", "mL": "milliliter", "ms": "millisecond"},
    **{"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "hrs": "hour"},
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "V": "volt"},
    **{"KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte"},
    **{"W": "watt", "kW": "kilowatt", "kWh": "kilowatt-hour", "mph": "mile per hour"},
    **{"dB": "decibel", "px": "pixel", "°C": "degree celsius", "°F": "degree fahrenheit"},
    **{"°": "degree", "%": "percent", "€": "euro", "$": "dollar", "£": "pound"},
    **{"m²": "square meter", "km²": "square kilometer", "fps": "frame per second"},
}
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True) if unit != "in")
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter"}
_FRACTIONS["3/4"] = "three quarters"
_SIGNS = {
    **{"&": "and", "@": "at", "+": "plus", "=": "equals", "/": "slash", "\\": "backslash"},
    **{"#": "hash", "<": "less than", ">": "greater than", "×": "times", "÷": "divided by"},
    **{"±": "plus or minus", "≈": "about", "~": "about", "°": "degrees", "−": "minus"},
    **{"%": "percent", "$": "dollars", "€": "euros", "£": "pounds", "½": "one half"},
    **{"¼": "one quarter", "¾": "three quarters", "²": "squared", "³": "cubed"},
}
_SPELLED = _set("US AI IT ID PC UN PM AM EU")
"""Acronyms that are also words of the dictionary, or are written like them."""

_SYLLABLES = re.compile(r"(?=.{4})(?!.*([aeiou])\1)(?:[^aeiou]?[aeiouy][^aeiouy]?)+$")
"""What can be said as a word though it is written in capitals."""

_CALLS = _set("hm hmm mm mmm sh shh psst pst brr brrr pff pfft tsk zzz grr")
_ROMAN = {"II": "two", "III": "three", "VII": "seven", "VIII": "eight"}
_QUOTES = str.maketrans("‘’‛´`ʼ“”„«»‐‑", "''''''\"\"\"\"\"--")
_FOLDED = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "đ": "d"})


def plain(text: str) -> str:
    """The first characters of a text without what no voice says.

    Control characters, emoji and markdown go, quotes become straight, digits of any script
    become 0 to 9; ends of paragraphs and of items in lists become semicolons.
    """
    text = text[:MAX_CHARACTERS].replace("\r\n", "\n")
    text = re.sub(r"```\w*|`", "", text)
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\s]*\)", r"\1", text.translate(_QUOTES))
    text = re.sub(r"</?[A-Za-z][^<>\n]{0,80}>", " ", text)
    text = re.sub(r"(?m)^[ \t]*(?:#{1,6}|>|[-*+•])[ \t]+", "\n\n", text)
    text = re.sub(r"(?<=[0-9])[ \t]*\*[ \t]*(?=[0-9])", " × ", text)
    text = re.sub(r"\*+|~~|\b_+|_+\b", "", text)
    text = re.sub(r"\s*\n\s*\n\s*|\n(?=\s*[0-9]+[.)] )", " ; ", text).strip(" ;")
    text = "".join(c if c in "½¼¾²³" else unicodedata.normalize("NFKC", c) for c in text)
    result = []
    for c in text:
        kind = unicodedata.category(c)
        if kind == "Nd":
            result.append(str(unicodedata.decimal(c)))
        elif kind[0] in "CZ" or (kind in ("So", "Sk") and c != "°"):
            result.append("" if kind == "Cf" else " ")
        else:
            result.append(c)
    return unicodedata.normalize("NFC", "".join(result))[:MAX_CHARACTERS]


def _spelled(letters: str) -> str:
    return " ".join(_SPELL + letter for letter in letters.lower())


def _address(match: re.Match[str]) -> str:
    address = re.sub(r"^[a-z]+://", "", match[0].rstrip("/"), flags=re.IGNORECASE)
    names = {".": "dot", "@": "at", "-": "dash", "_": "underscore", "/": "slash", ":": "colon"}
    names |= {"?": "question mark", "=": "equals", "&": "and", "#": "hash", "%": "percent"}
    words = []
    for part in re.findall(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]", address):
        if re.fullmatch("[0-9]+", part):
            words.append(digits(part) if len(part) > 4 else spoken_number(part))
        elif part.lower() == "www" or part in ("io", "ai", "uk", "tv", "eu", "us", "de", "js"):
            words.append(_spelled(part))
        else:
            words.append(names.get(part, part))
    return f" {' '.join(words)} "


def _ends(match: re.Match[str]) -> bool:
    """Whether a sentence seems to end with what was matched."""
    return re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :]) is not None


def _dotted(match: re.Match[str]) -> str:
    known = _DOTTED.get(match[0].lower())
    return (known or _spelled(match[0].replace(".", ""))) + (
        " . " if _ends(match) and known not in _DOTTED.values() else " "
    )


def _abbreviation(match: re.Match[str]) -> str:
    short = match[1].lower()
    after_name = re.search(r"[A-Z][a-z]+ $", match.string[: match.start()]) is not None
    ends = _ends(match)
    if short in ("st", "dr") and after_name:
        return ("street" if short == "st" else "drive") + (" . " if ends else " ")
    at_end = not match.string[match.end() :].strip()
    return _ABBREVIATIONS[short] + (" . " if at_end or (ends and short not in _NO_END) else " ")


def _date(match: re.Match[str]) -> str:
    """A date of three numbers: the year first, or last behind month and day or day and month."""
    numbers = [int(part) for part in re.findall("[0-9]+", match[0])]
    which, month, day = numbers if numbers[0] > 31 else (numbers[2], numbers[0], numbers[1])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    which += 2000 if which < 100 else 0
    return f" {_MONTHS[month - 1].lower()} {ordinal(day)} {year(which)} "


def _month_day(match: re.Match[str]) -> str:
    month = next(m for m in _MONTHS if m[:3] == match[1][:3]).lower()
    return f" {month} {ordinal(int(match[2]))} {year(int(match[3])) if match[3] else ''} "


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"[0-9]+", match[0])
    sizes = [len(group) for group in groups]
    marked = match[0][0] in "+(0"
    if not 7 <= sum(sizes) <= 15 or (sizes != [3, 4] and len(sizes) < 3 and not marked):
        return match[0]
    if not marked and not (("-" in match[0]) or sizes == [3, 3, 4]):
        return match[0]
    plus = "plus " if match[0][0] == "+" else ""
    return f" {plus}{' , '.join(digits(group) for group in groups)} "


def _time(match: re.Match[str]) -> str:
    hour, minute, second, half = match[1], match[2] or "00", match[3], match[4]
    words = [cardinal(int(hour))]
    if minute != "00":
        words.append(("oh " if minute[0] == "0" else "") + cardinal(int(minute)))
    elif not half:
        words.append("o'clock" if 1 <= int(hour) <= 12 else "hundred")
    if second:
        words.append(cardinal(int(second)))
    return f" {' '.join(words)} {_spelled(half + 'm') if half else ''} "


def _money(match: re.Match[str]) -> str:
    minus, sign, written, amount = match[1], match[2], match[3], match[4]
    one, many, cent, cents = _CURRENCIES[sign]
    whole, _, part = written.partition(".")
    start = " minus " if minus else " "
    if amount:
        scale = _AMOUNTS.get(amount.lower(), amount.lower())
        return f"{start}{spoken_number(written)} {scale} {many} "
    if len(part) != 2:
        return f"{start}{spoken_number(written)} {one if written == '1' else many} "
    coins = f"{cardinal(int(part))} {cent if part == '01' else cents}"
    if whole in ("", "0"):
        return f"{start}{coins} "
    coins = f" and {coins}" if part != "00" else ""
    return f"{start}{spoken_number(whole)} {one if whole == '1' else many}{coins} "


def _measure(match: re.Match[str]) -> str:
    unit = _UNITS[match[2]]
    first, _, rest = unit.partition(" ")
    if match[1] != "1" and first != "percent" and not first.endswith("hertz"):
        first = {"foot": "feet", "inch": "inches", "square": first}.get(first, first + "s")
        unit = f"{first} {rest}{'s' if first == 'square' else ''}".strip()
    return f" {spoken_number(match[1])} {unit} "


def _decade(match: re.Match[str]) -> str:
    words = cardinal(int(match[1])) if len(match[1]) == 2 else year(int(match[1]))
    return f" {words[:-1] + 'ies' if words.endswith('y') else words + 's'} "


def _number(match: re.Match[str]) -> str:
    before, written = match[1] or "", match[2]
    lowest = 1100 if before else 1900
    if re.fullmatch("[0-9]{4}", written) and lowest <= int(written) < 2100:
        return f"{before} {year(int(written))} "
    return f"{before} {spoken_number(written)} "


_DOMAINS = "com|org|net|io|ai|dev|edu|gov|app|info|me|co|uk|de|eu|us|tv"
_SHORT = "|".join(_ABBREVIATIONS)
_STEPS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), result)
    for pattern, result in (
        (r"\b[\w.+-]{1,64}@[\w-]+(?:\.[A-Za-z][\w-]*)+", _address),
        (r"(?i)\bhttps?://[^\s<>\"()]*[\w/]|\bwww\.[\w./-]*\w", _address),
        (rf"\b(?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}(?:{_DOMAINS})\b(?:/[\w./-]*\w)?", _address),
        (
            rf"\b({_MONTH})\s+([0-3]?[0-9])(?:st|nd|rd|th)?\b(?![.,:]?[0-9]|%)"
            r"(?:,?\s+([12][0-9]{3})\b)?",
            _month_day,
        ),
        (r"\bPh\.D\.|(?<![\w.])(?:[A-Za-z]\.){2,}(?!\w)", _dotted),
        (r"\b[Nn]os?\. ?(?=[0-9])", "number "),
        (rf"(?i)(?<![\w'])({_SHORT})\.(?!\w)", _abbreviation),
        (r"\bw/o\b", "without"),
        (r"\bw/(?=\s)", "with"),
        (r"\band/or\b", "and or"),
        (r"\b(he|his|him)/(she|hers?)\b", r"\1 or \2"),
        (r"\b[12][0-9]{3}-[01][0-9]-[0-3][0-9]\b", _date),
        (r"\b[0-9]{1,2}/[0-9]{1,2}/(?:[12][0-9]{3}|[0-9]{2})\b", _date),
        (
            r"(?<![\w.])(?:\+[0-9]{1,3}[-. ]?)?(?:\([0-9]{2,4}\)|[0-9]{1,4})"
            r"(?:[-. ] ?[0-9]{2,4}){1,4}(?!\w|[.,][0-9])",
            _telephone,
        ),
        (
            r"\b([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9]))?(?![0-9:])"
            r"(?:\s?([AaPp])\.?[Mm]\b(?:\.(?!\s*$|\s+[A-Z]))?)?",
            _time,
        ),
        (r"\b(1[0-2]|[1-9])()()\s?([AaPp])\.?[Mm]\b(?:\.(?!\s*$|\s+[A-Z]))?", _time),
        (
            rf"(?<!\w)(-?)([$€£¥₹])\s?({_REAL})"
            r"(?:\s?([kKmMbBtT]|bn|thousand|million|billion|trillion)\b)?",
            _money,
        ),
        (r"(?<=[Cc]all |[Dd]ial )[0-9]{3,}\b", lambda m: f" {digits(m[0])} "),
        (r"(?<=[0-9]) - (?=[0-9])", " minus "),
        (r"(?<=[0-9%])\s?[-–]\s?(?=[$€£]?[0-9])", " to "),
        (r"(?<=[0-9])[xX](?=[0-9])", " by "),
        (r"(?<=[0-9]):(?=[0-9])", " to "),
        (r"(?<![\w)])[-−](?=\.?[0-9])", " minus "),
        (
            r"\b[0-9]+(?:\.[0-9]+){2,}",
            lambda m: " point ".join(map(spoken_number, m[0].split("."))),
        ),
        (r"\b[0-9]{1,4}/[0-9]{1,4}\b", lambda m: _FRACTIONS.get(m[0], m[0].replace("/", " "))),
        (
            rf"({_NUMBER})(?:st|nd|rd|th)\b",
            lambda m: f" {ordinal(int(m[1].replace(',', '')) % 10**15)} ",
        ),
        (r"(?<![\w.])'?([12][0-9]{2}0|[1-9]0)'?s\b", _decade),
        (rf"(?<![0-9])({_REAL})\s?({_UNIT})(?![A-Za-z0-9])", _measure),
        (rf"(?<![0-9])({_REAL})(in)\b", _measure),
        (
            r"(\b(?:[Ii]n|[Ss]ince|[Bb]y|[Ff]rom|[Uu]ntil|[Bb]efore|[Aa]fter|[Yy]ear|of)\s+)?"
            rf"({_REAL})",
            _number,
        ),
        (r"(?:[-=]+>|<[-=]+)", " "),
        (r"\b([CFcf])#", r"\1 sharp"),
        (r"#(?= ?(?:zero|one|two|three|four|five|six|seven|eight|nine|ten)\b)", " number "),
        (r"#(?=\w)", " hashtag "),
        (r"(?<=[A-Za-z0-9])\.(?=[a-z])", " dot "),
        (r"''", " "),
    )
)
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_TOKEN = re.compile(
    rf"({_SPELL}?'?[^\W\d_](?:[\u0300-\u036f]|'?[^\W\d_])*'?)"
    r"|([,.!?;:…—]|--|\s[-–]\s|[-–]$)"
)


def _folded(word: str) -> str:
    """A Latin word in the letters a to z, a Cyrillic one as it is, nothing of other scripts."""
    if re.search("[\u0400-\u04ff]", word):
        return re.sub("[^\u0400-\u04ff]", "", word)
    apart = unicodedata.normalize("NFKD", word.translate(_FOLDED))
    return re.sub("[^A-Za-z']", "", apart)


def _parts(word: str, shouted: bool, is_word: Callable[[str], bool]) -> list[Spoken]:
    """What is said for one written word: itself, its parts, or its letters."""
    if word.startswith("'") and not (is_word(word.lower()) and not word.endswith("'")):
        word = word[1:]
    word = word.rstrip("'")[:_LONGEST_WORD]
    lower = word.lower()
    if not word:
        return []
    if owner := re.fullmatch(r"([A-Z]{2,5})s|([^']+)'s", word, flags=re.ASCII):
        said = [] if is_word(lower) else _parts(owner[1] or owner[2], shouted, is_word)
        if said:
            return [*said[:-1], said[-1]._replace(text=said[-1].text + "'s")]
    if word in _SPELLED and not shouted:
        return [Spoken(letter, letter=True) for letter in lower]
    if is_word(lower) or len(word) == 1:
        return [Spoken(lower)]
    mute = not re.search("[aeiouy]", lower) and lower not in _CALLS
    initials = word.isupper() and "'" not in word and not shouted and not _SYLLABLES.match(lower)
    if len(word) <= 5 and (mute or initials):
        return [Spoken(c, letter=True) for c in lower if c != "'"]
    pieces = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']*[a-z]", word) if word.isascii() else []
    if len(pieces) > 1 and not re.search("'[a-z]", word):
        return [said for piece in pieces for said in _parts(piece, shouted, is_word)]
    return [Spoken(lower)]


def spoken_words(text: str, is_word: Callable[[str], bool]) -> list[Spoken]:
    """The words that a voice says for an English text; never raises.

    Args:
        text: as written; MAX_CHARACTERS of it are looked at.
        is_word: whether the dictionary has a word in lower case.

    Returns:
        At most MAX_WORDS.
    """
    text = plain(text).replace(_SPELL, " ")
    shouted = text.isupper() and len(text.split()) > 2
    for pattern, result in _STEPS:
        text = pattern.sub(result, text)
    text = _SIGN.sub(lambda match: f" {_SIGNS[match[0]]} ", text)
    said: list[Spoken] = []
    for token, punctuation in _TOKEN.findall(text):
        if punctuation:
            if said:
                said[-1] = said[-1]._replace(pause=True)
        elif token.startswith(_SPELL):
            said += [Spoken(letter, letter=True) for letter in _folded(token).lower()]
        elif token == "A" and said and not said[-1].pause and not shouted:
            said.append(Spoken("a", letter=True))
        elif token in _ROMAN and said and not shouted:
            said.append(Spoken(_ROMAN[token]))
        else:
            said += _parts(_folded(token), shouted, is_word)
        if len(said) >= MAX_WORDS:
            break
    return said[:MAX_WORDS]
