"""Sound in packets: nothing lost, time stamps kept, the end passed on."""

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
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
