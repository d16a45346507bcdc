"""One stretch of speech on its way through the avatar: held until its mouth is known."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import soxr
from loguru import logger
from numpy.typing import NDArray
from pipecat.frames.frames import OutputAudioRawFrame, TTSAudioRawFrame

from avatar.animator import Animator, MouthSegment
from avatar.pronunciation import words_of
from avatar.voice_phones import MOST_EVENTS, PHONEMES, PhonemeEvent, VoicePhones
from avatar.words import Word

FIRST_WORD_WITHIN_S = 0.8
"""A voice whose first word begins later counts its times from something else; they are not used."""

PIECE_S = 0.1
"""Speech is taken in pieces of this length, so that the drawing never waits for a long one."""


Int16Array = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of a piece of speech.

    Attributes:
        segments: The segments whose mouth is known by now.
        lookahead_s: How much sound the newest mouth has waited for.
        words_ahead: Words that were expected and not heard, at the end of the speech.
    """

    segments: list[MouthSegment]
    lookahead_s: float = 0.0
    words_ahead: tuple[Word, ...] = ()


class Speech:
    """Speech frames of one kind, resampled once to the output's rate and cut to pictures.

    `feed()` and `flush()` compute the mouth and belong on the session's thread; all else is cheap
    and belongs on the event loop, which owns the sound.
    """

    def __init__(
        self,
        frame: OutputAudioRawFrame,
        rate_hz: int,
        make_animator: Callable[[int], Animator],
        language: str = "en",
    ) -> None:
        """Begin with the first frame.

        Args:
            frame: The first frame; it is not fed yet.
            rate_hz: The output transport's sample rate.
            make_animator: Gives a new animator for a sample rate.
            language: Of the texts that it will be told.
        """
        self.rate_hz = rate_hz
        self.interruptible = frame.interruptible
        self.ended = False
        """Whether all of its sound is held."""
        self.failure: Exception | None = None
        """Why none could be made for its mouth."""
        self._first = frame
        self._animator: Animator | None = None
        try:
            self._animator = make_animator(rate_hz)
        except Exception as error:
            self.failure = error
        self._language = language
        self._texts: deque[str] = deque()
        self._words: tuple[Word, ...] = ()
        self._word_times: deque[tuple[str, float]] = deque(maxlen=MOST_EVENTS)
        self._events: deque[tuple[float, str]] = deque(maxlen=MOST_EVENTS)
        self._voice_phones = VoicePhones()
        self._tells_phonemes = self._told_wrong = False
        self._first_word_s: float | None = None
        self._taken = 0
        self._part = b""
        self._held = bytearray()
        self._resampler: soxr.ResampleStream | None = None
        if frame.sample_rate != rate_hz:
            self._resampler = soxr.ResampleStream(
                frame.sample_rate, rate_hz, frame.num_channels, dtype="int16"
            )

    def continues_in(self, frame: OutputAudioRawFrame) -> bool:
        """Whether a frame carries on this speech rather than beginning another."""
        first = self._first
        same_context = not isinstance(frame, TTSAudioRawFrame) or (
            self.context_id == frame.context_id
        )
        return (
            not self.ended
            and same_context
            and (
                type(first) is type(frame)
                and first.sample_rate == frame.sample_rate
                and first.num_channels == frame.num_channels
                and first.interruptible == frame.interruptible
            )
        )

    def pieces(self, frame: OutputAudioRawFrame) -> Iterator[Int16Array]:
        """Take a frame's sound, and hold it until its mouth is known.

        Yields:
            (samples,) int16, mono, at the output's rate: what to `feed()` next.
        """
        self._note_phonemes(frame)
        channels = frame.num_channels
        audio = self._part + frame.audio
        whole = len(audio) // (2 * channels) * 2 * channels
        # A voice may cut its sound in the middle of a sample.
        self._part = audio[whole:]
        self._taken += whole // (2 * channels)
        step = int(frame.sample_rate * PIECE_S) * 2 * channels
        for start in range(0, whole, step):
            yield self._take_in(np.frombuffer(audio[start : min(start + step, whole)], np.int16))

    def end(self) -> Int16Array:
        """Hold what the change of rate has kept back; no more can be taken in.

        Returns:
            What to `flush()`, as from `pieces()`.
        """
        if self.ended:
            return np.zeros(0, np.int16)
        self.ended = True
        return self._take_in(np.zeros(0, np.int16), last=True)

    @property
    def context_id(self) -> str | None:
        """The voice's context that it belongs to, if it names one."""
        return getattr(self._first, "context_id", None)

    def told_by(self, context_id: str | None) -> bool:
        """Whether a text of a voice's context is spoken in it."""
        mine = self.context_id
        return context_id is None or mine is None or context_id == mine

    def expect(self, text: str) -> None:
        """Take note of a text that will be spoken in it, behind those it was told before."""
        self._texts.append(text)

    def expect_words(self, words: tuple[Word, ...]) -> None:
        """Take note of what will be spoken before every text that it is told."""
        self._words = words

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice says that it begins a word of a text it was told.

        Args:
            text: As written.
            start_s: Seconds from the start of the speech.
        """
        self._word_times.append((text, start_s))

    def feed(self, pcm: Int16Array, lookahead_s: float = 0.0) -> Fed:
        """Compute the mouth of a piece of the speech.

        Args:
            pcm: As from `pieces()`; may be empty.
            lookahead_s: How much sound the mouth may wait for; more than the model needs makes
                it better.
        """
        if self._animator:
            self._animator.lookahead_s = lookahead_s
        return self._fed(pcm, last=False)

    def flush(self, pcm: Int16Array) -> Fed:
        """Compute the mouth of the end of the speech, as `feed()` does."""
        return self._fed(pcm, last=True)

    def _fed(self, pcm: Int16Array, last: bool) -> Fed:
        animator = self._animator
        if animator is None:
            return Fed([])
        if self._words:
            animator.expect(self._words)
            self._words = ()
        while self._texts and animator.reads:
            animator.expect(words_of(self._texts.popleft(), self._language))
        while self._word_times:
            self._tell_word(animator, *self._word_times.popleft())
        if self._events:
            # The event loop may add to them meanwhile.
            events = [self._events.popleft() for _ in range(len(self._events))]
            animator.told(self._voice_phones.add(events))
        segments = animator.feed(pcm)
        used_s, ahead = animator.used_lookahead_s, animator.words_ahead if last else ()
        return Fed(segments + animator.flush() if last else segments, used_s, ahead)

    def give_up(self) -> None:
        """Have no mouth from now on; the sound goes on."""
        self._animator = None

    @property
    def silent(self) -> bool:
        """Whether the mouth of this speech was given up."""
        return self._animator is None

    @property
    def held_samples(self) -> int:
        """Samples that are held at the output's rate."""
        return len(self._held) // (2 * self._first.num_channels)

    def take(self, samples: int) -> OutputAudioRawFrame:
        """Return the next samples as a frame of the kind that brought them."""
        size = samples * 2 * self._first.num_channels
        frame = replace(self._first, audio=bytes(self._held[:size]), sample_rate=self.rate_hz)
        frame.interruptible = self.interruptible
        frame.transport_destination = self._first.transport_destination
        del self._held[:size]
        return frame

    def _tell_word(self, animator: Animator, text: str, start_s: float) -> None:
        """Pass on when a word begins, if the voice tells nothing better and its clock is sound."""
        if self._first_word_s is None:
            self._first_word_s = start_s
        if self._tells_phonemes or not 0.0 <= self._first_word_s <= FIRST_WORD_WITHIN_S:
            return
        for word in words_of(text, self._language)[:1]:
            animator.told_word(word.text, start_s)

    def _note_phonemes(self, frame: OutputAudioRawFrame) -> None:
        start_s, rate_hz = self._taken / frame.sample_rate, frame.sample_rate
        events: Iterable[PhonemeEvent] = frame.metadata.get(PHONEMES) or ()
        try:
            told = [(start_s + float(event.sample) / rate_hz, event.ipa) for event in events]
        except (AttributeError, TypeError, ValueError) as error:
            if not self._told_wrong:
                self._told_wrong = True
                logger.warning(
                    f"metadata[{PHONEMES!r}] of speech must be a list of events with sample and "
                    f"ipa: {error}; it is not used"
                )
            return
        self._tells_phonemes |= bool(told)
        self._events.extend(told)

    def _take_in(self, pcm: Int16Array, last: bool = False) -> Int16Array:
        """Hold sound at the output's rate; gives one channel of it."""
        channels = self._first.num_channels
        shaped = pcm.reshape(-1, channels)
        if self._resampler is not None:
            # A single channel has one dimension for soxr.
            given = self._resampler.resample_chunk(shaped[:, 0] if channels == 1 else shaped, last)
            shaped = given.reshape(-1, channels)
        self._held += shaped.tobytes()
        if channels == 1:
            return shaped[:, 0]
        mono: Int16Array = shaped.mean(axis=1).astype(np.int16)
        return mono
