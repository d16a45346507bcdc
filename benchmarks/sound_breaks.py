"""Compares received speech with what was sent: where sound was put in, left out or silenced.

A sentence is followed in short windows. Each is sought in the received sound by normalised
correlation; the path of best correlation through all of them, with a price on every change of
place, says how much later each moment is heard. Where the path steps, sound was put in between
(it steps forward) or left out (backward). On the path, stretches where speech was sent and
silence received are holes: packets that were lost or came too late.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr
from scipy.signal import correlate

from benchmarks.recording import AUDIO_HZ

PATH_HZ = 8_000
"""The path is sought at this rate, and refined at the sound's own."""
WINDOW_S, HOP_S = 0.16, 0.02
REACH_S = 1.0
"""A moment is sought this far before and after where the sentence as a whole was found."""
STEP_PRICE = 1.0
"""What a change of place costs, in windows that fit perfectly: pitch periods look alike."""
SMALLEST_MS = 3.0
"""Steps below this are not told from the voice's own irregularity."""
BLOCK_S = 0.005
"""Holes are sought in blocks of this length."""
LOUD, SILENCED = 0.1, 0.15
"""Share of the loudest level above which sent sound counts as loud; share of its own level below
which it counts as silenced."""
SHORTEST_HOLE_MS = 10.0
ONE_BREAK_S = 0.06
"""Two breaks closer than this count as one."""
FOUND, SURE = 0.5, 0.75
"""Correlation below which a window, or a whole sentence, was not found: windows of other speech
reach so much. Only above the second one does a window tell where it is; at a break none does."""


@dataclass(frozen=True)
class Break:
    """One place where received speech is not what was sent.

    Attributes:
        at_s: in the sentence as sent.
        shift_ms: sound that was put in; below zero, sound that was left out.
        hole_ms: sound that was silenced without a shift.
    """

    at_s: float
    shift_ms: float
    hole_ms: float

    @property
    def size_ms(self) -> float:
        """Length of what is wrong."""
        return max(abs(self.shift_ms), self.hole_ms)


@dataclass(frozen=True)
class Heard:
    """A sentence as it was received.

    Attributes:
        start: sample of the received sound where the sentence begins.
        end: the sample after its last one.
        breaks: in order.
        likeness: median correlation of the windows with what was received there.
        unlike_ms: loud sound whose windows were not found.
    """

    start: int
    end: int
    breaks: tuple[Break, ...]
    likeness: float
    unlike_ms: float


@dataclass(frozen=True)
class _Piece:
    """Sent samples [start, end) that are heard `shift` samples later."""

    start: int
    end: int
    shift: int


def compare(sent: np.ndarray, received: np.ndarray) -> Heard | None:
    """Where a sentence is in received sound, and what is wrong with it there.

    Args:
        sent: (samples,) int16, 48 kHz, the sentence.
        received: (samples,) int16, 48 kHz, with the sentence somewhere in it.

    Returns:
        None when it is not there.
    """
    if len(received) < len(sent) // 4 or not np.any(sent) or not np.any(received):
        return None
    low_sent, low_received = (
        soxr.resample(pcm.astype(np.float32) / 32768, AUDIO_HZ, PATH_HZ) for pcm in (sent, received)
    )
    whole = int(correlate(low_received, low_sent, method="fft").argmax()) - (len(low_sent) - 1)
    starts = _loud_windows(low_sent)
    scores, lags = _scores(low_sent, low_received, starts, whole)
    path = _best_path(np.maximum(scores - FOUND, 0) / (1 - FOUND))
    found = scores[np.arange(len(path)), path]
    sure = found > SURE
    likeness = float(np.median(found))
    if likeness < FOUND or not sure.any():
        return None
    shifts = lags[np.arange(len(path)), path]
    pieces = _joined(_pieces(sent, received, starts[sure], shifts[sure]), sent, received)
    breaks = _breaks(pieces, _holes(sent, received, pieces))
    unlike_ms = float((found < FOUND).sum() * HOP_S * 1e3)
    start, end = pieces[0].shift, len(sent) + pieces[-1].shift
    return Heard(start, end, tuple(breaks), likeness, unlike_ms)


def _loud_windows(sent: np.ndarray) -> np.ndarray:
    """(windows,) first samples of the windows that hold speech, at PATH_HZ."""
    length, hop = int(WINDOW_S * PATH_HZ), int(HOP_S * PATH_HZ)
    starts = np.arange(0, max(1, len(sent) - length + 1), hop)
    energy = np.concatenate([[0.0], np.cumsum(sent.astype(np.float64) ** 2)])
    levels = np.sqrt(energy[np.minimum(starts + length, len(sent))] - energy[starts])
    loud: np.ndarray = starts[levels > LOUD * levels.max()]
    return loud


