"""A speech and its mouth over time, drawn for people who ask why the lips did that."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH, VISEMES
from avatar.lipsync import LipSyncState
from avatar.mouth_curve import Closures
from avatar.mouth_model import MouthModel
from avatar.resample import PolyphaseResampler

STRIP_S = 6.0
"""Seconds in a strip; what is longer goes on below."""

_PX_PER_S = 180
_LEFT, _RIGHT = 76, 28
_WAVE, _BAND, _LANE, _AXIS, _GAP = 90, 24, 30, 24, 18
_STRIP = _WAVE + _BAND + _LANE * len(MOUTH) + _AXIS + _GAP
_WIDTH = _LEFT + round(STRIP_S * _PX_PER_S) + _RIGHT

_PAPER, _INK, _GRID = (255, 255, 255), (60, 55, 70), (228, 226, 232)
_SOUND, _EVIDENCE, _MOVEMENT, _CLOSED = (
    (110, 120, 160),
    (205, 214, 240),
    (70, 95, 190),
    (205, 60, 70),
)
_CLOSING = ("press", "fv")
_SURE = 0.5
"""Probability from which a viseme is named."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What the model makes of a speech.

    Attributes:
        evidence: (rows, 10) float32, the model's own, columns as in MOUTH.
        movement: (rows, 10) float32, with its closures held: what the face does.
        visemes: (rows, 15) float32 probabilities, columns as in VISEMES; zeros where the model
            has none.
        row_s: Seconds between rows.
    """

    evidence: NDArray[np.float32]
    movement: NDArray[np.float32]
    visemes: NDArray[np.float32]
    row_s: float


def explained(model: MouthModel, pcm: NDArray[np.int16], rate_hz: int) -> Explained:
    """Return what the model makes of a speech.

    Args:
        model: The lip-sync model.
        pcm: (samples,) int16, mono.
        rate_hz: Its sample rate, 8000 to 192000 Hz.

    Raises:
        ModelError: The model failed.
        ValueError: The rate is out of range.
    """
    card, state = model.card, model.new_state()
    resampler = PolyphaseResampler(rate_hz, card.sample_rate_hz)
    sound = pcm.astype(np.float32) / 32768.0
    heard = np.concatenate((resampler.feed(sound), resampler.flush()))
    if isinstance(state, LipSyncState):
        pairs = (state.feed_with_visemes(heard), state.flush_with_visemes())
        evidence, visemes = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    else:
        evidence = np.concatenate((state.feed(heard), state.flush()))
        visemes = np.zeros((len(evidence), len(VISEMES)), np.float32)
    movement = Closures(card.press_threshold, card.fv_threshold).shape(evidence)
    return Explained(evidence, movement, visemes, card.row_s)


def drawing(pcm: NDArray[np.int16], rate_hz: int, made: Explained) -> NDArray[np.uint8]:
    """Draw a speech and what was made of it, a strip for every STRIP_S.

    From above: the sound, the likeliest visemes, and each mouth control: pale what the model saw,
    dark how the face moves, red where lips are held together or under the teeth.

    Args:
        pcm: (samples,) int16, mono.
        rate_hz: Its sample rate.
        made: What `explained()` gave for it.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    strips = max(1, int(np.ceil(len(pcm) / rate_hz / STRIP_S)))
    picture = np.full((strips * _STRIP, _WIDTH, 3), _PAPER, np.uint8)
    for number in range(strips):
        strip = picture[number * _STRIP : (number + 1) * _STRIP]
        start_s = number * STRIP_S
        _draw_time(strip, start_s)
        samples = slice(round(start_s * rate_hz), round((start_s + STRIP_S) * rate_hz))
        _draw_sound(strip[:_WAVE], pcm[samples], rate_hz)
        rows = slice(round(start_s / made.row_s), round((start_s + STRIP_S) / made.row_s))
        _draw_visemes(strip[_WAVE : _WAVE + _BAND], made.visemes[rows], made.row_s)
        for lane, name in enumerate(MOUTH):
            top = _WAVE + _BAND + lane * _LANE
            values = made.evidence[rows, lane], made.movement[rows, lane]
            _draw_control(strip[top : top + _LANE], name, values, made.row_s)
    return picture


