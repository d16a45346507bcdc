"""Sound in packets: nothing lost, time stamps kept, the end passed on."""

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from pipecat.frames.frames import (
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import RawAudioTrack

from pipecatcloud_system.packets import PacketTrack

RATE_HZ = 24_000


async def test_two_frames_of_the_source_make_one_packet() -> None:
    source = RawAudioTrack(RATE_HZ)
    pcm = np.arange(RATE_HZ // 25, dtype=np.int16)
    source.add_audio_bytes(pcm.tobytes())
    track = PacketTrack(source)
    packets = [await track.recv() for _ in range(2)]
    assert [packet.samples for packet in packets] == [480, 480]
    assert [packet.pts for packet in packets] == [0, 480]
    assert {packet.rate for packet in packets} == {RATE_HZ}
    received = np.concatenate([packet.to_ndarray().reshape(-1) for packet in packets])
    np.testing.assert_array_equal(received, pcm)


async def test_sound_counts_as_sent_when_its_packet_is_taken() -> None:
    source = RawAudioTrack(RATE_HZ)
    sent = source.add_audio_bytes(bytes(RATE_HZ // 50 * 2))
    assert not sent.done()
    await PacketTrack(source).recv()
    assert sent.done()


class Wire(BaseOutputTransport):
    """Pipecat's own output onto its own track, as SmallWebRTC's transport does it."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_10ms_chunks=1))
        self.track = RawAudioTrack(RATE_HZ)

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await self.track.add_audio_bytes(frame.audio)
        return True


async def test_a_late_sender_gets_speech_without_holes() -> None:
    wire = Wire()
    wire.track._start -= 3600  # late for every packet: it never waits for its time
    packets = PacketTrack(wire.track)
    received: list[np.ndarray] = []

    async def take() -> None:
        while len(received) < 60:
            received.append((await packets.recv()).to_ndarray().reshape(-1))
            await asyncio.sleep(0.001)

    speech = TTSAudioRawFrame(np.full(RATE_HZ, 1000, np.int16).tobytes(), RATE_HZ, 1)
    taking = asyncio.create_task(take())
    params = PipelineParams(audio_out_sample_rate=RATE_HZ)
    await run_test(wire, frames_to_send=[speech, TTSStoppedFrame()], pipeline_params=params)
    taking.cancel()
    sound = np.concatenate(received)
    spoken = np.flatnonzero(sound)
    assert len(spoken) == RATE_HZ
    assert spoken[-1] - spoken[0] == RATE_HZ - 1, "silence came between"


async def test_its_end_ends_the_source() -> None:
    source = RawAudioTrack(RATE_HZ)
    track = PacketTrack(source)
    track.stop()
    assert source.readyState == "ended"


async def test_a_source_that_has_ended_is_told() -> None:
    class Ended(RawAudioTrack):
        async def recv(self) -> None:
            raise MediaStreamError

    with pytest.raises(MediaStreamError):
        await PacketTrack(Ended(RATE_HZ)).recv()
