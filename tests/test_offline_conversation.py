"""Brain and voice together, heard through a transport that plays in real time."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from offline.brain import ScriptedLLMService
from offline.conversation import Message
from offline.replies import reply
from offline.voice import EspeakTTSService

OUTPUT_RATE_HZ = 24_000
NOW = datetime(2026, 3, 2, 9, 30)
PAUSE_S = 0.25


class Loudspeaker(BaseOutputTransport):
    """An output that takes sound at the speed at which a listener would hear it."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True))
        self._free_at = 0.0
        self.heard: list[tuple[float, bytes]] = []
        """When each piece of sound began to play, by `time.monotonic()`, and the sound."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._free_at = max(self._free_at, time.monotonic())
        self.heard.append((self._free_at, frame.audio))
        self._free_at += frame.num_frames / frame.sample_rate
        await asyncio.sleep(self._free_at - time.monotonic())
        return True


class Notebook(FrameProcessor):
    """Notes the words that leave the transport, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[tuple[float, str]] = []
        self.stopped_speaking = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSTextFrame):
            self.words.append((time.monotonic(), frame.text))
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self.stopped_speaking.set()
        await self.push_frame(frame, direction)


class Tap(FrameProcessor):
    """Counts the sound that the voice sends after an interruption has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self.samples = 0
        elif isinstance(frame, TTSAudioRawFrame):
            self.samples += frame.num_frames
        await self.push_frame(frame, direction)


@dataclass
class Agent:
    worker: PipelineWorker
    context: LLMContext
    loudspeaker: Loudspeaker
    notebook: Notebook
    tap: Tap
    tts: EspeakTTSService
    last_text: str = field(default="")

    async def hears(self, text: str) -> None:
        self.last_text = text
        self.notebook.stopped_speaking.clear()
        message = {"role": "user", "content": text}
        await self.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    def assistant_messages(self) -> list[str]:
        return [
            str(message["content"])
            for message in self.context.get_messages()
            if message["role"] == "assistant"
        ]


@asynccontextmanager
async def agent() -> AsyncIterator[Agent]:
    context = LLMContext([{"role": "system", "content": "About the user: name: Ada."}])
    pair = LLMContextAggregatorPair(context)
    brain = ScriptedLLMService(clock=lambda: NOW)
    tts, tap, loudspeaker, notebook = EspeakTTSService(), Tap(), Loudspeaker(), Notebook()
    worker = PipelineWorker(
        Pipeline([pair.user(), brain, tts, tap, loudspeaker, notebook, pair.assistant()]),
        params=PipelineParams(audio_out_sample_rate=OUTPUT_RATE_HZ),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(_worker: PipelineWorker, _frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(started.wait(), 5.0)
    try:
        yield Agent(worker, context, loudspeaker, notebook, tap, tts)
    finally:
        await worker.cancel()
        await asyncio.wait_for(running, 5.0)


async def until(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text)


async def test_a_reply_is_heard_whole_and_stands_in_the_context() -> None:
    async with agent() as it:
        await it.hears("What's my name?")
        await until(lambda: bool(it.assistant_messages()))
        whole = reply(
            [Message("system", "name: Ada."), Message("user", it.last_text)], seed=0, now=NOW
        )
        assert it.assistant_messages() == [whole]
        assert (
            "".join(text for _, text in it.notebook.words).split() == whole.replace(" ", "").split()
        )


async def test_words_leave_when_they_are_heard() -> None:
    async with agent() as it:
        await it.hears("Repeat after me: stop, look, listen, and wait.")
        await asyncio.wait_for(it.notebook.stopped_speaking.wait(), 10.0)
        began = it.loudspeaker.heard[0][0]
        onsets = [began + s for s in _onsets_s(b"".join(pcm for _, pcm in it.loudspeaker.heard))]
    # The words after the commas begin at the ends of the pauses in the sound.
    for (noted, _), onset in zip(it.notebook.words[1:4], onsets[1:4], strict=True):
        assert abs(noted - onset) < 0.12


async def test_interruption_leaves_what_was_heard_in_the_context() -> None:
    async with agent() as it:
        await it.hears("Tell me a story.")
        await until(lambda: len(it.notebook.words) >= 4)
        await it.worker.queue_frame(InterruptionFrame())
        await until(lambda: bool(it.assistant_messages()))
        played = len(it.loudspeaker.heard)
        noted = [text for _, text in it.notebook.words]
        story = reply([Message("user", "Tell me a story.")], seed=0, now=NOW)
        heard = it.assistant_messages()[-1]
        assert heard.split() == noted, "the context holds the words that were heard"
        assert 4 <= len(noted) <= 6 and story.startswith(heard)
        await asyncio.sleep(PAUSE_S)
        assert it.tap.samples == 0, "the voice sends nothing more"
        assert len(it.loudspeaker.heard) <= played + 1, "and nothing more is played"

        await it.hears("Go on.")
        await until(lambda: len(it.notebook.words) >= len(noted) + 3)
        again = [text for _, text in it.notebook.words[len(noted) :]]
        assert words_of(" ".join(again)) == words_of(story)[: len(words_of(" ".join(again)))]


async def test_user_facts_told_while_running_are_used() -> None:
    async with agent() as it:
        told = {"role": "system", "content": "About the user: name: Grace. preferences: likes tea."}
        await it.worker.queue_frame(LLMMessagesAppendFrame([told], run_llm=False))
        asked = {"role": "user", "content": "What's my name?"}
        await it.worker.queue_frame(LLMMessagesAppendFrame([asked], run_llm=False))
        await it.worker.queue_frame(LLMRunFrame())
        await until(lambda: any("Grace" in text for _, text in it.notebook.words))


def _onsets_s(pcm: bytes) -> list[float]:
    """Where sound begins after a pause of 50 ms or more, in seconds."""
    step = OUTPUT_RATE_HZ // 100
    sound = np.frombuffer(pcm, np.int16).astype(float)
    rms = np.sqrt(np.mean(sound[: len(sound) // step * step].reshape(-1, step) ** 2, axis=1))
    loud = rms > 0.08 * rms.max()
    return [i / 100 for i in range(len(loud)) if loud[i] and not loud[max(0, i - 5) : i].any()]
