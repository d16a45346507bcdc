"""The avatar in a real Pipecat pipeline: order, sound untouched, interruption, failures."""

import asyncio
import time

import numpy as np
import pytest
from conftest import RecordingOutput, speech_like
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    SpeechOutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test
from pipecat.workers.runner import WorkerRunner

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.config import AvatarConfig
from avatar.controls import MOUTH
from avatar.errors import ModelError
from avatar.frames import AvatarCueFrame
from avatar.overload import STAGES
from avatar.processor import AvatarProcessor

RATE_HZ = 24_000


class Tap(FrameProcessor):
    """Notes what passes between the avatar and the output."""

    def __init__(self, output: RecordingOutput) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.sent_at_interruption = 0
        self._output = output

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
        if isinstance(frame, InterruptionFrame):
            self.sent_at_interruption = len(self._output.sound)
        await self.push_frame(frame, direction)


class Stage:
    """The avatar, a tap, a recording output and the presenter."""

    def __init__(self, avatar: Avatar, pace: float = 0.0, **options: object) -> None:
        self.output = RecordingOutput(avatar.config.size, pace)
        self.processor = AvatarProcessor(avatar, self.output, **options)
        self.tap = Tap(self.output)
        self.pipeline = Pipeline([self.processor, self.tap, self.output, self.processor.presenter])

    async def run(self, frames: list[Frame]) -> list[Frame]:
        """Send frames and return what came out at the end."""
        params = PipelineParams(audio_out_sample_rate=RATE_HZ)
        down, _ = await run_test(self.pipeline, frames_to_send=frames, pipeline_params=params)
        return list(down)


def tts(pcm: np.ndarray, rate_hz: int = RATE_HZ, chunk_s: float = 0.25) -> list[Frame]:
    """Return speech as a TTS service sends it."""
    step = int(rate_hz * chunk_s)
    chunks = [
        TTSAudioRawFrame(pcm[i : i + step].tobytes(), rate_hz, 1, context_id="c")
        for i in range(0, len(pcm), step)
    ]
    return [TTSStartedFrame(context_id="c"), *chunks, TTSStoppedFrame(context_id="c")]


def uninterruptible(frames: list[Frame]) -> list[Frame]:
    """Return the frames, marked as speech that goes on whatever the user does."""
    for frame in frames:
        frame.interruptible = False
    return frames


