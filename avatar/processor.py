"""The avatar in a Pipecat pipeline: speech in, the same speech and the cues of its mouth out."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    SpeechOutputAudioRawFrame,
    StartFrame,
    StopFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import (
    FrameCallback,
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.transports.base_output import BaseOutputTransport

from avatar.animator import Animator, MouthSegment
from avatar.avatar import Avatar
from avatar.figures import AvatarFigures, milliseconds
from avatar.frames import AvatarCueFrame
from avatar.playback import Playback
from avatar.presenter import AvatarPresenter
from avatar.speech import Fed, Speech
from avatar.wiring import Wiring, avatar_params
from avatar.words import Word

__all__ = ["Avatar", "AvatarCounters", "AvatarProcessor", "avatar_params"]

STALL_GRACE_S = 0.12
"""How long a voice may fall silent in mid-speech, once all it said has been played, before
what is held for the look-ahead goes out without it."""

SLOW_S = 0.25
"""How long sound waits for its mouth when nothing is left to play; then it goes out without."""


STALL_WARNING_S = 0.06
"""When so little is left to play and no more speech comes, nothing is held for a longer look."""

_ARRIVED_NS = "avatar_arrived_ns"
"""Key of a frame's metadata: when, by the pipeline's clock, a speech began to come."""

MOST_TEXTS = 64
"""Texts that wait for their speech; when one more comes, the oldest is forgotten."""


@dataclass(slots=True)
class AvatarCounters:
    """What happened in a session, for `/status` and the log.

    Attributes:
        cues: Pieces of speech that went out with their mouth.
        speeches: Stretches of speech.
        model_failures: Speeches whose mouth was given up because the model failed.
        overdue: The same because it took too long.
    """

    cues: int = 0
    speeches: int = 0
    model_failures: int = 0
    overdue: int = 0


class AvatarProcessor(FrameProcessor):
    """Put this just before `transport.output()` and its `presenter` just after.

    Speech (TTS and speech-to-speech frames) is cut to the length of pictures; in front of each
    piece goes a cue with its mouth. Everything else passes untouched and in order. The sound is
    held for the model's look-ahead and one picture, never longer; it is resampled once to the
    output's rate and not changed otherwise. Whatever fails in the picture, the sound goes on.
    """

    def __init__(
        self,
        avatar: Avatar,
        output: FrameProcessor,
        *,
        make_animator: Callable[[int], Animator] | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare one session.

        Args:
            avatar: The loaded avatar, shared between sessions.
            output: What `transport.output()` returns; it gets the pictures.
            make_animator: Gives an animator for a sample rate; the avatar's model by default.
            **kwargs: Passed to FrameProcessor.

        Raises:
            TypeError: output is something else.
        """
        if not isinstance(output, BaseOutputTransport):
            raise TypeError(
                "AvatarProcessor's output must be what transport.output() returns, "
                f"not {type(output).__name__}"
            )
        super().__init__(**kwargs)
        self.counters = AvatarCounters()
        self._output = output
        self._lead_s = avatar.config.lead_ms / 1000
        self._avatar = avatar
        self._make_animator = make_animator or self._new_animator
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="avatar")
        self._playback = Playback()
        self.presenter = AvatarPresenter(avatar, output, self._playback, self._thread)
        self.presenter.figures = self.figures
        self.wiring = self.presenter.wiring = Wiring(avatar, self, output, self.presenter)
        self._speech: Speech | None = None
        self._arriving: str | None = None
        self._speech_began_ns: int | None = None
        self._texts: deque[AggregatedTextFrame] = deque(maxlen=MOST_TEXTS)
        self._words_left: tuple[Word, ...] = ()
        self._left_by: str | None = None
        self._speaking = asyncio.Lock()
        self._activity = 0
        self._held = asyncio.Event()
        self._position = 0
        self._lookahead_s = avatar.model.card.lookahead_s
        self._computing: asyncio.Future[Fed] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Take a frame; when speech came is noted, for the times of its words count from there."""
        if isinstance(frame, TTSAudioRawFrame) and frame.context_id != self._arriving:
            self._arriving = frame.context_id
            frame.metadata[_ARRIVED_NS] = self.get_clock().get_time()
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech in; pass everything else on in order."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            await self.wiring.tell(self)
            self._watch = self.create_task(self._watch_stalls())
        elif isinstance(frame, InterruptionFrame):
            self._interrupt()
            await self.push_frame(frame, direction)
        elif isinstance(frame, (TTSAudioRawFrame, SpeechOutputAudioRawFrame)) and (
            self.wiring.in_place and frame.transport_destination is None
        ):
            await self._speak(frame)
        elif isinstance(frame, AggregatedTextFrame):
            if isinstance(frame, TTSTextFrame):
                self._told_word(frame)
            elif frame.will_be_spoken:
                self._expect(frame)
            await self.push_frame(frame, direction)
        elif isinstance(frame, (OutputAudioRawFrame, TTSStoppedFrame, EndFrame, StopFrame)):
            async with self._speaking:
                await self._finish()
            await self.push_frame(frame, direction)
            if isinstance(frame, TTSStoppedFrame):
                self._forget_texts()
                # The output fills up its last chunk: the next speech begins a new one.
                self._position = 0
        else:
            await self.push_frame(frame, direction)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Look whether everything is in its place."""
        await super().setup(setup)
        self.wiring.look(setup.pipeline_worker.pipeline)

    async def cleanup(self) -> None:
        """Stop the session's tasks and its thread."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        if self._watch:
            await self.cancel_task(self._watch)
            self._watch = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    def figures(self) -> AvatarFigures:
        """How the session fares now."""
        presenter = self.presenter
        stage, left = presenter.overload.stage, presenter.departures
        pictures = asdict(presenter.counters)
        del pictures["restarts"]
        return AvatarFigures(
            stage=stage.name,
            level=presenter.overload.level,
            lookahead_ms=milliseconds(self._lookahead_s) or 0.0,
            **asdict(self.counters),
            **pictures,
            drawn_per_s=round(presenter.drawn_per_s, 1),
            sound_late_ms=milliseconds(left.sound_late_s.last),
            sound_late_p95_ms=milliseconds(left.sound_late_s.quantile(0.95)),
            picture_late_ms=milliseconds(left.picture_late_s.last),
            picture_late_p95_ms=milliseconds(left.picture_late_s.quantile(0.95)),
            av_offset_ms=milliseconds(left.offset_s.quantile(0.5)),
            av_offset_p95_ms=milliseconds(left.offset_s.quantile(0.95)),
        )

    def _new_animator(self, rate_hz: int) -> Animator:
        simple = not self.presenter.overload.stage.model
        return Animator(self._avatar.model, rate_hz, self._avatar.config.fps, simple=simple)

    def _expect(self, frame: AggregatedTextFrame) -> None:
        """Tell the speech that a text belongs to, or keep it until that begins."""
        if self._speech and self._speech.told_by(frame.context_id):
            self._speech.expect(frame.text)
        else:
            self._texts.append(frame)

    def _told_word(self, frame: TTSTextFrame) -> None:
        """Tell the speech when a word of it begins, where the voice says so."""
        speech, began_ns = self._speech, self._speech_began_ns
        if frame.pts is None or began_ns is None or speech is None:
            return
        if speech.told_by(frame.context_id):
            speech.told_word(frame.text, (frame.pts - began_ns) / 1e9)

    def _begin(self, frame: OutputAudioRawFrame) -> Speech:
        """A speech that knows the texts which came before it."""
        self._speech_began_ns = frame.metadata.pop(_ARRIVED_NS, None)
        speech = Speech(
            frame, self._output.sample_rate, self._make_animator, self._avatar.config.language
        )
        if speech.failure:
            self._note_failure(speech, speech.failure)
        if self._words_left and speech.told_by(self._left_by):
            speech.expect_words(self._words_left)
        self._words_left = ()
        waiting = list(self._texts)
        self._texts.clear()
        for text in waiting:
            if speech.told_by(text.context_id):
                speech.expect(text.text)
            else:
                self._texts.append(text)
        return speech

    async def _speak(self, frame: OutputAudioRawFrame) -> None:
        async with self._speaking:
            if self._speech is None or not self._speech.continues_in(frame):
                await self._finish()
                self._speech = self._begin(frame)
                self.counters.speeches += 1
            speech = self._speech
            if self._computing and not self._computing.done():
                # What took too long has not come back yet.
                speech.give_up()
            for pcm in speech.pieces(frame):
                # Speech that is still to be played gives time to look further ahead.
                await self._compute(speech, partial(speech.feed, pcm, self._playback.ahead_s))
            self._held.set()

    async def _finish(self, goes_on: bool = False) -> None:
        """Send what is held; the next speech begins anew. Call it with the lock held.

        Args:
            goes_on: the voice has not said that it has ended; the next speech may go on with the
                texts of this one.
        """
        speech = self._speech
        if speech is None:
            return
        if not speech.ended:
            # Else an interruption has come in between.
            fed = await self._compute(speech, partial(speech.flush, speech.end()))
            self._words_left = fed.words_ahead if goes_on and fed else ()
            self._left_by = speech.context_id
        if self._speech is speech:
            await self._send_rest(speech)
            self._speech = None

    async def _compute(self, speech: Speech, step: Callable[[], Fed]) -> Fed | None:
        """Compute on the session's thread and send what is ready.

        Returns:
            What came of it; None if the speech has no mouth, for it failed or took so long that
            the sound could not wait: what was held has been sent.
        """
        self._activity += 1
        fed = None
        if not speech.silent:
            computing = self.get_event_loop().run_in_executor(self._thread, step)
            self._computing = computing
            await asyncio.wait({computing}, timeout=self._playback.ahead_s + SLOW_S)
            if not computing.done():
                self._note_overdue(speech)
            elif error := computing.exception():
                self._note_failure(speech, error)
            else:
                fed = computing.result()
        if fed is None:
            if speech is self._speech:
                await self._send_rest(speech)
            return None
        self._lookahead_s = fed.lookahead_s
        await self._send(speech, fed.segments)
        return fed

    def _note_overdue(self, speech: Speech) -> None:
        speech.give_up()
        self.counters.overdue += 1
        if self.counters.overdue == 1:
            logger.error(f"{self}: mouths take too long to compute: speech goes on without")

    def _note_failure(self, speech: Speech, error: BaseException) -> None:
        speech.give_up()
        self.counters.model_failures += 1
        if self.counters.model_failures == 1:
            told = logger.opt(exception=error)
            told.error(f"{self}: speech goes on without its mouth: {error}")

    async def _send(self, speech: Speech, segments: list[MouthSegment]) -> None:
        for segment in segments:
            await self._playback.room(self._lead_s)
            if speech is not self._speech:
                return
            cue = AvatarCueFrame(
                number=self._playback.send(segment.samples / speech.rate_hz, speech.interruptible),
                start=self._position,
                samples=segment.samples,
                rate_hz=speech.rate_hz,
                curve=segment.curve,
            )
            cue.interruptible = speech.interruptible
            await self.push_frame(cue)
            await self._send_sound(speech, segment.samples)
            self.counters.cues += 1

    async def _send_rest(self, speech: Speech) -> None:
        if speech.held_samples:
            await self._send_sound(speech, speech.held_samples)

    async def _send_sound(self, speech: Speech, samples: int) -> None:
        self._position += samples
        await self.push_frame(speech.take(samples))

    def _interrupt(self) -> None:
        self._playback.interrupt()
        self._forget_texts()
        if self._speech is None or self._speech.interruptible:
            self._speech = None
            self._position = 0

    def _forget_texts(self) -> None:
        self._texts.clear()
        self._words_left = ()

    async def _watch_stalls(self) -> None:
        """Send what is held when the voice falls silent without saying that it has ended."""
        while True:
            await self._held.wait()
            self._held.clear()
            while self._speech:
                activity = self._activity
                await asyncio.sleep(max(0.0, self._playback.ahead_s - STALL_WARNING_S))
                if activity == self._activity:
                    async with self._speaking:
                        if activity == self._activity and self._speech:
                            nothing = partial(self._speech.feed, np.zeros(0, np.int16))
                            await self._compute(self._speech, nothing)
                            activity = self._activity
                await asyncio.sleep(self._playback.ahead_s + STALL_GRACE_S)
                if activity != self._activity:
                    continue
                async with self._speaking:
                    if activity == self._activity:
                        await self._finish(goes_on=True)
