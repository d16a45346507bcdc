"""Numbers as English says them."""

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ONES = tuple(_SMALL.split(" "))
_TENS = (
    *_ONES[:1],
    "ten",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
)
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}


def cardinal(number: int) -> str:
    """The words of a number of at most fifteen digits: 105 is one hundred five."""
    for scale, name in _SCALES:
        if number >= scale:
            rest = number % scale
            return f"{cardinal(number // scale)} {name}" + (f" {cardinal(rest)}" if rest else "")
    if number >= 100:
        rest = number % 100
        return f"{_ONES[number // 100]} hundred" + (f" {cardinal(rest)}" if rest else "")
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")


def ordinal(number: int) -> str:
    """The words of a place in a row: 22 is twenty second."""
    before, _, last = cardinal(number).rpartition(" ")
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{before} {last}".strip()


def year(number: int) -> str:
    """A year of four digits as it is read: 1999 is nineteen ninety nine."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(written: str) -> str:
    """The name of every digit of a text, one by one."""
    return " ".join(_ONES[int(c)] for c in written if c in "0123456789")


def spoken_number(written: str) -> str:
    """The words of an integer or decimal as written, with or without commas.

    Numbers that begin with 0, and long ones without commas that are not round, are read digit
    by digit.
    """
    whole, _, part = written.replace(",", "").partition(".")
    many = len(whole) >= 7 and "," not in written and not whole.endswith("000")
    if many or len(whole) > 15 or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole)) if whole else ""
    return f"{words} point {digits(part)}" if part else words
