"""One stretch of speech on its way through the avatar: held until its mouth is known."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import soxr
from loguru import logger
from numpy.typing import NDArray
from pipecat.frames.frames import OutputAudioRawFrame, TTSAudioRawFrame

from avatar.animator import Animator, MouthSegment
from avatar.pronunciation import words_of
from avatar.voice_phones import MOST_EVENTS, PHONEMES, PhonemeEvent, VoicePhones

FIRST_WORD_WITHIN_S = 0.8
"""A voice whose first word begins later counts its times from something else; they are not used."""

PIECE_S = 0.1
"""Speech is taken in pieces of this length, so that the drawing never waits for a long one."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of a piece of speech.

    Attributes:
        pcm: Its sound at the output's rate.
        segments: The segments whose mouth is known by now.
        lookahead_s: How much sound the newest mouth has waited for.
        failure: Why the speech has no mouth from now on.
    """

    pcm: bytes
    segments: list[MouthSegment]
    lookahead_s: float = 0.0
    failure: Exception | None = None


class Speech:
    """Speech frames of one kind, resampled once to the output's rate and cut to pictures.

    `feed()` and `flush()` compute and belong on the session's thread; all else is cheap and
    belongs on the event loop, which owns the sound that is held.
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
        self._first = frame
        self._animator: Animator | None = make_animator(rate_hz)
        self._language = language
        self._texts: deque[str] = deque()
        self._word_times: deque[tuple[str, float]] = deque(maxlen=MOST_EVENTS)
        self._events: deque[tuple[float, str]] = deque(maxlen=MOST_EVENTS)
        self._voice_phones = VoicePhones()
        self._tells_phonemes = False
        self._first_word_s: float | None = None
        self._taken = 0
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
            getattr(first, "context_id", None) == frame.context_id
        )
        return same_context and (
            type(first) is type(frame)
            and first.sample_rate == frame.sample_rate
            and first.num_channels == frame.num_channels
            and first.interruptible == frame.interruptible
        )

    def pieces(self, frame: OutputAudioRawFrame) -> Iterator[bytes]:
        """Yield the frame's sound in pieces of at most PIECE_S, and note what it tells of it."""
        self._note_phonemes(frame)
        self._taken += len(frame.audio) // (2 * frame.num_channels)
        step = int(frame.sample_rate * PIECE_S) * 2 * frame.num_channels
        for start in range(0, len(frame.audio), step):
            yield frame.audio[start : start + step]

    def told_by(self, context_id: str | None) -> bool:
        """Whether a text of a voice's context is spoken in it."""
        mine = getattr(self._first, "context_id", None)
        return context_id is None or mine is None or context_id == mine

    def expect(self, text: str) -> None:
        """Take note of a text that will be spoken in it, behind those it was told before."""
        self._texts.append(text)

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice says that it begins a word of a text it was told.

        Args:
            text: As written.
            start_s: Seconds from the start of the speech.
        """
        self._word_times.append((text, start_s))

    def feed(self, audio: bytes, lookahead_s: float = 0.0) -> Fed:
        """Compute a piece of the speech; a model that fails costs the mouth, not the sound.

        Args:
            audio: Of the voice's rate and channels; may be empty.
            lookahead_s: How much sound the mouth may wait for; more than the model needs makes
                it better.
        """
        if self._animator:
            self._animator.lookahead_s = lookahead_s
        return self._fed(np.frombuffer(audio, np.int16), last=False)

    def flush(self) -> Fed:
        """Compute the end of the speech, as `feed()` does."""
        return self._fed(np.zeros(0, np.int16), last=True)

    def _fed(self, audio: NDArray[np.int16], last: bool) -> Fed:
        pcm = self._at_output_rate(audio, last)
        sound, animator = pcm.tobytes(), self._animator
        if animator is None:
            return Fed(sound, [])
        try:
            while self._texts and animator.reads:
                animator.expect(words_of(self._texts.popleft(), self._language))
            while self._word_times:
                self._tell_word(animator, *self._word_times.popleft())
            if self._events:
                # The event loop may add to them meanwhile.
                events = [self._events.popleft() for _ in range(len(self._events))]
                animator.told(self._voice_phones.add(events))
            segments = animator.feed(self._mono(pcm))
            used_s = animator.used_lookahead_s
            return Fed(sound, segments + animator.flush() if last else segments, used_s)
        # Whatever the mouth's fault is, the sound goes on.
        except Exception as error:
            self._animator = None
            return Fed(sound, [], failure=error)

    def hold(self, pcm: bytes) -> None:
        """Hold sound at the output's rate until its mouth is known."""
        self._held += pcm

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
        start_s = self._taken / frame.sample_rate
        for event in frame.metadata.get(PHONEMES, ()):
            if not isinstance(event, PhonemeEvent):
                logger.warning(
                    f"metadata[{PHONEMES!r}] of speech must hold events with sample and ipa; "
                    f"{type(event).__name__} is not used"
                )
                return
            self._tells_phonemes = True
            self._events.append((start_s + event.sample / frame.sample_rate, event.ipa))

    def _at_output_rate(self, pcm: NDArray[np.int16], last: bool) -> NDArray[np.int16]:
        if self._resampler is None:
            return pcm
        channels = self._first.num_channels
        shaped = pcm.reshape(-1, channels) if channels > 1 else pcm
        resampled: NDArray[np.int16] = self._resampler.resample_chunk(shaped, last=last)
        return resampled.reshape(-1)

    def _mono(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        channels = self._first.num_channels
        if channels == 1:
            return pcm
        mono: NDArray[np.int16] = pcm.reshape(-1, channels).mean(axis=1).astype(np.int16)
        return mono
