"""Targets: how the mouth moves through a row of phones, by dominance functions.

Every phone pulls each control towards its own value, strongest in its middle and falling off
exponentially on both sides; the mouth is the weighted mean of all pulls (Cohen and Massaro 1993,
https://doi.org/10.1007/978-4-431-66911-1_13). Lip closures and lip-to-teeth contacts are events,
not averages: `press` and `fv` rise to a flat top over the phone.
"""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from avatar.controls import MOUTH, VISEMES
from avatar.phones import PHONES, VISEME_OF, VOWELS, Segment

Float32Array = npt.NDArray[np.float32]
Int16Array = npt.NDArray[np.int16]

#         jaw   open  spread round press fv   tip  th   teeth
_TARGETS = {
    "sil": (0.00, 0.00, 0.00, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "aa": (0.90, 0.85, 0.10, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ae": (0.75, 0.75, 0.45, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ah": (0.55, 0.60, 0.10, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ax": (0.35, 0.45, 0.15, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ao": (0.65, 0.65, 0.00, 0.50, 0.0, 0.0, 0.0, 0.0, 0.0),
    "eh": (0.50, 0.55, 0.45, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "er": (0.35, 0.40, 0.05, 0.40, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ih": (0.30, 0.40, 0.50, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "iy": (0.20, 0.30, 0.90, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ix": (0.25, 0.35, 0.30, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "o": (0.45, 0.45, 0.00, 0.75, 0.0, 0.0, 0.0, 0.0, 0.0),
    "oe": (0.40, 0.40, 0.10, 0.65, 0.0, 0.0, 0.0, 0.0, 0.0),
    "uh": (0.30, 0.35, 0.00, 0.55, 0.0, 0.0, 0.0, 0.0, 0.0),
    "uw": (0.20, 0.20, 0.00, 0.95, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ue": (0.20, 0.20, 0.10, 0.85, 0.0, 0.0, 0.0, 0.0, 0.0),
    "p": (0.10, 0.00, 0.00, 0.00, 1.0, 0.0, 0.0, 0.0, 0.0),
    "b": (0.10, 0.00, 0.00, 0.00, 1.0, 0.0, 0.0, 0.0, 0.0),
    "m": (0.10, 0.00, 0.00, 0.00, 1.0, 0.0, 0.0, 0.0, 0.0),
    "bh": (0.15, 0.10, 0.00, 0.10, 0.4, 0.0, 0.0, 0.0, 0.0),
    "f": (0.15, 0.12, 0.00, 0.00, 0.0, 1.0, 0.0, 0.0, 0.0),
    "v": (0.15, 0.12, 0.00, 0.00, 0.0, 1.0, 0.0, 0.0, 0.0),
    "th": (0.20, 0.30, 0.10, 0.00, 0.0, 0.0, 0.3, 1.0, 0.0),
    "dh": (0.20, 0.30, 0.10, 0.00, 0.0, 0.0, 0.3, 1.0, 0.0),
    "t": (0.15, 0.30, 0.15, 0.00, 0.0, 0.0, 0.8, 0.0, 0.4),
    "d": (0.15, 0.30, 0.15, 0.00, 0.0, 0.0, 0.8, 0.0, 0.4),
    "n": (0.20, 0.30, 0.10, 0.00, 0.0, 0.0, 0.8, 0.0, 0.1),
    "l": (0.30, 0.40, 0.05, 0.00, 0.0, 0.0, 1.0, 0.0, 0.0),
    "rr": (0.22, 0.35, 0.05, 0.00, 0.0, 0.0, 0.6, 0.0, 0.1),
    "s": (0.05, 0.30, 0.30, 0.00, 0.0, 0.0, 0.4, 0.0, 1.0),
    "z": (0.05, 0.30, 0.30, 0.00, 0.0, 0.0, 0.4, 0.0, 1.0),
    "ts": (0.07, 0.30, 0.25, 0.00, 0.0, 0.0, 0.6, 0.0, 0.9),
    "sh": (0.10, 0.40, 0.00, 0.50, 0.0, 0.0, 0.0, 0.0, 0.8),
    "zh": (0.10, 0.40, 0.00, 0.50, 0.0, 0.0, 0.0, 0.0, 0.8),
    "ch": (0.10, 0.38, 0.00, 0.50, 0.0, 0.0, 0.3, 0.0, 0.8),
    "jh": (0.10, 0.38, 0.00, 0.50, 0.0, 0.0, 0.3, 0.0, 0.8),
    "k": (0.25, 0.35, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "g": (0.25, 0.35, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "ng": (0.25, 0.35, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "x": (0.30, 0.40, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "hh": (0.35, 0.45, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "q": (0.30, 0.35, 0.05, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "r": (0.20, 0.30, 0.00, 0.50, 0.0, 0.0, 0.2, 0.0, 0.0),
    "w": (0.15, 0.12, 0.00, 1.00, 0.0, 0.0, 0.0, 0.0, 0.0),
    "y": (0.20, 0.30, 0.70, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0),
}

_CONTROL = {name: i for i, name in enumerate(MOUTH)}
_PHONE = {phone: i for i, phone in enumerate(PHONES)}
_VISEME = {viseme: i for i, viseme in enumerate(VISEMES)}

REACH_S = 0.35
"""Farther than this from its middle no phone is felt."""


def _tables() -> tuple[Float32Array, Float32Array, Float32Array]:
    """Value, strength and fall-off (1/s) of each phone (rows) for each control (columns)."""
    value = np.zeros((len(PHONES), len(MOUTH)), np.float32)
    for phone, numbers in _TARGETS.items():
        value[_PHONE[phone], :9] = numbers
        value[_PHONE[phone], 9] = phone != "sil"
    strength = np.ones_like(value)
    fall = np.full_like(value, 1 / 0.045)

    def put(table: Float32Array, phones: str, controls: str, number: float) -> None:
        for phone in phones.split():
            for control in controls.split():
                table[_PHONE[phone], _CONTROL[control]] = number

    consonants = " ".join(phone for phone in PHONES if phone not in VOWELS and phone != "sil")
    everything = " ".join(PHONES)
    put(strength, consonants, "spread round", 0.12)
    put(strength, consonants, "jaw open", 0.6)
    put(strength, "k g ng x q hh", "jaw open", 0.25)
    put(strength, "t d n l rr", "jaw open", 0.45)
    put(strength, "p b m", "open", 6.0)
    put(strength, "f v", "open", 4.0)
    put(strength, "p b m f v", "jaw", 1.0)
    put(strength, "s z ts sh zh ch jh", "jaw", 1.5)
    put(strength, "s z ts sh zh ch jh", "open", 1.0)
    put(strength, "sh zh ch jh r", "round", 0.8)
    put(strength, "sh zh ch jh r", "spread", 0.4)
    put(strength, "w", "round open", 1.5)
    put(strength, "w", "spread", 1.0)
    put(strength, "y", "spread", 0.8)
    put(strength, "sil", " ".join(MOUTH), 0.8)
    put(fall, everything, "press fv tip th teeth", 1 / 0.022)
    put(fall, everything, "speak", 1 / 0.02)
    put(fall, everything, "spread round", 1 / 0.06)
    put(fall, "sil", " ".join(MOUTH), 1 / 0.06)
    put(fall, "p b m f v", "open", 1 / 0.02)
    put(fall, "sil", "spread round", 1 / 0.06)
    return value, strength, fall


_VALUE, _STRENGTH, _FALL = _tables()


def without_gaps(segments: list[Segment], seconds: float) -> list[Segment]:
    """The segments with "sil" wherever more than 30 ms are unlabelled."""
    result: list[Segment] = []
    last = 0.0
    for start, end, phone in segments:
        if end <= start:
            continue
        if start - last > 0.03:
            result.append((last, start, "sil"))
        result.append((start, end, phone))
        last = end
    if seconds > last:
        result.append((last, seconds, "sil"))
    return result


def mouth_targets(segments: list[Segment], times_s: npt.NDArray[np.float64]) -> Float32Array:
    """The mouth at these times.

    Args:
        segments: canonical phones without gaps, in order.
        times_s: (n,) evenly spaced and rising, seconds.

    Returns:
        (n, 10) float32 in [0, 1], columns as in MOUTH.
    """
    n = len(times_s)
    step = float(times_s[1] - times_s[0]) if n > 1 else 0.01
    weighted = np.zeros((n, len(MOUTH)), np.float32)
    weight = np.full((n, len(MOUTH)), 1e-9, np.float32)
    times = times_s.tolist()
    for start, end, phone in segments:
        row = _PHONE[phone]
        middle, half = _plateau(start, end, phone)
        near = _within(times, start - REACH_S, end + REACH_S)
        distance = np.maximum(0.0, np.abs(times_s[near] - middle) - half)[:, None]
        pull = _STRENGTH[row] * np.exp(-distance.astype(np.float32) * _FALL[row])
        weighted[near] += pull * _VALUE[row]
        weight[near] += pull
    mouth = weighted / weight
    for control, phones in (("press", "p b m"), ("fv", "f v")):
        flat = np.zeros(n, np.float32)
        for start, end, phone in segments:
            if phone in phones.split():
                if phone in ("p", "b"):  # their last part is the burst, the lips already apart
                    end -= min(0.02, 0.25 * (end - start))
                outside = np.maximum(start - times_s, times_s - end)
                flat = np.maximum(flat, np.clip(0.5 - outside / (2 * step), 0, 1))
        column = _CONTROL[control]
        mouth[:, column] = np.maximum(flat, 0.4 * mouth[:, column])
    return mouth.astype(np.float32)


def _within(times: list[float], start: float, end: float) -> slice:
    """Which of rising times lie from start until end; of two, quicker than np.searchsorted()."""
    return slice(bisect_left(times, start), bisect_left(times, end))


def _plateau(start: float, end: float, phone: str) -> tuple[float, float]:
    """Middle and half width, seconds, of the stretch where a phone pulls with full strength."""
    length = end - start
    if phone == "sil":
        return (start + end) / 2, max(0.0, length / 2 - 0.07)
    if phone in ("p", "b"):
        return start + 0.40 * length, 0.20 * length
    return (start + end) / 2, 0.25 * length


def phone_ids(segments: list[Segment], times_s: npt.NDArray[np.float64]) -> Int16Array:
    """(n,) int16, the index in PHONES of the phone at each time; silence outside."""
    ids = np.full(len(times_s), _PHONE["sil"], np.int16)
    times = times_s.tolist()
    for start, end, phone in segments:
        ids[_within(times, start, end)] = _PHONE[phone]
    return ids


def viseme_ids(segments: list[Segment], times_s: npt.NDArray[np.float64]) -> Int16Array:
    """(n,) int16, the index in VISEMES at each time; h takes the shape of the vowel beside it."""
    ids = np.zeros(len(times_s), np.int16)
    times = times_s.tolist()
    for i, (start, end, phone) in enumerate(segments):
        if phone in ("hh", "q"):
            around = (segments[j][2] for j in (i + 1, i + 2, i - 1) if 0 <= j < len(segments))
            phone = next((near for near in around if near in VOWELS), phone)
        ids[_within(times, start, end)] = _VISEME[VISEME_OF[phone]]
    return ids