def _scores(
    sent: np.ndarray, received: np.ndarray, starts: np.ndarray, whole: int
) -> tuple[np.ndarray, np.ndarray]:
    """How like each window is to the received sound, at lags around the whole sentence's.

    Returns:
        (windows, lags) the best correlation within each millisecond, and its lag in samples.
    """
    length, reach = int(WINDOW_S * PATH_HZ), int(REACH_S * PATH_HZ)
    per_ms = PATH_HZ // 1000
    bins = 2 * reach // per_ms
    margin = reach + length + max(0, -whole)
    padded = np.pad(received, (margin, margin + len(sent) + reach + length))
    energy = np.concatenate([[0.0], np.cumsum(padded.astype(np.float64) ** 2)])
    scores, lags = np.zeros((2, len(starts), bins))
    for row, start in enumerate(starts):
        window = sent[start : start + length]
        first = margin + whole + start - reach
        place = padded[first : first + bins * per_ms + len(window) - 1]
        power = energy[first + len(window) :][: bins * per_ms] - energy[first:][: bins * per_ms]
        norm = np.sqrt(np.maximum(power, 1e-9) * float((window**2).sum()))
        alike = correlate(place, window, "valid", "fft") / np.maximum(norm, 1e-3)
        by_ms = alike.reshape(bins, per_ms)
        best = by_ms.argmax(axis=1)
        scores[row] = by_ms[np.arange(bins), best]
        lags[row] = whole - reach + np.arange(bins) * per_ms + best
    return scores, lags


def _best_path(scores: np.ndarray) -> np.ndarray:
    """(windows,) the column of each row on the path with the best sum, steps having their price."""
    rows, columns = scores.shape
    came_from = np.zeros((rows, columns), np.int32)
    total = scores[0].copy()
    for row in range(1, rows):
        near = np.stack([np.roll(total, shift) for shift in (0, 1, -1)])
        near[1, 0] = near[2, -1] = -np.inf
        choice = near.argmax(axis=0)
        best = near[choice, np.arange(columns)]
        source = np.arange(columns) - np.array([0, 1, -1])[choice]
        top = int(total.argmax())
        jump = total[top] - STEP_PRICE > best
        came_from[row] = np.where(jump, top, source)
        total = np.where(jump, total[top] - STEP_PRICE, best) + scores[row]
    path = np.empty(rows, np.int64)
    path[-1] = int(total.argmax())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path


def _pieces(
    sent: np.ndarray, received: np.ndarray, starts: np.ndarray, lags: np.ndarray
) -> list[_Piece]:
    """Runs of windows at one place, each place to the sample; sent positions still overlap."""
    up = AUDIO_HZ // PATH_HZ
    length = int(WINDOW_S * AUDIO_HZ)
    cuts = np.flatnonzero(np.abs(np.diff(lags)) > SMALLEST_MS * 1e-3 * PATH_HZ) + 1
    pieces: list[_Piece] = []
    for run in np.split(np.arange(len(starts)), cuts):
        start, end = int(starts[run[0]]) * up, min(int(starts[run[-1]]) * up + length, len(sent))
        shift = _refined(sent, received, start, end, round(float(np.median(lags[run]))) * up)
        if pieces and _same(shift, pieces[-1].shift):
            pieces[-1] = _Piece(pieces[-1].start, end, pieces[-1].shift)
        else:
            pieces.append(_Piece(start, end, shift))
    return pieces


def _refined(sent: np.ndarray, received: np.ndarray, start: int, end: int, shift: int) -> int:
    """The shift within a millisecond of a given one at which a stretch is most alike."""
    slack = AUDIO_HZ // 1000
    place = _at(received, start + shift - slack, end + shift + slack)
    return shift - slack + int(correlate(place, _at(sent, start, end), "valid", "fft").argmax())