def _column(time_s: float) -> int:
    return _LEFT + round(time_s * _PX_PER_S)


def _write(picture: NDArray[np.uint8], text: str, left: int, base: int, size: float = 0.42) -> None:
    font, line = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    cv2.putText(picture, text, (left, base), font, size, _INK, 1, line)


def _draw_time(strip: NDArray[np.uint8], start_s: float) -> None:
    bottom = _STRIP - _AXIS - _GAP
    for tenth in range(round(STRIP_S * 10) + 1):
        column = _column(tenth / 10)
        whole = tenth % 10 == 0
        if whole or tenth % 2 == 0:
            cv2.line(strip, (column, 0), (column, bottom + (6 if whole else 2)), _GRID, 1)
        if whole:
            _write(strip, f"{start_s + tenth / 10:g} s", column - 10, bottom + 20)


def _draw_sound(panel: NDArray[np.uint8], pcm: NDArray[np.int16], rate_hz: int) -> None:
    _write(panel, "sound", 8, _WAVE // 2 + 4)
    middle, reach = _WAVE // 2, _WAVE // 2 - 4
    per_column = rate_hz / _PX_PER_S
    for column in range(round(len(pcm) / per_column)):
        piece = pcm[round(column * per_column) : max(1, round((column + 1) * per_column))]
        if len(piece):
            low, high = (
                round(float(piece_end) / 32768 * reach) for piece_end in (piece.min(), piece.max())
            )
            cv2.line(
                panel, (_LEFT + column, middle - high), (_LEFT + column, middle - low), _SOUND, 1
            )


def _draw_visemes(panel: NDArray[np.uint8], visemes: NDArray[np.float32], row_s: float) -> None:
    _write(panel, "viseme", 8, _BAND - 8)
    best = visemes.argmax(axis=1) if len(visemes) else np.zeros(0, int)
    edges = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    for first, last in pairwise(edges):
        if first == last or best[first] == 0:
            continue
        shade = float(visemes[first:last, best[first]].mean())
        color = tuple(round(255 - (255 - part) * 0.6 * shade) for part in _MOVEMENT)
        left, right = _column(first * row_s), _column(last * row_s)
        cv2.rectangle(panel, (left, 2), (right - 1, _BAND - 3), color, -1)
        if shade >= _SURE and right - left >= 14:
            _write(panel, VISEMES[best[first]], left + 1, _BAND - 8, 0.36)


def _draw_control(
    panel: NDArray[np.uint8],
    name: str,
    values: tuple[NDArray[np.float32], NDArray[np.float32]],
    row_s: float,
) -> None:
    _write(panel, name, 8, _LANE - 8)
    base, height = _LANE - 3, _LANE - 6
    cv2.line(panel, (_LEFT, base), (_WIDTH - _RIGHT, base), _GRID, 1)
    evidence, movement = values
    if not len(evidence):
        return
    columns = [_column((row + 0.5) * row_s) for row in range(len(evidence))]
    tops = [base - round(float(value) * height) for value in evidence]
    outline = [(columns[0], base), *zip(columns, tops, strict=True), (columns[-1], base)]
    cv2.fillPoly(panel, [np.array(outline, np.int32)], _EVIDENCE)
    if name in _CLOSING:
        for row in np.flatnonzero(movement == 1.0):
            corners = (_column(row * row_s), base - height), (_column((row + 1) * row_s), base)
            cv2.rectangle(panel, *corners, _CLOSED, -1)
        return
    line = [(x, base - round(float(v) * height)) for x, v in zip(columns, movement, strict=True)]
    cv2.polylines(panel, [np.array(line, np.int32)], False, _MOVEMENT, 1, cv2.LINE_AA)
