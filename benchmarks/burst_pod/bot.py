"""An agent that speaks tone bursts through the avatar's stages, to measure these alone.

Run in this folder by `python -m pipecatcloud_system`, as any bot.py is, so that everything but the
voice and the cues is what the real agent has. `av_sync` and `interruption` start it, with these
settings in the environment:

    BURSTS_RATE_HZ    sample rate of the voice (24000)
    BURSTS_VOICE      `streamed`: pieces of 100 ms, five times faster than they are spoken;
                      `live`: pieces of 20 ms, as they are spoken
    BURSTS_CUES       `bursts`: the mouth is open while a tone sounds; `model`: the avatar's own
                      mouth; `none`: no avatar
    BURSTS_STALL_MS   how long the event loop stands still each second (0)
    BURSTS_TRANSPORT  `own`: AvatarWebRTCTransport; `pipecat`: SmallWebRTCTransport

POST /bursts {"count": 12, "seed": 1} speaks; GET /events tells when each speech began.
"""

import asyncio
import os
import time
from functools import partial
from typing import Any

from pipecat.frames.frames import (
    Frame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

from avatar.avatar import Avatar
from avatar.processor import AvatarProcessor
from avatar.webrtc import AvatarWebRTCTransport
from benchmarks.bursts import BurstAnimator, burst_sound
from pipecatcloud_system import app

OUTPUT_HZ = 48_000
VOICES = {"streamed": (0.1, 5.0), "live": (0.02, 1.0)}
"""Seconds in a piece, and how much faster than real time the pieces come."""
STALL_EVERY_S = 1.0

rate_hz = int(os.environ.get("BURSTS_RATE_HZ", "24000"))
piece_s, speed = VOICES[os.environ.get("BURSTS_VOICE", "streamed")]
cues = os.environ.get("BURSTS_CUES", "bursts")
Transport = {"own": AvatarWebRTCTransport, "pipecat": SmallWebRTCTransport}[
    os.environ.get("BURSTS_TRANSPORT", "own")
]
stall_s = float(os.environ.get("BURSTS_STALL_MS", "0")) / 1e3

avatar = None if cues == "none" else Avatar.load()
events: list[dict[str, float]] = []
running: PipelineWorker | None = None


class BurstVoice(FrameProcessor):
    """Speaks TTSSpeakFrame("COUNT SEED") as tone bursts, piece by piece."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speak; pass everything else on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, TTSSpeakFrame):
            await self.push_frame(frame, direction)
            return
        count, seed = (int(number) for number in frame.text.split())
        pcm = burst_sound(count, rate_hz, seed).tobytes()
        step = int(rate_hz * piece_s) * 2
        await self.push_frame(TTSStartedFrame())
        events.append({"time_s": time.time()})
        begun_s = time.monotonic()
        for start in range(0, len(pcm), step):
            await self.push_frame(TTSAudioRawFrame(pcm[start : start + step], rate_hz, 1))
            next_s = begun_s + (start / step + 1) * piece_s / speed
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        await self.push_frame(TTSStoppedFrame())


async def bot(args: SmallWebRTCRunnerArguments) -> None:
    """Hold a session of bursts."""
    global running
    transport = Transport(args.webrtc_connection, _transport_params())
    face = _face(transport)
    stages: list[FrameProcessor] = [transport.input(), BurstVoice()]
    stages += [face, transport.output(), face.presenter] if face else [transport.output()]
    worker = PipelineWorker(
        Pipeline(stages),
        params=PipelineParams(audio_out_sample_rate=OUTPUT_HZ),
        idle_timeout_secs=None,
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = worker
    async with asyncio.TaskGroup() as tasks:
        stalling = tasks.create_task(_stall())
        await runner.run()
        stalling.cancel()
    running = None


def _transport_params() -> TransportParams:
    size = avatar.config.size if avatar else 0
    return TransportParams(
        audio_out_enabled=True,
        audio_out_10ms_chunks=2,
        audio_out_end_silence_secs=0,
        video_out_enabled=avatar is not None,
        video_out_width=size,
        video_out_height=size,
        video_out_framerate=30,
    )


def _face(transport: SmallWebRTCTransport) -> AvatarProcessor | None:
    if avatar is None:
        return None
    make: Any = partial(BurstAnimator, fps=avatar.config.fps) if cues == "bursts" else None
    return AvatarProcessor(avatar, transport.output(), make_animator=make)


async def _stall() -> None:
    """Hold up the event loop every second, as a busy agent does."""
    while stall_s:
        await asyncio.sleep(STALL_EVERY_S)
        time.sleep(stall_s)  # noqa: ASYNC251  the stall is the point


@app.post("/bursts")
async def bursts(body: dict[str, int]) -> dict[str, bool]:
    """Speak so many bursts."""
    if running:
        await running.queue_frame(TTSSpeakFrame(f"{body['count']} {body['seed']}"))
    return {"speaking": running is not None}


@app.get("/events")
async def begun() -> list[dict[str, float]]:
    """When each speech began."""
    return events
