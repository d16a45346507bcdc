"""The WebRTC output of our own: a cue keeps its place in the sound, however late it is read."""

import pytest
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

from avatar.frames import AvatarCueFrame
from avatar.sound_track import PACKET_S, SoundTrack
from avatar.webrtc import AvatarWebRTCOutput, AvatarWebRTCTransport

RATE_HZ = 48_000
PACKET = int(RATE_HZ * PACKET_S)


@pytest.fixture
async def output() -> AvatarWebRTCOutput:
    """An output whose track has sent a packet and holds another."""
    transport = AvatarWebRTCTransport(
        SmallWebRTCConnection([]), TransportParams(audio_out_enabled=True, video_out_enabled=True)
    )
    output = transport.output()
    output._sound = SoundTrack(RATE_HZ, departures=output.departures)
    await output._sound.put(bytes(4 * PACKET))
    await output._sound.recv()
    return output


async def test_a_cue_read_after_the_next_sound_was_put_is_not_late(
    output: AvatarWebRTCOutput,
) -> None:
    sound = output._sound
    assert sound
    cue = AvatarCueFrame(number=1, samples=1600, rate_hz=RATE_HZ)
    planned_s = sound.due_s()
    await output.push_frame(cue)
    await sound.put(bytes(2 * PACKET))
    assert output.heard_s(cue, 0.005) == pytest.approx(planned_s + 0.005, abs=1e-6)
    output.scheduled(cue, 0.005, shown_s=planned_s + 0.005)
    (expected,) = sound._expected
    assert expected.position == 2 * PACKET + 240


async def test_a_cue_of_the_track_before_a_reconnection_is_not_measured(
    output: AvatarWebRTCOutput,
) -> None:
    cue = AvatarCueFrame(number=1, samples=1600, rate_hz=RATE_HZ)
    await output.push_frame(cue)
    output._sound = SoundTrack(RATE_HZ)
    output.scheduled(cue, 0.0, shown_s=0.0)
    assert not output._sound._expected
