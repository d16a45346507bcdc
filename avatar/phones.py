"""Phones: our inventory, their visemes, and how each synthesiser's names map onto it."""

import math
from pathlib import Path


def _pairs(names: str, phones: str | None = None) -> dict[str, str]:
    """Our phone for each of a synthesiser's names; without phones, the names are ours."""
    ours = names if phones is None else phones
    return dict(zip(names.split(), ours.split(), strict=True))


VISEME_PHONES = {
    "sil": "sil",
    "PP": "p b m bh",
    "FF": "f v",
    "TH": "th dh",
    "DD": "t d",
    "kk": "k g ng x q hh",
    "CH": "sh zh ch jh",
    "SS": "s z ts",
    "nn": "n l",
    "RR": "r er rr",
    "aa": "aa ae ah",
    "E": "eh ax oe",
    "I": "ih iy y ix",
    "O": "ao o",
    "U": "uh uw w ue",
}
"""The phones that each of the fifteen Oculus visemes stands for, in ARPABET-like names."""

VISEME_OF = {phone: v for v, phones in VISEME_PHONES.items() for phone in phones.split()}
PHONES = tuple(VISEME_OF)
VOWELS = frozenset(_pairs("aa ae ah ax ao eh er ih iy o uh uw ue oe ix"))

BURST_AT_START = frozenset(("p", "t", "k", "ch", "ts"))
"""Phones whose espeak-ng event comes with the burst, at the end of the closure."""

CLOSURE_S = 0.045
"""How long that closure lasted: by this much the phone starts before its event."""

Segment = tuple[float, float, str]
"""Start and end in seconds, phone."""

_DIPHTHONGS = {
    "ay": ("aa", "ih"),
    "aw": ("aa", "uh"),
    "ey": ("eh", "ih"),
    "ow": ("o", "uh"),
    "oy": ("ao", "ih"),
}
_ARPABET = {
    "pau": "sil",
    "h#": "sil",
    "brth": "sil",
    "ssil": "sil",
    "#": "sil",
    "axr": "er",
    "el": "l",
    "em": "m",
    "en": "n",
    "dx": "d",
    "nx": "n",
    "hv": "hh",
}
_IPA = {
    **_pairs("p b f v t d n l s z k g o w q x m"),
    **_pairs("ɱ ʋ β ɸ θ ð ʈ ɖ ɳ ɲ", "m v bh bh th dh t d n n"),
    **_pairs("ɫ ɭ ʎ ɬ ʂ ʐ ʃ ʒ ɕ ʑ", "l l l l sh zh sh zh sh zh"),
    **_pairs("tʃ dʒ tɕ dʑ ts dz", "ch jh ch jh ts ts"),
    **_pairs("ɡ ŋ c ɟ χ ç ɣ ʝ h ɦ ħ ʔ", "g ng k g x x x y hh hh hh q"),
    **_pairs("ɹ ɻ r ɾ ʀ ʁ ɽ ɥ ʍ j", "r r rr rr x x rr ue w y"),
    **_pairs("a ɑ ɒ æ ɐ ʌ ə ɚ ɝ ɜ", "aa aa ao ae ah ah ax er er er"),
    **_pairs("ɘ ɵ ɛ e ɪ i ɨ ᵻ ɔ ʊ u", "ax o eh eh ih iy ix ih ao uh uw"),
    **_pairs("ʉ ɯ ɤ y ʏ ø œ ɶ", "ue ix ax ue ue oe oe oe"),
}
_MSU_RU = {
    **_pairs("p b m f v t d n l s z k g sh zh ch"),
    "pau": "sil",
    "ssil": "sil",
    "ii": "iy",
    "yy": "ix",
    "uu": "uw",
    "ee": "eh",
    "oo": "o",
    "aa": "aa",
    "a": "ah",
    "e": "eh",
    "i": "ih",
    "y": "ix",
    "u": "uw",
    "ae": "ax",
    "ay": "ih",
    "ur": "uh",
    "sch": "sh",
    "c": "ts",
    "h": "x",
    "hh": "x",
    "j": "y",
    "r": "rr",
}


def from_arpabet(name: str) -> tuple[str, ...]:
    """Our phones for an ARPABET name, which may be unknown: then the name itself."""
    name = name.lower()
    if name in _DIPHTHONGS:
        return _DIPHTHONGS[name]
    return (_ARPABET.get(name, name),)


def from_ipa(name: str) -> tuple[str, ...]:
    """Our phones for a row of IPA signs; marks and unknown signs are passed over."""
    phones = []
    at = 0
    while at < len(name):
        for length in (2, 1):
            phone = _IPA.get(name[at : at + length])
            if phone is not None:
                phones.append(phone)
                at += length
                break
        else:
            at += 1
    return tuple(phones)


def _msu_ru(name: str) -> tuple[str, ...]:
    if name not in _MSU_RU and len(name) == 2 and name[0] == name[1]:
        name = name[0]
    return (_MSU_RU.get(name, name),)


_INVENTORIES = {"arpabet": from_arpabet, "ipa": from_ipa, "msu_ru": _msu_ru}


def canonical(segments: list[Segment], inventory: str) -> list[Segment]:
    """The segments in our phones: diphthongs split in halves, espeak-ng's stops moved.

    Args:
        segments: in order of time, named as the inventory does.
        inventory: "arpabet" (flite, festival, CMU dictionary), "ipa" (espeak-ng) or "msu_ru".

    Raises:
        ValueError: a name that the inventory does not know.
    """
    phones_of = _INVENTORIES[inventory]
    result: list[Segment] = []
    for start, end, name in segments:
        phones = phones_of(name)
        if not phones:
            if result:
                result[-1] = (result[-1][0], end, result[-1][2])
            continue
        unknown = [phone for phone in phones if phone not in VISEME_OF]
        if unknown:
            raise ValueError(f"{inventory} has no phone {name!r}")
        if inventory == "ipa" and phones[0] in BURST_AT_START and result:
            before_start, before_end, before = result[-1]
            start = max(start - CLOSURE_S, min(before_start + 0.02, start))
            if before_end > start:
                result[-1] = (before_start, start, before)
        step = (end - start) / len(phones)
        for i, phone in enumerate(phones):
            result.append((start + i * step, start + (i + 1) * step, phone))
    return result


MOST_PHONES = 20_000
"""Lines of a file of phones."""


def read_phones(path: Path) -> list[Segment]:
    """The canonical phones of a file of lines "start_s end_s phone", ARPABET or IPA.

    Raises:
        ValueError: a line is something else, or the times do not rise; the message names it.
        OSError: the file cannot be read.
    """
    segments: list[Segment] = []
    lines = path.read_text("utf-8").splitlines()
    if len(lines) > MOST_PHONES:
        raise ValueError(f"{path}: has {len(lines)} lines, at most {MOST_PHONES} can be used")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            start, end, phone = line.split()
            segment = (float(start), float(end), phone)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: is not: start_s end_s phone") from error
        last_s = segments[-1][1] if segments else 0.0
        if not (last_s - 1e-6 <= segment[0] <= segment[1] < math.inf):
            raise ValueError(f"{path}, line {number}: its times do not follow those before it")
        segments.append(segment)
    latin = all(phone.isascii() and phone.isalpha() for _, _, phone in segments)
    upper = latin and any(phone.isupper() for _, _, phone in segments)
    try:
        return canonical(segments, "arpabet" if upper else "ipa")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
