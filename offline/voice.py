"""The offline voice: eSpeak NG as a Pipecat text-to-speech service."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.types import NOT_GIVEN, NotGiven, assert_given

from offline.espeak_client import Chunk, EspeakClient, EspeakError, EspeakProcessLost, Phoneme

SAMPLE_RATE_HZ = 22_050
"""What eSpeak NG speaks at. Frames keep this rate; whoever needs another resamples."""
DEFAULT_VOICE = "en-us+f2"
LONGEST_PIECE_CHARS = 300
"""Texts are spoken in pieces of at most this, since following the words of one costs the square
of its length: 2000 characters cost Pipecat's tracker 600 ms of the event loop, 300 cost 13."""
PHONEMES = "phonemes"
"""Key of an audio frame's `metadata`: a tuple of `Phoneme`, counted from the frame's start."""

_UNSPOKEN = re.compile(
    "[\u0000-\u001f\u007f\u200b-\u200f\u2060\ufeff\ufe00-\ufe0f\ud800-\udfff"
    "\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\U000e0000-\U000e007f]"
)
_SENTENCE_END = re.compile(r"[.!?…]['\")]?\s+")
_TITLE_DOT = re.compile(r"\b(Dr|Mr|Mrs|Ms|Prof|St)\.(?= )")


@dataclass
class EspeakTTSSettings(TTSSettings):
    """Settings of `EspeakTTSService`; `voice` is an eSpeak NG voice such as "en-us+f2".

    Parameters:
        rate_wpm: words per minute, 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.
    """

    rate_wpm: int | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    pitch: int | NotGiven = field(default_factory=lambda: NOT_GIVEN)


@dataclass
class _Timeline:
    """Where the sound of one audio context has got to.

    Attributes:
        started_ns: pipeline clock when its first sound is heard.
        end_s: when the sound sent so far has been heard, counted from there.
    """

    started_ns: int
    end_s: float = 0.0

    @property
    def end_ns(self) -> int:
        """Pipeline clock when the sound sent so far has been heard."""
        return self.started_ns + round(self.end_s * 1e9)


