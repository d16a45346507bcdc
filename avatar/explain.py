"""A speech and its mouth over time, drawn for people who ask why the lips did that."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH, VISEMES
from avatar.lipsync import MOST_LOOKAHEAD_S, Evidence, LipSyncState
from avatar.mouth_curve import Closures
from avatar.mouth_model import MouthModel
from avatar.phones import PHONES, Segment
from avatar.resample import PolyphaseResampler
from avatar.words import Word, timed_words

STRIP_S = 6.0
"""Seconds in a strip; what is longer goes on below."""

_PX_PER_S = 180
_LEFT, _RIGHT = 76, 28
_WAVE, _BAND, _LANE, _AXIS, _GAP = 90, 24, 30, 24, 18
_BANDS = ("text", "phone", "viseme")
_STRIP = _WAVE + _BAND * len(_BANDS) + _LANE * len(MOUTH) + _AXIS + _GAP
_WIDTH = _LEFT + round(STRIP_S * _PX_PER_S) + _RIGHT

_PAPER, _INK, _GRID = (255, 255, 255), (60, 55, 70), (228, 226, 232)
_SOUND, _EVIDENCE, _MOVEMENT, _CLOSED = (
    (110, 120, 160),
    (205, 214, 240),
    (70, 95, 190),
    (205, 60, 70),
)
_CLOSING = ("press", "fv")
_SEEN, _SURE = 0.1, 0.5
"""Probabilities from which a label is drawn, and named."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What the model makes of a speech.

    Attributes:
        evidence: (rows, 10) float32, the model's own, columns as in MOUTH.
        movement: (rows, 10) float32, with its closures held: what the face does.
        visemes: (rows, 15) float32 probabilities, columns as in VISEMES; zeros where the model
            has none.
        phones: For each row the likeliest phone by its sound, and its probability; nothing where
            the model knows none.
        places: For each row the word of the text that is spoken, and how much it is trusted;
            nothing without a text.
        row_s: Seconds between rows.
    """

    evidence: NDArray[np.float32]
    movement: NDArray[np.float32]
    visemes: NDArray[np.float32]
    phones: list[tuple[str, float]]
    places: list[tuple[str, float]]
    row_s: float


def explained(
    model: MouthModel,
    pcm: NDArray[np.int16],
    rate_hz: int,
    words: Sequence[Word] = (),
    phones: Sequence[Segment] = (),
) -> Explained:
    """Return what the model makes of a speech.

    Args:
        model: The lip-sync model.
        pcm: (samples,) int16, mono.
        rate_hz: Its sample rate, 8000 to 192000 Hz.
        words: What is spoken, if it is known.
        phones: What is spoken and when, if that is known instead.

    Raises:
        ModelError: The model failed.
        ValueError: The rate is out of range.
    """
    card, state = model.card, model.new_state()
    resampler = PolyphaseResampler(rate_hz, card.sample_rate_hz)
    sound = pcm.astype(np.float32) / 32768.0
    heard = np.concatenate((resampler.feed(sound), resampler.flush()))
    rows: list[Evidence] = []
    if isinstance(state, LipSyncState):
        state.lookahead_s = MOST_LOOKAHEAD_S
        state.expect(words)
        state.expect_phones(phones)
        state.watch = rows.append
        pairs = (state.feed_with_visemes(heard), state.flush_with_visemes())
        evidence, visemes = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    else:
        evidence = np.concatenate((state.feed(heard), state.flush()))
        visemes = np.zeros((len(evidence), len(VISEMES)), np.float32)
    movement = Closures(card.press_threshold, card.fv_threshold).shape(evidence)
    spoken = [*words, *timed_words(phones)]
    heard_phones = [
        (PHONES[int(row.phones.argmax())], float(np.exp(row.phones.max()))) for row in rows
    ]
    places = [
        (spoken[row.reading.word].text, row.reading.trust)
        if row.reading.trust > 0 and row.reading.word < len(spoken)
        else ("", 0.0)
        for row in rows
        if row.reading
    ]
    return Explained(evidence, movement, visemes, heard_phones, places, card.row_s)


def drawing(pcm: NDArray[np.int16], rate_hz: int, made: Explained) -> NDArray[np.uint8]:
    """Draw a speech and what was made of it, a strip for every STRIP_S.

    From above: the sound; the word of the text and how far it is trusted; the likeliest phones and
    visemes; and each mouth control: pale what was seen, dark how the face moves, red where lips are
    held together or under the teeth.

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
        best = [(VISEMES[int(row.argmax())], float(row.max())) for row in made.visemes[rows]]
        for band, labels in enumerate((made.places[rows], made.phones[rows], best)):
            top = _WAVE + band * _BAND
            _draw_labels(strip[top : top + _BAND], _BANDS[band], labels, made.row_s)
        for lane, name in enumerate(MOUTH):
            top = _WAVE + len(_BANDS) * _BAND + lane * _LANE
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


def _draw_labels(
    panel: NDArray[np.uint8], title: str, labels: list[tuple[str, float]], row_s: float
) -> None:
    """Draw a name for each stretch of rows that share it, the darker the surer."""
    _write(panel, title, 8, _BAND - 8)
    at = 0
    for name, rows in groupby(labels, key=lambda label: label[0]):
        shades = [shade for _, shade in rows]
        first, at = at, at + len(shades)
        shade = float(np.mean(shades))
        if name in ("", "sil") or shade < _SEEN:
            continue
        color = tuple(round(255 - (255 - part) * 0.6 * shade) for part in _MOVEMENT)
        left, right = _column(first * row_s), _column(at * row_s)
        cv2.rectangle(panel, (left, 2), (right - 1, _BAND - 3), color, -1)
        if shade >= _SURE and right - left >= 7 * len(name):
            _write(panel, name, left + 1, _BAND - 8, 0.36)


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
