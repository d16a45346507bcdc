"""The figures in a real pipeline: metrics frames and messages to clients, where they are wanted."""

import json

from conftest import RecordingOutput, speech_like
from pipecat.frames.frames import Frame, MetricsFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.frameworks.rtvi import RTVIServerMessageFrame
from pipecat.tests.utils import run_test

from avatar.avatar import Avatar
from avatar.metrics import AvatarMetricsData
from avatar.processor import AvatarProcessor

RATE_HZ = 24_000


async def spoken(avatar: Avatar, enable_metrics: bool) -> list[Frame]:
    """Speak for a second; return what came out at the end of the pipeline."""
    output = RecordingOutput(avatar.config.size, pace=1.0)
    face = AvatarProcessor(avatar, output)
    speech = TTSAudioRawFrame(speech_like(1.0, RATE_HZ).tobytes(), RATE_HZ, 1, context_id="c")
    down, _ = await run_test(
        Pipeline([face, output, face.presenter]),
        frames_to_send=[speech, TTSStoppedFrame(context_id="c")],
        pipeline_params=PipelineParams(
            audio_out_sample_rate=RATE_HZ, enable_metrics=enable_metrics
        ),
    )
    return list(down)


async def test_the_last_figures_come_before_the_end(avatar: Avatar) -> None:
    down = await spoken(avatar, enable_metrics=True)
    pushed = [f.data for f in down if isinstance(f, MetricsFrame)]
    (data,) = [each for each in pushed[-1] if isinstance(each, AvatarMetricsData)]
    figures = data.figures
    assert "AvatarPresenter" in data.processor
    assert (figures.speeches, figures.cues) == (1, 30)
    assert figures.drawn > 0 and figures.drawn_per_s > 0
    assert figures.stage in ("full", "half rate")
    assert avatar.model.card.lookahead_s * 1000 <= figures.lookahead_ms <= 240
    assert figures.av_offset_ms is None, "this transport tells no times"
    assert figures.sound_late_p95_ms is None and figures.picture_late_ms is None
    json.dumps(data.model_dump())


async def test_clients_get_the_same_as_a_server_message(avatar: Avatar) -> None:
    down = await spoken(avatar, enable_metrics=True)
    messages = [f.data for f in down if isinstance(f, RTVIServerMessageFrame)]
    assert messages[-1]["type"] == "avatar-figures"
    assert messages[-1]["cues"] == 30
    json.dumps(messages[-1])


async def test_without_metrics_there_are_none(avatar: Avatar) -> None:
    down = await spoken(avatar, enable_metrics=False)
    assert not any(isinstance(frame, MetricsFrame | RTVIServerMessageFrame) for frame in down)
