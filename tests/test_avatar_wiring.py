"""An avatar that is wired wrong says so at start, says the mend, and costs no sound."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from conftest import RecordingOutput, speech_like
from pipecat.frames.frames import EndFrame, ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.daily.transport import DailyParams, DailyTransport
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat.workers.runner import WorkerRunner

from avatar import Avatar, AvatarConfig
from avatar.outlet import TransportOutlet
from avatar.processor import AvatarProcessor, avatar_params
from avatar.webrtc import AvatarWebRTCTransport

RATE_HZ = 24_000
SPEECH = speech_like(1.0, RATE_HZ).tobytes()

Stages = Callable[[AvatarProcessor, RecordingOutput], list[FrameProcessor]]


class Mute(TTSService):
    """A voice that says nothing."""

    def __init__(self) -> None:
        super().__init__(settings=TTSSettings(model=None, voice=None, language=None))

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        yield None


async def errors(stages: list[FrameProcessor]) -> list[str]:
    """Say SPEECH through a pipeline to its end and return the errors that came."""
    worker = PipelineWorker(
        Pipeline(stages), params=PipelineParams(audio_out_sample_rate=RATE_HZ), enable_rtvi=False
    )
    seen: list[str] = []

    @worker.event_handler("on_pipeline_error")
    async def on_pipeline_error(_worker: PipelineWorker, frame: ErrorFrame) -> None:
        seen.append(frame.error)

    speech = TTSAudioRawFrame(SPEECH, RATE_HZ, 1, context_id="c")
    await worker.queue_frames([speech, TTSStoppedFrame(context_id="c"), EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.timeout(20):
        await runner.run()
    return seen


async def errors_and_sound(avatar: Avatar, stages: Stages) -> tuple[list[str], bytes]:
    """Return what a wrong pipeline tells, and all sound that left."""
    output = RecordingOutput(avatar.config.size)
    face = AvatarProcessor(avatar, output)
    told = await errors(stages(face, output))
    return told, output.pcm.tobytes()


MISPLACED: dict[str, tuple[Stages, str]] = {
    "no presenter": (lambda face, output: [face, output], ".presenter into the pipeline"),
    "no processor": (lambda face, output: [output, face.presenter], "put the AvatarProcessor into"),
    "presenter first": (
        lambda face, output: [face.presenter, face, output],
        "presenter stands before",
    ),
    "processor last": (
        lambda face, output: [output, face, face.presenter],
        "AvatarProcessor stands after",
    ),
    "in a pipeline within": (
        lambda face, output: [Pipeline([output, face]), face.presenter],
        "AvatarProcessor stands after",
    ),
}


@pytest.mark.parametrize("name", MISPLACED)
async def test_what_stands_wrong_is_told_with_the_mend_and_the_sound_goes_on(
    avatar: Avatar, name: str
) -> None:
    stages, mend = MISPLACED[name]
    told, sound = await errors_and_sound(avatar, stages)
    assert len(told) == 1
    assert mend in told[0]
    assert sound.startswith(SPEECH)


async def test_another_transports_output_is_told(avatar: Avatar) -> None:
    other = RecordingOutput(avatar.config.size)
    told, _ = await errors_and_sound(avatar, lambda face, _output: [face, other, face.presenter])
    assert "give AvatarProcessor the output()" in told[0]
    assert other.pcm.tobytes().startswith(SPEECH)


async def test_a_voice_after_the_avatar_is_told(avatar: Avatar) -> None:
    told, sound = await errors_and_sound(
        avatar, lambda face, output: [face, Mute(), output, face.presenter]
    )
    (fault,) = told
    assert fault.startswith("No face for Mute") and "put it before" in fault
    assert sound.startswith(SPEECH)


async def test_a_second_avatar_on_one_output_is_told(avatar: Avatar) -> None:
    def twice(face: AvatarProcessor, output: RecordingOutput) -> list[FrameProcessor]:
        other = AvatarProcessor(avatar, output)
        return [other, face, output, face.presenter, other.presenter]

    told, sound = await errors_and_sound(avatar, twice)
    assert told and all("Two avatars" in fault for fault in told)
    assert sound.startswith(SPEECH)


async def test_what_is_right_is_not_told(avatar: Avatar) -> None:
    aggregators = LLMContextAggregatorPair(LLMContext())

    def right(face: AvatarProcessor, output: RecordingOutput) -> list[FrameProcessor]:
        branches = ParallelPipeline([Mute(), face], [IdentityFilter()])
        return [aggregators.user(), branches, output, face.presenter, aggregators.assistant()]

    told, _ = await errors_and_sound(avatar, right)
    assert told == []


async def test_a_transport_of_another_size_is_told_and_gets_sound_and_no_pictures(
    avatar: Avatar,
) -> None:
    output = RecordingOutput(1024)
    face = AvatarProcessor(avatar, output)
    (fault,) = await errors([face, output, face.presenter])
    assert "takes 1024x1024 and the avatar draws 512x512" in fault
    assert output.pcm.tobytes().startswith(SPEECH)
    # Pipecat's WebRTC track would keep each in memory.
    assert output.pictures == []


def test_an_output_that_is_none_is_refused(avatar: Avatar) -> None:
    with pytest.raises(TypeError, match=r"transport\.output\(\) returns, not IdentityFilter"):
        AvatarProcessor(avatar, IdentityFilter())


def faults(avatar: Avatar, output: FrameProcessor) -> list[str]:
    """Return what is wrong with a transport's parameters."""
    wiring = AvatarProcessor(avatar, output).wiring
    return wiring.hidden_faults() + wiring.quality_faults()


