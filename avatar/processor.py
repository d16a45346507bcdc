"""The avatar in a Pipecat pipeline: speech in, the same speech and the cues of its mouth out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    SpeechOutputAudioRawFrame,
    StartFrame,
    StopFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport

from avatar.animator import Animator, MouthSegment
from avatar.avatar import Avatar
from avatar.errors import AvatarError
from avatar.frames import AvatarCueFrame
from avatar.playback import Playback
from avatar.presenter import AvatarPresenter
from avatar.speech import Speech

STALL_GRACE_S = 0.12
"""How long a voice may fall silent in mid-speech, once all it said has been played, before
what is held for the look-ahead goes out without it."""


@dataclass(slots=True)
class AvatarCounters:
    """What happened in a session, for `/status` and the log."""

    cues: int = 0
    speeches: int = 0
    model_failures: int = 0


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
        output: BaseOutputTransport,
        *,
        make_animator: Callable[[int], Animator] | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare one session.

        Args:
            avatar: The loaded avatar, shared between sessions.
            output: The transport's output; it gets the pictures.
            make_animator: Gives an animator for a sample rate; the avatar's model by default.
            **kwargs: Passed to FrameProcessor.
        """
        super().__init__(**kwargs)
        self.counters = AvatarCounters()
        self._output = output
        self._lead_s = avatar.config.lead_ms / 1000
        self._make_animator = make_animator or partial(
            Animator, avatar.model, fps=avatar.config.fps
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="avatar")
        self._playback = Playback()
        self.presenter = AvatarPresenter(avatar, output, self._playback, self._thread)
        self._speech: Speech | None = None
        self._speaking = asyncio.Lock()
        self._activity = 0
        self._held = asyncio.Event()
        self._position = 0
        self._warned = False
        self._watch: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech in; pass everything else on in order."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self._watch = self.create_task(self._watch_stalls())
        elif isinstance(frame, InterruptionFrame):
            self._interrupt()
            await self.push_frame(frame, direction)
        elif isinstance(frame, (TTSAudioRawFrame, SpeechOutputAudioRawFrame)) and (
            frame.transport_destination is None
        ):
            await self._speak(frame)
        elif isinstance(frame, (OutputAudioRawFrame, TTSStoppedFrame, EndFrame, StopFrame)):
            async with self._speaking:
                await self._finish()
            await self.push_frame(frame, direction)
            if isinstance(frame, TTSStoppedFrame):
                # The output fills up its last chunk: the next speech begins a new one.
                self._position = 0
        else:
            await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop the session's tasks and its thread."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        if self._watch:
            await self.cancel_task(self._watch)
            self._watch = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _speak(self, frame: OutputAudioRawFrame) -> None:
        async with self._speaking:
            if self._speech is None or not self._speech.continues_in(frame):
                await self._finish()
                self._speech = Speech(frame, self._output.sample_rate, self._make_animator)
                self.counters.speeches += 1
            speech = self._speech
            for piece in speech.pieces(frame):
                await self._send(speech, await self._mouth(speech, partial(speech.feed, piece)))
            self._held.set()

    async def _finish(self) -> None:
        """Send what is held; the next speech begins anew. Call it with the lock held."""
        speech = self._speech
        if speech is None:
            return
        await self._send(speech, await self._mouth(speech, speech.flush))
        if self._speech is speech:
            await self._send_rest(speech)
            self._speech = None

    async def _mouth(
        self, speech: Speech, compute: Callable[[], list[MouthSegment]]
    ) -> list[MouthSegment]:
        """Compute on the session's thread; a model that fails costs the mouth, not the sound."""
        self._activity += 1
        try:
            return await self.get_event_loop().run_in_executor(self._thread, compute)
        except (AvatarError, ValueError, ArithmeticError) as error:
            speech.give_up()
            self.counters.model_failures += 1
            if not self._warned:
                self._warned = True
                logger.error(f"{self}: speech goes on without its mouth: {error}")
            return []

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
        if speech.silent and speech is self._speech:
            await self._send_rest(speech)

    async def _send_rest(self, speech: Speech) -> None:
        if speech.held_samples:
            await self._send_sound(speech, speech.held_samples)

    async def _send_sound(self, speech: Speech, samples: int) -> None:
        self._position += samples
        await self.push_frame(speech.take(samples))

    def _interrupt(self) -> None:
        self._playback.interrupt()
        if self._speech and self._speech.interruptible:
            self._speech = None
            self._position = 0

    async def _watch_stalls(self) -> None:
        """Send what is held when the voice falls silent without saying that it has ended."""
        while True:
            await self._held.wait()
            self._held.clear()
            while self._speech:
                activity = self._activity
                await asyncio.sleep(self._playback.ahead_s + STALL_GRACE_S)
                if activity != self._activity:
                    continue
                async with self._speaking:
                    if activity == self._activity:
                        await self._finish()