class EspeakTTSService(TTSService):
    """Speaks with eSpeak NG, which runs in a process of its own.

    Sound goes out as it is synthesised, at 22050 Hz, with the time of every word, and with
    its phonemes in each frame's `metadata["phonemes"]`. A process that dies is started again;
    the sentence it was speaking is lost, with an ErrorFrame, and the next one is spoken.
    """

    Settings = EspeakTTSSettings
    _settings: EspeakTTSSettings

    def __init__(self, *, settings: EspeakTTSSettings | None = None, **kwargs: Any) -> None:
        """Make the service; its process starts with the pipeline.

        Args:
            settings: what differs from the defaults.
            **kwargs: passed to `TTSService`.
        """
        defaults = self.Settings(
            model=None, voice=DEFAULT_VOICE, language=None, rate_wpm=165, pitch=50
        )
        if settings is not None:
            defaults.apply_update(settings)
        super().__init__(
            sample_rate=SAMPLE_RATE_HZ,
            push_text_frames=False,
            push_start_frame=True,
            push_stop_frames=True,
            settings=defaults,
            **kwargs,
        )
        self.add_text_transformer(_nothing_if_unspeakable)
        self._client = EspeakClient()
        self._client_task: asyncio.Task[None] | None = None
        self._speaking_context_id: str | None = None
        self._timelines: dict[str, _Timeline] = {}
        self._heard_until_ns = 0
        """Pipeline clock when all the sound sent so far has been heard."""

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: it does."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the speech process, so that it is warm when the first sentence comes."""
        await super().setup(setup)
        if not self._client_task:
            self._client_task = self.create_task(self._client.run(), name="espeak")

    async def start(self, frame: StartFrame) -> None:
        """Try the voice; if it cannot speak, the service reports itself unusable."""
        await super().start(frame)
        try:
            async for _ in self._chunks("ready"):
                pass
        except EspeakError as error:
            await self.push_error(str(error), exception=error, force_treat_as_permanent=True)

    async def cleanup(self) -> None:
        """End the speech process."""
        await super().cleanup()
        if self._client_task:
            await self.cancel_task(self._client_task)
            self._client_task = None

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a text.

        Args:
            text: at most `espeak_process.MAX_TEXT_CHARS` characters.
            context_id: the audio context the sound belongs to.

        Yields:
            TTSAudioRawFrame at 22050 Hz; an ErrorFrame if the text could not be spoken.
        """
        await self.start_tts_usage_metrics(text)
        self._speaking_context_id = context_id
        try:
            async for frame in self._speak(text, context_id):
                yield frame
        except EspeakError as error:
            yield ErrorFrame(error=str(error), exception=error)
        finally:
            if self._speaking_context_id == context_id:
                self._speaking_context_id = None

    async def on_turn_context_completed(self) -> None:
        """Close the turn's audio context, all of whose sound has been sent."""
        # A turn whose last sentence failed has no sound, and the base would wait for some.
        self._is_yielding_frames_synchronously = True
        await super().on_turn_context_completed()

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Stop the synthesis of an interrupted context."""
        await super().on_audio_context_interrupted(context_id)
        self._timelines.pop(context_id, None)
        if context_id == self._speaking_context_id:
            self._client.stop()

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget the timing of a context that has been sent whole."""
        await super().on_audio_context_completed(context_id)
        self._timelines.pop(context_id, None)

    async def start_word_timestamps(self) -> None:
        """Start timing a context's words, once the sound before it has been heard."""
        timeline = self._timelines.get(self.get_active_audio_context_id() or "")
        tracker = self._word_timestamp_tracker
        if timeline and not tracker.started:
            tracker.last_pts = max(tracker.last_pts, timeline.started_ns)
        await super().start_word_timestamps()

    async def _handle_aggregated_text(
        self, src_frame: AggregatedTextFrame, context_id: str | None = None
    ) -> None:
        if len(src_frame.text) <= LONGEST_PIECE_CHARS or src_frame.raw_text != src_frame.text:
            await super()._handle_aggregated_text(src_frame, context_id)
            return
        context_id = context_id or self.create_context_id()
        for piece in _pieces(src_frame.text, LONGEST_PIECE_CHARS):
            frame = AggregatedTextFrame(piece, src_frame.text_type, raw_text=piece)
            frame.interruptible = src_frame.interruptible
            await super()._handle_aggregated_text(frame, context_id)

    async def _handle_interruption(
        self, frame: InterruptionFrame, direction: FrameDirection
    ) -> None:
        await super()._handle_interruption(frame, direction)
        self._heard_until_ns = 0

    async def _speak(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        words = _WordsInOrder(text)
        timeline: _Timeline | None = None
        async for chunk in self._chunks(text):
            if timeline is None:
                timeline = self._timeline(context_id)
                start_s = timeline.end_s
            for word in chunk.words:
                spoken = words.up_to(word.character)
                if spoken:
                    time_s = start_s + word.sample / SAMPLE_RATE_HZ
                    await self.add_word_timestamps([(spoken, time_s)], context_id)
            if chunk.pcm:
                timeline.end_s += len(chunk.pcm) / 2 / SAMPLE_RATE_HZ
                self._heard_until_ns = max(self._heard_until_ns, timeline.end_ns)
                yield _audio_frame(chunk, context_id)

    async def _chunks(self, text: str) -> AsyncGenerator[Chunk, None]:
        """Speech for a text; a process that dies before saying anything is asked once more."""
        plain = _plain(text)
        said_something = False
        for may_retry in (True, False):
            try:
                async for chunk in self._client.speak(
                    plain,
                    voice=assert_given(self._settings.voice) or DEFAULT_VOICE,
                    rate_wpm=assert_given(self._settings.rate_wpm),
                    pitch=assert_given(self._settings.pitch),
                ):
                    said_something = True
                    yield chunk
                return
            except EspeakProcessLost:
                if said_something or not may_retry:
                    raise

    def _timeline(self, context_id: str) -> _Timeline:
        """The context's timeline, its end set to when sound sent now is heard."""
        now_ns = self.get_clock().get_time()
        timeline = self._timelines.get(context_id)
        if timeline is None:
            timeline = _Timeline(max(now_ns, self._heard_until_ns))
            self._timelines[context_id] = timeline
        # A sentence that comes after the last one has been heard begins when it comes.
        timeline.end_s = max(timeline.end_s, (now_ns - timeline.started_ns) / 1e9)
        return timeline


class _WordsInOrder:
    """The words of a text, punctuation included, taken as the voice reaches them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.end() for match in re.finditer(r"\S+", text)]
        self._taken = 0

    def up_to(self, character: int) -> str:
        """The text not yet taken, up to the end of the word at `character`; may be ""."""
        end = next((end for end in self._ends if end > character), len(self._text))
        spoken = self._text[self._taken : end].strip()
        self._taken = max(self._taken, end)
        return spoken


async def _nothing_if_unspeakable(text: str, text_type: str) -> str:
    """The text, or "" if it holds nothing to say: no audio context is opened for that."""
    return text if any(character.isalnum() for character in text) else ""


def _plain(text: str) -> str:
    """The text as eSpeak NG should see it, of the same length so that positions hold."""
    return _TITLE_DOT.sub(r"\1 ", _UNSPOKEN.sub(" ", text))


def _pieces(text: str, limit: int) -> Iterator[str]:
    """A text in pieces of at most `limit` characters, cut after a sentence, else at a space."""
    while len(text) > limit:
        ends = [end.end() for end in _SENTENCE_END.finditer(text, 0, limit)]
        cut = ends[-1] if ends else text.rfind(" ", 1, limit) + 1 or limit
        yield text[:cut]
        text = text[cut:]
    yield text


def _audio_frame(chunk: Chunk, context_id: str) -> TTSAudioRawFrame:
    frame = TTSAudioRawFrame(chunk.pcm, SAMPLE_RATE_HZ, 1, context_id=context_id)
    frame.metadata[PHONEMES] = tuple(
        Phoneme(phoneme.sample - chunk.start, phoneme.ipa) for phoneme in chunk.phonemes
    )
    return frame