async def daily(**params: object) -> FrameProcessor:
    """The output of a Daily transport that nobody joins."""
    return DailyTransport("https://127.0.0.1/room", None, "Mira", DailyParams(**params)).output()


async def livekit(**params: object) -> FrameProcessor:
    """The output of a LiveKit transport that nobody joins."""
    return LiveKitTransport("ws://127.0.0.1", "", "room", LiveKitParams(**params)).output()


async def webrtc(**params: object) -> FrameProcessor:
    """The output of a SmallWebRTC transport without a peer."""
    return SmallWebRTCTransport(SmallWebRTCConnection(), TransportParams(**params)).output()


OUTPUTS = pytest.mark.parametrize("make", [daily, livekit, webrtc])


@OUTPUTS
async def test_avatar_params_suit_every_transport_with_video(
    avatar: Avatar, make: Callable[..., FrameProcessor]
) -> None:
    assert faults(avatar, await make(audio_out_enabled=True, **avatar_params(avatar))) == []


@OUTPUTS
async def test_wrong_parameters_are_told(
    avatar: Avatar, make: Callable[..., FrameProcessor]
) -> None:
    (fault,) = faults(avatar, await make(audio_out_enabled=True))
    assert "video is off" in fault and "**avatar_params(avatar)" in fault

    right = {"audio_out_enabled": True, **avatar_params(avatar)}
    (fault,) = faults(avatar, await make(**right | {"video_out_width": 1024}))
    assert "takes 1024x512 and the avatar draws 512x512" in fault

    (fault,) = faults(avatar, await make(**right | {"video_out_framerate": 24}))
    assert "sends 24 pictures a second and the avatar draws 30" in fault

    (fault,) = faults(avatar, await make(**right | {"video_out_color_format": "BGRA"}))
    assert "takes BGRA" in fault

    (fault,) = faults(avatar, await make(**right | {"audio_out_enabled": False}))
    assert "audio_out_enabled=True" in fault


async def test_a_daily_camera_that_is_off_is_told(avatar: Avatar) -> None:
    params = avatar_params(avatar) | {"audio_out_enabled": True, "camera_out_enabled": False}
    (fault,) = faults(avatar, await daily(**params))
    assert "video is off" in fault


async def test_a_transport_without_video_is_told(avatar: Avatar) -> None:
    params = SingleClientWebsocketServerParams(audio_out_enabled=True, **avatar_params(avatar))
    (fault,) = faults(avatar, SingleClientWebsocketServerTransport(params).output())
    assert "OutputTransport has no video" in fault
    assert "leave the avatar out" in fault


async def test_pipecats_own_track_shows_thirty_pictures_a_second_and_ours_any(
    avatar: Avatar,
) -> None:
    slow = Avatar(AvatarConfig(fps=20), avatar.model, avatar.rig)
    params = {"audio_out_enabled": True, **avatar_params(slow)}
    (fault,) = faults(slow, await webrtc(**params))
    assert "AvatarWebRTCTransport or AvatarConfig(fps=30)" in fault
    ours = AvatarWebRTCTransport(SmallWebRTCConnection(), TransportParams(**params))
    assert faults(slow, ours.output()) == []


async def test_livekit_takes_the_pictures(avatar: Avatar) -> None:
    output = await livekit(audio_out_enabled=True, **avatar_params(avatar))
    taken = []

    async def write_video_frame(frame: object) -> bool:
        taken.append(output._convert_pipecat_video_to_livekit(frame))
        return True

    output.write_video_frame = write_video_frame
    await TransportOutlet(output, avatar.config.size).show(avatar.still(), 0.0)
    (picture,) = taken
    assert (picture.width, picture.height) == (512, 512)
    assert bytes(picture.data) == avatar.still().tobytes()
