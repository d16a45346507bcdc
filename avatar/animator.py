"""Speech into mouth movement, cut to the length of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.lipsync import LipSyncState
from avatar.loudness import LoudnessLips
from avatar.mouth_curve import SUBSTEPS, Closures, mouth_at
from avatar.mouth_model import MouthModel, MouthState
from avatar.phones import Segment
from avatar.resample import PolyphaseResampler
from avatar.words import Word


@dataclass(frozen=True, slots=True)
class MouthSegment:
    """The mouth that belongs to one picture's length of speech.

    Attributes:
        start: First sample of the segment, counted from the start of the speech.
        samples: Length in samples at the animator's rate; the last one may be shorter.
        curve: (SUBSTEPS, 10) float32, evenly spread over the segment.
    """

    start: int
    samples: int
    curve: NDArray[np.float32]


class Animator:
    """Turns speech that arrives in pieces of any size into segments, one for each picture.

    Time is counted in samples: segment k covers samples k * rate // fps to
    (k + 1) * rate // fps. Not thread-safe; one for each session.
    """

    def __init__(
        self, model: MouthModel, rate_hz: int, fps: int = 30, *, simple: bool = False
    ) -> None:
        """Start at the beginning of a speech.

        Args:
            model: The lip-sync model, shared between sessions.
            rate_hz: Sample rate of the speech, 8000 to 192000 Hz.
            fps: Pictures a second.
            simple: Let the lips follow the loudness instead of the model.

        Raises:
            ValueError: The rate is out of range.
        """
        self.rate_hz = rate_hz
        self._fps = fps
        self._card = model.card
        self._state: MouthState = (
            LoudnessLips(self._card.sample_rate_hz) if simple else model.new_state()
        )
        self._resampler = PolyphaseResampler(rate_hz, self._card.sample_rate_hz)
        self._clear()

    @property
    def lookahead_s(self) -> float:
        """How much sound behind it a picture's mouth may wait for; more makes it better.

        Never less than the model needs, nor more than it can use. Set it at any time: what is
        held already is then given with the next piece.
        """
        state = self._state
        return state.lookahead_s if isinstance(state, LipSyncState) else self._card.lookahead_s

    @lookahead_s.setter
    def lookahead_s(self, seconds: float) -> None:
        if isinstance(self._state, LipSyncState):
            self._state.lookahead_s = seconds

    @property
    def used_lookahead_s(self) -> float:
        """How much the newest mouth has waited for."""
        if isinstance(self._state, LipSyncState):
            return self._state.used_lookahead_s
        return 0.0 if isinstance(self._state, LoudnessLips) else self._card.lookahead_s

    @property
    def reads(self) -> bool:
        """Whether a text that will be spoken is of use."""
        return isinstance(self._state, LipSyncState)

    def expect(self, words: Sequence[Word]) -> None:
        """Take note of what will be spoken next, behind what was expected before."""
        if isinstance(self._state, LipSyncState):
            self._state.expect(words)

    def expect_phones(self, phones: Sequence[Segment]) -> None:
        """Take note of what will be spoken next and when; see LipSyncState."""
        if isinstance(self._state, LipSyncState):
            self._state.expect_phones(phones)

    def told(self, phones: Sequence[Segment]) -> None:
        """Take note of when the voice itself says that it speaks what; see LipSyncState."""
        if isinstance(self._state, LipSyncState):
            self._state.told(phones)

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice says that it begins a word; see LipSyncState."""
        if isinstance(self._state, LipSyncState):
            self._state.told_word(text, start_s)

    @property
    def words_ahead(self) -> tuple[Word, ...]:
        """Expected words that have not been heard yet."""
        return self._state.words_ahead if isinstance(self._state, LipSyncState) else ()

    def feed(self, pcm: NDArray[np.int16]) -> list[MouthSegment]:
        """Take the next piece of speech.

        Args:
            pcm: (samples,) int16, mono, at rate_hz.

        Returns:
            The segments whose mouth is known by now, in order.

        Raises:
            ModelError: The model failed; reset() before going on.
        """
        self._fed += len(pcm)
        self._add(self._state.feed(self._resampler.feed(pcm.astype(np.float32) / 32768.0)))
        return self._segments()

    def flush(self) -> list[MouthSegment]:
        """End the speech: return the segments that are left and start anew."""
        self._add(self._state.feed(self._resampler.flush()))
        self._add(self._state.flush())
        segments = self._segments(ended=True)
        self.reset()
        return segments

    def reset(self) -> None:
        """Drop what is held and start a new speech."""
        self._state.reset()
        self._resampler.reset()
        self._clear()

    def _clear(self) -> None:
        self._closures = Closures(self._card.press_threshold, self._card.fv_threshold)
        self._rows = np.zeros((0, 10), np.float32)
        self._first_row = 0
        self._fed = 0
        self._picture = 0

    def _add(self, rows: NDArray[np.float32]) -> None:
        if len(rows):
            self._rows = np.concatenate((self._rows, self._closures.shape(rows)))

    def _segments(self, ended: bool = False) -> list[MouthSegment]:
        segments: list[MouthSegment] = []
        row_s = self._card.row_s
        rows_end_s = (self._first_row + len(self._rows) - 0.5) * row_s
        while True:
            start = self._picture * self.rate_hz // self._fps
            end = (self._picture + 1) * self.rate_hz // self._fps
            if ended:
                end = min(end, self._fed)
            if end > self._fed or end <= start or not len(self._rows):
                break
            steps = (np.arange(SUBSTEPS) + 0.5) / SUBSTEPS
            times_s = (start + (end - start) * steps) / self.rate_hz
            if times_s[-1] > rows_end_s and not ended:
                break
            curve = mouth_at(self._rows, self._first_row, row_s, times_s)
            segments.append(MouthSegment(start, end - start, curve))
            self._picture += 1
        spent = int(self._picture / self._fps / row_s) - 2 - self._first_row
        if spent > 0:
            self._rows = self._rows[spent:]
            self._first_row += spent
        return segments
