"""The sound track of our own: every sample in order, no hole after a stall, an end in a fade."""

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from avatar.sound_track import AHEAD_S, PACKET_S, SoundTrack

RATE_HZ = 48_000
PACKET = int(RATE_HZ * PACKET_S)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def packets(track: SoundTrack, count: int) -> np.ndarray:
    """Return the samples of the next packets, checking their time stamps."""
    received = []
    for _ in range(count):
        frame = await track.recv()
        assert (frame.samples, frame.sample_rate) == (PACKET, RATE_HZ)
        received.append(frame.to_ndarray().reshape(-1))
    return np.concatenate(received)


def ramp(samples: int) -> np.ndarray:
    """Return samples that all differ and are never silence."""
    return np.arange(1, samples + 1, dtype=np.int16)


async def test_silence_flows_until_there_is_sound_and_after_it() -> None:
    track = SoundTrack(RATE_HZ)
    assert not (await packets(track, 2)).any()
    await track.put(ramp(PACKET).tobytes())
    np.testing.assert_array_equal(await packets(track, 1), ramp(PACKET))
    assert not (await packets(track, 1)).any()


async def test_time_stamps_count_samples() -> None:
    track = SoundTrack(RATE_HZ)
    assert [(await track.recv()).pts for _ in range(3)] == [0, PACKET, 2 * PACKET]


async def test_a_stall_puts_no_silence_into_speech() -> None:
    clock = Clock()
    track = SoundTrack(RATE_HZ, clock)
    await packets(track, 1)
    speech = ramp(30 * PACKET)

    async def speak() -> None:
        for start in range(0, len(speech), PACKET):
            await track.put(speech[start : start + PACKET].tobytes())

    speaking = asyncio.create_task(speak())
    await asyncio.sleep(0)
    # 300 ms pass at once: 15 packets are late, and only the first five lie in the track.
    clock.now_s += 0.3
    np.testing.assert_array_equal(await packets(track, 15), speech[: 15 * PACKET])
    speaking.cancel()


async def test_speech_that_comes_a_moment_late_is_waited_for() -> None:
    track = SoundTrack(RATE_HZ)
    await track.put(ramp(PACKET).tobytes())
    await packets(track, 1)
    waiting = asyncio.create_task(packets(track, 1))
    await asyncio.sleep(PACKET_S * 1.2)
    assert not waiting.done(), "silence was sent at once"
    await track.put(ramp(PACKET).tobytes())
    np.testing.assert_array_equal(await waiting, ramp(PACKET))


async def test_who_puts_waits_while_enough_lies_ahead() -> None:
    clock = Clock()
    track = SoundTrack(RATE_HZ, clock)
    ahead = round(RATE_HZ * AHEAD_S)
    await track.put(bytes(ahead * 2))
    putting = asyncio.create_task(track.put(bytes(PACKET * 2)))
    await asyncio.sleep(0)
    assert not putting.done()
    await packets(track, 1)
    await asyncio.wait_for(putting, 1)


async def test_says_when_the_next_sample_is_due() -> None:
    clock = Clock()
    track = SoundTrack(RATE_HZ, clock)
    assert track.due_s() == 100.0
    await packets(track, 1)
    assert track.due_s() == pytest.approx(100.0 + PACKET_S)
    await track.put(bytes(PACKET * 2))
    assert track.due_s() == pytest.approx(100.0 + 2 * PACKET_S)
    clock.now_s += 1
    assert track.due_s() == 101.0, "what is late is due now"


async def test_an_interruption_fades_and_drops_the_rest() -> None:
    track = SoundTrack(RATE_HZ)
    putting = asyncio.create_task(track.put(np.full(RATE_HZ // 5, 1000, np.int16).tobytes()))
    await asyncio.sleep(0)
    track.interrupt()
    await asyncio.wait_for(putting, 1)
    sound = await packets(track, 3)
    assert np.count_nonzero(sound) <= RATE_HZ // 200
    assert (np.diff(sound.astype(int)) <= 0).all(), "it dies away"


async def test_what_may_not_be_interrupted_is_played() -> None:
    track = SoundTrack(RATE_HZ)
    await track.put(np.full(PACKET, 5, np.int16).tobytes(), interruptible=False)
    await track.put(np.full(PACKET, 6, np.int16).tobytes())
    track.interrupt()
    sound = await packets(track, 2)
    assert (sound[:PACKET] == 5).all()
    assert not sound[PACKET:].any()


async def test_how_late_a_packet_is_and_that_a_long_standstill_is_not_caught_up_with() -> None:
    clock = Clock()
    track = SoundTrack(RATE_HZ, clock)
    await packets(track, 1)
    clock.now_s += PACKET_S + 0.05
    await packets(track, 1)
    assert track.late_s == pytest.approx(0.05)
    clock.now_s += PACKET_S + 60
    assert (await track.recv()).pts == 2 * PACKET + 60 * RATE_HZ + 2 * PACKET
    assert track.late_s < PACKET_S
    assert track.due_s() - clock.now_s < PACKET_S


async def test_drained_is_when_all_was_taken() -> None:
    track = SoundTrack(RATE_HZ, Clock())
    await track.put(bytes(2 * PACKET * 2))
    draining = asyncio.create_task(track.drained())
    await packets(track, 1)
    assert not draining.done()
    track._clock.now_s += PACKET_S
    await packets(track, 1)
    await asyncio.wait_for(draining, 0.5)


async def test_its_end_is_told_to_who_waits() -> None:
    track = SoundTrack(RATE_HZ)
    putting = asyncio.create_task(track.put(bytes(RATE_HZ)))
    await asyncio.sleep(0)
    track.stop()
    await asyncio.wait_for(putting, 1)
    with pytest.raises(MediaStreamError):
        await track.recv()