def _joined(pieces: list[_Piece], sent: np.ndarray, received: np.ndarray) -> list[_Piece]:
    """The whole sentence in pieces cut where one stops and the next begins to fit.

    What is then shorter than can be told, or does not fit, was a likeness by chance and is
    dropped: beside a break, windows fit a pitch period too early or too late.
    """
    while True:
        whole = _cut(pieces, sent, received)
        fits = [_fit(piece, sent, received) for piece in whole]
        worst = min(range(len(fits)), key=fits.__getitem__)
        if len(whole) == 1 or fits[worst] > SURE:
            return whole
        pieces = [piece for number, piece in enumerate(pieces) if number != worst]
        if 0 < worst < len(pieces) and _same(pieces[worst - 1].shift, pieces[worst].shift):
            before, after = pieces[worst - 1 : worst + 1]
            pieces[worst - 1 : worst + 1] = [_Piece(before.start, after.end, before.shift)]


def _cut(pieces: list[_Piece], sent: np.ndarray, received: np.ndarray) -> list[_Piece]:
    """The pieces without overlaps and gaps, each joint where it leaves the least error."""
    joints = [0]
    for before, after in pairwise(pieces):
        # The last window of one and the first of the other both reach across the joint.
        first, last = sorted((after.start, before.end))
        wanted = _at(sent, first, last)
        wrong_before = (_at(received, first + before.shift, last + before.shift) - wanted) ** 2
        wrong_after = (_at(received, first + after.shift, last + after.shift) - wanted) ** 2
        cost = np.concatenate([[0.0], np.cumsum(wrong_before - wrong_after)])
        joints.append(max(joints[-1], first + int(cost.argmin())))
    joints.append(len(sent))
    return [
        _Piece(start, end, piece.shift)
        for piece, (start, end) in zip(pieces, pairwise(joints), strict=True)
    ]


def _fit(piece: _Piece, sent: np.ndarray, received: np.ndarray) -> float:
    """How like a piece is to what was received at its place; below zero when it is too short."""
    if piece.end - piece.start < ONE_BREAK_S * AUDIO_HZ:
        return (piece.end - piece.start) / (ONE_BREAK_S * AUDIO_HZ) - 1.0
    wanted = _at(sent, piece.start, piece.end)
    given = _at(received, piece.start + piece.shift, piece.end + piece.shift)
    return float(wanted @ given / max(np.linalg.norm(wanted) * np.linalg.norm(given), 1.0))


def _same(shift: int, other: int) -> bool:
    return abs(shift - other) <= SMALLEST_MS * 1e-3 * AUDIO_HZ


def _holes(sent: np.ndarray, received: np.ndarray, pieces: list[_Piece]) -> list[tuple[int, int]]:
    """Sent samples [start, end) of stretches that were sent loud and received silent."""
    heard = np.concatenate([_at(received, p.start + p.shift, p.end + p.shift) for p in pieces])
    block = int(BLOCK_S * AUDIO_HZ)
    blocks = len(sent) // block
    sent_level, heard_level = (
        np.sqrt((pcm[: blocks * block].astype(np.float64).reshape(blocks, block) ** 2).mean(axis=1))
        for pcm in (sent, heard)
    )
    loud = sent_level > LOUD * np.percentile(sent_level, 95)
    gone = np.concatenate([[False], loud & (heard_level < SILENCED * sent_level), [False]])
    edges = np.flatnonzero(np.diff(gone.astype(np.int8))) * block
    return [
        (int(start), int(end))
        for start, end in edges.reshape(-1, 2)
        if end - start >= SHORTEST_HOLE_MS * 1e-3 * AUDIO_HZ
    ]


def _breaks(pieces: list[_Piece], holes: list[tuple[int, int]]) -> list[Break]:
    """Steps and holes in order, a hole beside a step counted with it."""
    ms, near = 1e3 / AUDIO_HZ, int(ONE_BREAK_S * AUDIO_HZ)
    breaks, left = [], list(holes)
    for before, after in pairwise(pieces):
        at, shift = after.start, after.shift - before.shift
        # Of sound that was left out, either side may have got a part, where it finds silence.
        reach = near + max(0, -shift)
        own = [hole for hole in left if hole[0] - reach <= at <= hole[1] + reach]
        left = [hole for hole in left if hole not in own]
        hole_ms = sum(end - start for start, end in own) * ms
        breaks.append(Break(at / AUDIO_HZ, shift * ms, hole_ms))
    breaks += [Break(start / AUDIO_HZ, 0.0, (end - start) * ms) for start, end in left]
    return sorted(breaks, key=lambda found: found.at_s)


def _at(pcm: np.ndarray, start: int, end: int) -> np.ndarray:
    """(end - start,) float32 samples, silence outside of the sound."""
    inside = pcm[max(0, start) : max(0, end)].astype(np.float32)
    before = min(max(0, -start), end - start)
    return np.pad(inside, (before, end - start - before - len(inside)))
