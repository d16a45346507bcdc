"""The transport with our own tracks, over a real WebRTC connection within this process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from pipecat.frames.frames import EndFrame, InterruptionFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.workers.runner import WorkerRunner

from avatar.outlet import PictureOutlet
from avatar.webrtc import AvatarWebRTCTransport

RATE_HZ = 48_000
LOUD = 1000
"""Above Opus's noise and below the tone."""


class Listener:
    """A peer that keeps the sound and the sizes of the pictures it receives."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.peer.addTransceiver(AudioStreamTrack(), direction="sendrecv")
        self.peer.addTransceiver("video", direction="recvonly")
        self.peer.createDataChannel("chat")
        self.peer.on(
            "track", lambda track: self._tasks.append(asyncio.create_task(self._hear(track)))
        )
        self.sound: list[np.ndarray] = []
        self.sizes: list[tuple[int, int]] = []
        self.heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def _hear(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if track.kind == "audio":
                    self.sound.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
                    self.heard.set()
                else:
                    self.sizes.append((frame.width, frame.height))
        except MediaStreamError:
            pass

    @property
    def loud(self) -> np.ndarray:
        """Numbers of the 5 ms pieces in which something is heard."""
        pcm = np.concatenate([*self.sound, np.zeros(0, np.int16)])
        pieces = pcm[: len(pcm) // 240 * 240].reshape(-1, 240)
        return np.flatnonzero(np.abs(pieces).max(axis=1, initial=0) > LOUD)

    async def until_loud(self, pieces: int) -> None:
        """Wait until so much has been heard."""
        async with asyncio.timeout(10):
            while len(self.loud) < pieces:
                self.heard.clear()
                await self.heard.wait()

    async def close(self) -> None:
        """Leave."""
        await self.peer.close()
        await asyncio.gather(*self._tasks)


class Call:
    """A bot's end of the connection and a listener at the other."""

    def __init__(self, transport: AvatarWebRTCTransport, worker: PipelineWorker) -> None:
        self.output, self.worker, self.listener = transport.output(), worker, Listener()
        self.ended: asyncio.Task[None]


@asynccontextmanager
async def call() -> AsyncIterator[Call]:
    """Connect a pipeline that holds only the transport."""
    connection = SmallWebRTCConnection()
    transport = AvatarWebRTCTransport(
        connection,
        TransportParams(
            audio_out_enabled=True,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
            video_out_enabled=True,
        ),
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        params=PipelineParams(audio_out_sample_rate=RATE_HZ),
        enable_rtvi=False,
        cancel_on_idle_timeout=False,
    )
    running = Call(transport, worker)
    peer = running.listener.peer
    await peer.setLocalDescription(await peer.createOffer())
    await connection.initialize(peer.localDescription.sdp, "offer")
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running.ended = asyncio.create_task(runner.run())
    answer = connection.get_answer()
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    try:
        async with asyncio.timeout(10):
            await running.listener.heard.wait()
        yield running
    finally:
        await worker.cancel()
        await running.ended
        await running.listener.close()


def tone(seconds: float) -> TTSAudioRawFrame:
    """Return a tone as a TTS service sends it."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pcm = (12_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    return TTSAudioRawFrame(pcm.tobytes(), RATE_HZ, 1)


async def test_speech_is_whole_though_the_event_loop_stands_still() -> None:
    async with call() as running:
        await running.worker.queue_frames([tone(1.5), TTSStoppedFrame()])
        for _ in range(8):
            await asyncio.sleep(0.1)
            time.sleep(0.07)  # noqa: ASYNC251  the stall is the point
        await running.listener.until_loud(290)
        loud = running.listener.loud
    assert (np.diff(loud) == 1).all(), "silence came into the tone"


async def test_an_interruption_ends_what_the_pipeline_has_already_let_go() -> None:
    async with call() as running:
        await running.worker.queue_frames([tone(3.0), TTSStoppedFrame()])
        await running.listener.until_loud(60)
        await running.worker.queue_frame(InterruptionFrame())
        at_interruption = len(running.listener.loud)
        await asyncio.sleep(0.5)
        after = len(running.listener.loud) - at_interruption
    # What lies in aiortc's encoder and jitter buffer still comes: four packets and a bit.
    assert after * 5 <= 140, "ms of sound after the interruption"


async def test_pictures_of_any_size_arrive() -> None:
    async with call() as running:
        assert isinstance(running.output, PictureOutlet)
        for number in range(40):
            side = 256 if number < 20 else 128
            picture = np.full((side, side, 3), number * 5, np.uint8)
            await running.output.show(picture, time.monotonic())
            await asyncio.sleep(0.03)
        await asyncio.sleep(0.2)
    assert {(256, 256), (128, 128)} <= set(running.listener.sizes)


async def test_the_last_words_leave_before_the_session_ends() -> None:
    async with call() as running:
        track = running.output._sound
        assert track is not None
        await running.worker.queue_frames([tone(0.5), TTSStoppedFrame(), EndFrame()])
        await asyncio.wait_for(running.ended, 10)
        assert track.put_samples == RATE_HZ // 2
        assert track._held == 0


async def test_knows_when_sound_is_due() -> None:
    async with call() as running:
        track = running.output._sound
        assert track is not None
        assert 0 <= track.due_s() - time.monotonic() <= 0.02
        await running.worker.queue_frames([tone(1.0), TTSStoppedFrame()])
        await running.listener.until_loud(20)
        assert 0.05 < track.due_s() - time.monotonic() < 0.15