async def test_sound_is_untouched_and_each_cue_precedes_its_sound(avatar: Avatar) -> None:
    stage = Stage(avatar)
    pcm = speech_like(1.0, RATE_HZ)
    await stage.run(tts(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert not stage.output.pcm[len(pcm) :].any(), "only padding of the last chunk"
    kinds = [type(f) for f in stage.tap.frames if isinstance(f, AvatarCueFrame | TTSAudioRawFrame)]
    assert kinds == [AvatarCueFrame, TTSAudioRawFrame] * (len(kinds) // 2)
    cues = [frame for frame in stage.tap.frames if isinstance(frame, AvatarCueFrame)]
    assert sum(cue.samples for cue in cues) == len(pcm)
    assert [cue.start for cue in cues] == list(range(0, len(pcm), RATE_HZ // 30))


async def test_stopped_comes_after_the_last_sound_and_cues_go_no_further(avatar: Avatar) -> None:
    stage = Stage(avatar)
    down = await stage.run(tts(speech_like(0.5, RATE_HZ)))
    spoken = [f for f in stage.tap.frames if isinstance(f, TTSAudioRawFrame | TTSStoppedFrame)]
    assert isinstance(spoken[-1], TTSStoppedFrame)
    assert not any(isinstance(frame, AvatarCueFrame) for frame in down)
    assert any(isinstance(frame, TTSStoppedFrame) for frame in down)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100])
async def test_speech_is_resampled_once_and_keeps_its_length(avatar: Avatar, rate_hz: int) -> None:
    stage = Stage(avatar)
    await stage.run(tts(speech_like(0.8, rate_hz), rate_hz))
    sent = [f for f in stage.tap.frames if isinstance(f, TTSAudioRawFrame)]
    assert {frame.sample_rate for frame in sent} == {RATE_HZ}
    received = np.frombuffer(b"".join(f.audio for f in sent), np.int16).astype(float)
    expected = speech_like(0.8, RATE_HZ).astype(float)
    assert abs(len(received) - len(expected)) <= 2
    length = min(len(received), len(expected))
    assert np.corrcoef(received[:length], expected[:length])[0, 1] > 0.99


async def test_speech_to_speech_moves_the_mouth_and_music_does_not(avatar: Avatar) -> None:
    stage = Stage(avatar)
    pcm = speech_like(0.4, RATE_HZ)
    music = OutputAudioRawFrame(pcm.tobytes(), RATE_HZ, 1)
    await stage.run([SpeechOutputAudioRawFrame(pcm.tobytes(), RATE_HZ, 1), music])
    cued = sum(f.samples for f in stage.tap.frames if isinstance(f, AvatarCueFrame))
    assert cued == len(pcm)
    sounds = [f for f in stage.tap.frames if isinstance(f, OutputAudioRawFrame)]
    assert all(isinstance(frame, SpeechOutputAudioRawFrame) for frame in sounds[:-1])
    assert sounds[-1] is music, "the music comes after all of the speech, as it is"


class Conversation:
    """A running pipeline that the test speaks into while it runs."""

    def __init__(self, stage: Stage) -> None:
        self.worker = PipelineWorker(
            stage.pipeline,
            params=PipelineParams(audio_out_sample_rate=RATE_HZ),
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
        )
        self._started = asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def on_pipeline_started(_worker: PipelineWorker, _frame: Frame) -> None:
            self._started.set()

    async def __aenter__(self) -> "Conversation":
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self._running = asyncio.create_task(runner.run())
        await asyncio.wait_for(self._started.wait(), 5)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self._running, 10)

    async def say(self, frames: list[Frame]) -> None:
        """Queue frames."""
        for frame in frames:
            await self.worker.queue_frame(frame)


async def until(condition: object, within_s: float = 5.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.01)


async def test_an_interruption_ends_the_speech_in_sound_and_picture(avatar: Avatar) -> None:
    stage = Stage(avatar, pace=1.0)
    async with Conversation(stage) as conversation:
        await conversation.say(tts(speech_like(4.0, RATE_HZ)))
        await until(lambda: len(stage.output.sound) > 50)
        await conversation.say([InterruptionFrame()])
        await until(lambda: stage.tap.sent_at_interruption > 0)
        again = speech_like(0.3, RATE_HZ)
        await conversation.say(tts(again))
        await until(lambda: len(stage.output.sound) > stage.tap.sent_at_interruption + 30)
    sent = stage.output.sound[stage.tap.sent_at_interruption :]
    after = np.frombuffer(b"".join(audio for _, audio in sent), np.int16)
    chunk_samples = RATE_HZ // 100
    old = next(n for n in range(5) if (after[n * chunk_samples :][: len(again)] == again).all())
    assert old <= 2, "at most the chunk on its way and the one behind it"


async def test_uninterruptible_speech_goes_on_with_its_mouth(avatar: Avatar) -> None:
    stage = Stage(avatar, pace=4.0)
    pcm = speech_like(1.5, RATE_HZ)
    frames = uninterruptible(tts(pcm))
    async with Conversation(stage) as conversation:
        await conversation.say(frames)
        await until(lambda: len(stage.output.sound) > 20)
        await conversation.say([InterruptionFrame()])
        await until(lambda: len(stage.output.pcm) >= len(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert stage.processor.counters.cues == 45


async def test_a_voice_that_falls_silent_without_a_word_is_heard_to_its_end(
    avatar: Avatar,
) -> None:
    stage = Stage(avatar, pace=1.0)
    pcm = speech_like(0.4, RATE_HZ)
    async with Conversation(stage) as conversation:
        await conversation.say(tts(pcm)[:-1])
        # The output itself keeps what does not fill a 10 ms chunk until the speech ends.
        await until(lambda: len(stage.output.pcm) >= len(pcm) - RATE_HZ // 100)


class BrokenAnimator(Animator):
    """Fails as a model does, or as a mistake in our own code, after some speech."""

    error: Exception

    def feed(self, pcm: np.ndarray) -> list:
        if self._fed > RATE_HZ // 2:
            raise self.error
        return super().feed(pcm)


@pytest.mark.parametrize("error", [ModelError("lipsync.onnx: broke"), IndexError("a mistake")])
async def test_a_mouth_that_fails_never_stops_the_sound(avatar: Avatar, error: Exception) -> None:
    def broken(rate_hz: int) -> Animator:
        animator = BrokenAnimator(avatar.model, rate_hz)
        animator.error = error
        return animator

    stage = Stage(avatar, make_animator=broken)
    pcm = speech_like(1.5, RATE_HZ)
    await stage.run(tts(pcm) + tts(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert len(stage.output.pcm) >= 2 * len(pcm)
    assert stage.processor.counters.model_failures == 2


class SlowAnimator(Animator):
    """Takes far longer than the speech lasts, as on a machine with too little time."""

    def feed(self, pcm: np.ndarray) -> list:
        time.sleep(0.8)
        return super().feed(pcm)


async def test_a_model_that_takes_too_long_never_holds_up_the_sound(avatar: Avatar) -> None:
    stage = Stage(avatar, make_animator=lambda rate_hz: SlowAnimator(avatar.model, rate_hz))
    pcm = speech_like(1.5, RATE_HZ)
    begun_s = time.monotonic()
    await stage.run(tts(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert stage.output.sound[-1][0] - begun_s < 3.0, "1.5 s of speech, 12 s of computing"
    assert stage.processor.counters.overdue > 0


async def test_sound_whose_rate_is_changed_is_whole_where_its_mouth_takes_too_long(
    avatar: Avatar,
) -> None:
    pcm = speech_like(1.5, 16_000)
    usual = Stage(avatar)
    await usual.run(tts(pcm, 16_000))
    late = Stage(avatar, make_animator=lambda rate_hz: SlowAnimator(avatar.model, rate_hz))
    await late.run(tts(pcm, 16_000))
    assert late.processor.counters.overdue > 0
    np.testing.assert_array_equal(late.output.pcm, usual.output.pcm)


async def test_sound_cut_within_a_sample_is_whole(avatar: Avatar) -> None:
    stage = Stage(avatar)
    pcm = speech_like(0.5, RATE_HZ)
    audio = pcm.tobytes()
    pieces = [audio[:7_001], audio[7_001:7_002], audio[7_002:]]
    frames = [TTSAudioRawFrame(piece, RATE_HZ, 1, context_id="c") for piece in pieces]
    await stage.run([*frames, TTSStoppedFrame(context_id="c")])
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert stage.processor.counters.cues == 15


async def test_a_mouth_that_cannot_be_made_never_stops_the_sound(avatar: Avatar) -> None:
    def none(rate_hz: int) -> Animator:
        raise ValueError(f"not at {rate_hz} Hz")

    stage = Stage(avatar, make_animator=none)
    pcm = speech_like(0.5, RATE_HZ)
    await stage.run(tts(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    assert stage.processor.counters.model_failures == 1


async def test_a_speech_whose_end_was_interrupted_is_heard_and_the_next_one_too(
    avatar: Avatar,
) -> None:
    stage = Stage(avatar, pace=1.0)
    pcm = speech_like(1.0, 16_000)
    frames = uninterruptible(tts(pcm, 16_000)[:-1])
    music = OutputAudioRawFrame(bytes(2 * RATE_HZ // 10), RATE_HZ, 1)
    async with Conversation(stage) as conversation:
        await conversation.say(frames)
        await until(lambda: len(stage.output.sound) > 10)
        # It ends the speech, which waits for room; then the user cuts in.
        await conversation.say([music])
        await asyncio.sleep(0.05)
        await conversation.say([InterruptionFrame()])
        length = len(pcm) * RATE_HZ // 16_000
        await until(lambda: np.count_nonzero(stage.output.pcm) > 0.4 * length)
        before = len(stage.output.pcm)
        again = speech_like(0.5, RATE_HZ)
        await conversation.say(tts(again))
        await until(lambda: len(stage.output.pcm) >= before + len(again))


async def test_a_picture_that_cannot_be_drawn_never_stops_the_sound(
    avatar: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(avatar, pace=1.0)
    presenter = stage.processor.presenter
    async with Conversation(stage) as conversation:
        await until(lambda: len(stage.output.pictures) > 3)
        monkeypatch.setattr(
            presenter, "_picture_of", lambda *_: (_ for _ in ()).throw(ValueError("no rig"))
        )
        pictures = len(stage.output.pictures)
        pcm = speech_like(0.4, RATE_HZ)
        await conversation.say(tts(pcm))
        await until(lambda: len(stage.output.pcm) >= len(pcm))
        await until(lambda: len(stage.output.pictures) > pictures + 3)
    assert presenter.counters.failed > 0
    assert len({picture for _, picture in stage.output.pictures[pictures + 2 :]}) == 1


async def test_every_picture_has_the_size_that_the_transport_expects(avatar: Avatar) -> None:
    stage = Stage(avatar)
    async with Conversation(stage):
        await until(lambda: len(stage.output.pictures) > 5)
    size = avatar.config.size
    assert {len(picture) for _, picture in stage.output.pictures} == {size * size * 3}


@pytest.mark.parametrize("size", [130, 250, 262])
async def test_where_time_is_short_a_transport_still_gets_its_rate_and_size(size: int) -> None:
    stage = Stage(Avatar.load(AvatarConfig(size=size)))
    presenter = stage.processor.presenter
    presenter.overload.level = len(STAGES) - 1
    begun_s = time.monotonic()
    async with Conversation(stage):
        await until(lambda: len(stage.output.pictures) > 15)
        spent_s = time.monotonic() - begun_s
    assert presenter.counters.failed == 0
    assert presenter.counters.repeated > presenter.counters.drawn
    assert {len(picture) for _, picture in stage.output.pictures} == {size * size * 3}
    assert spent_s < 3.0, "a picture every 1/30 s, if only the last one again"


async def test_where_time_is_short_lips_follow_the_loudness(avatar: Avatar) -> None:
    stage = Stage(avatar)
    stage.processor.presenter.overload.level = len(STAGES) - 1
    pcm = speech_like(0.5, RATE_HZ)
    await stage.run(tts(pcm))
    np.testing.assert_array_equal(stage.output.pcm[: len(pcm)], pcm)
    cues = [frame for frame in stage.tap.frames if isinstance(frame, AvatarCueFrame)]
    assert max(cue.curve[:, MOUTH.index("jaw")].max() for cue in cues) > 0.2
    assert not any(cue.curve[:, MOUTH.index("tip")].any() for cue in cues), "no model was asked"
    assert stage.processor.figures().lookahead_ms == 0


async def test_the_mouth_moves_with_the_speech(avatar: Avatar) -> None:
    stage = Stage(avatar)
    await stage.run(tts(speech_like(1.0, RATE_HZ)))
    jaw = [
        float(frame.curve[:, MOUTH.index("jaw")].max())
        for frame in stage.tap.frames
        if isinstance(frame, AvatarCueFrame)
    ]
    assert max(jaw) - min(jaw) > 0.05
