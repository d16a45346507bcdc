"""The pronouncing dictionary: CMUdict's text -> `avatar/assets/words.txt.gz`."""

import argparse
import gzip
import re
import string
from pathlib import Path

from avatar.phones import PHONES, VOWELS, from_arpabet

MAX_WAYS = 4
LICENCE = (
    "# CMUdict, Copyright (C) 1993-2015 Carnegie Mellon University, BSD-2-Clause: words.LICENSE"
)

_ENTRY = re.compile(r"([a-z']+)(?:\([0-9]+\))? ([A-Z][A-Z ]*[A-Z]|[A-Z])")
_WEAK, _STRONG = ("of", "to"), ("what",)
_SIGN_OF = dict(zip(PHONES, string.ascii_letters, strict=False))


def phones_of(word: str, names: list[str]) -> tuple[str, ...]:
    """One pronunciation in our phones; "ah" becomes the weak "ax" where no stress is likely.

    Without stress marks both are AH: it is weak when it is not the first vowel of a word, or when
    that is spelled with another letter than o or u, as in the, a and and; so it is in of and to.

    Args:
        word: as written, lower case.
        names: ARPABET, without stress marks.
    """
    phones = [phone for name in names for phone in from_arpabet(name)]
    vowels = [i for i, phone in enumerate(phones) if phone in VOWELS]
    spelled = next((letter for letter in word if letter in "aeiouy"), "")
    weak_first = word in _WEAK or (spelled not in "ou" and word not in _STRONG)
    for i, phone in enumerate(phones):
        if phone == "ah" and (i != vowels[0] or weak_first):
            phones[i] = "ax"
    return tuple(phones)


def build(source: Path, out: Path) -> int:
    """Write the dictionary; the same source gives the same bytes.

    The file is gzip of UTF-8 lines, sorted: two comments, of which the second names the phone
    of each ASCII letter in turn, then `word<TAB>way[;way...]` with one such letter for each
    phone. Possessives that follow from their noun are left out.

    Args:
        source: lines `word PHONE PHONE...` or `word(2) PHONE...`, ARPABET without stress.
        out: the file to write.

    Returns:
        How many words it holds.

    Raises:
        ValueError: no word was found.
    """
    words: dict[str, list[str]] = {}
    for line in source.read_text(encoding="utf-8").splitlines():
        if match := _ENTRY.fullmatch(line):
            word = match[1]
            way = "".join(_SIGN_OF[phone] for phone in phones_of(word, match[2].split()))
            ways = words.setdefault(word, [])
            if way not in ways and len(ways) < MAX_WAYS:
                ways.append(way)
    words = {w: ways for w, ways in words.items() if not (w.endswith("'s") and w[:-2] in words)}
    if not words:
        raise ValueError(f"no word in {source}")
    lines = [LICENCE, f"# phones: {' '.join(PHONES)}"]
    lines += [f"{word}\t{';'.join(ways)}" for word, ways in sorted(words.items())]
    text = "\n".join(lines) + "\n"
    out.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return len(words)


def main() -> None:
    """Build the dictionary from a file in CMUdict's form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="for instance pocketsphinx's cmudict-en-us.dict")
    parser.add_argument("out", type=Path, nargs="?", default=Path("avatar/assets/words.txt.gz"))
    arguments = parser.parse_args()
    print(build(arguments.source, arguments.out), "words")


if __name__ == "__main__":
    main()
