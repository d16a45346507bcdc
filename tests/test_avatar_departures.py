"""How far pictures are from their mouth's sound, measured at tracks with a scripted clock."""

import asyncio

import numpy as np
import pytest

from avatar.departures import Departures, Recent
from avatar.picture_track import PictureTrack
from avatar.sound_track import PACKET_S, SoundTrack

RATE_HZ = 48_000
PACKET = int(RATE_HZ * PACKET_S)
PICTURE = np.zeros((96, 64), np.uint8)


class Scene:
    """A sound track and a picture track, both told what time it is."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.departures = Departures()
        self.sound = SoundTrack(RATE_HZ, lambda: self.now_s, self.departures)
        self.pictures = PictureTrack(self.now_s, lambda: self.now_s, self.departures)

    @property
    def offsets_ms(self) -> list[float]:
        """What was measured."""
        return [round(offset_s * 1000, 6) for offset_s in self.departures.offset_s._values]

    async def put(self, packets: int) -> None:
        """Give the track so many packets of speech."""
        await self.sound.put(b"\1\0" * PACKET * packets)

    async def send_sound(self, at_s: float) -> None:
        """Have the next packet leave at this time."""
        self.now_s = 100.0 + at_s
        await self.sound.recv()

    async def send_picture(self, due_s: float, at_s: float) -> None:
        """Have a picture leave that was due at due_s."""
        self.now_s = 100.0 + at_s
        self.pictures.put(PICTURE, 100.0 + due_s)
        await self.pictures.recv()


async def test_what_leaves_on_time_is_not_apart() -> None:
    scene = Scene()
    await scene.put(2)
    scene.sound.expect(0, 100.0, 0.04)
    await scene.send_sound(0.0)
    await scene.send_picture(0.01, at_s=0.01)
    assert scene.offsets_ms == [0.0]


@pytest.mark.parametrize("picture_first", [False, True])
async def test_a_late_picture_is_behind_whichever_is_noted_first(picture_first: bool) -> None:
    scene = Scene()
    await scene.put(4)
    scene.sound.expect(0, 100.0, 0.02)
    scene.sound.expect(PACKET, 100.02, 0.04)
    await scene.send_sound(0.0)
    if picture_first:
        await scene.send_picture(0.03, at_s=0.01)
        assert scene.offsets_ms == [], "its sound has not left"
        await scene.send_sound(0.02)
        assert scene.offsets_ms == [-20.0]
    else:
        await scene.send_sound(0.02)
        await scene.send_picture(0.03, at_s=0.055)
        assert scene.offsets_ms == [25.0]


async def test_sound_that_left_late_puts_its_picture_ahead() -> None:
    scene = Scene()
    await scene.put(2)
    scene.sound.expect(480, 100.01, 0.03)
    await scene.send_sound(0.0)
    await scene.send_sound(0.05)
    await scene.put(1)
    scene.sound.expect(2 * PACKET, 100.04, 0.03)
    await scene.send_sound(0.07)
    await scene.send_picture(0.02, at_s=0.02)
    await scene.send_picture(0.05, at_s=0.05)
    assert scene.offsets_ms == [0.0, -30.0]
    assert scene.departures.sound_late_s.last == pytest.approx(0.03)


async def test_a_mouth_that_is_planned_too_late_shows_although_all_left_as_planned() -> None:
    scene = Scene()
    await scene.put(1)
    scene.sound.expect(0, 100.015, 0.03)
    await scene.send_sound(0.0)
    await scene.send_picture(0.02, at_s=0.02)
    assert scene.offsets_ms == [15.0]


async def test_pictures_without_speech_are_not_measured() -> None:
    scene = Scene()
    for number in range(5):
        await scene.send_picture(number / 30, at_s=number / 30 + 0.1)
        await scene.send_sound(number * PACKET_S)
    await scene.put(1)
    scene.sound.expect(0, 100.5, 0.02)
    await scene.send_sound(0.5)
    await scene.send_picture(0.6, at_s=0.6)
    assert scene.offsets_ms == []
    assert scene.departures.picture_late_s.quantile(0.5) == pytest.approx(0.1)


async def test_pictures_between_two_speeches_are_not_measured() -> None:
    scene = Scene()
    await scene.put(1)
    scene.sound.expect(0, 100.0, 0.02)
    await scene.send_sound(0.0)
    await scene.send_picture(0.3, at_s=0.3)
    await scene.put(1)
    scene.sound.expect(PACKET, 100.5, 0.02)
    await scene.send_sound(0.5)
    await scene.send_picture(0.51, at_s=0.516)
    assert scene.offsets_ms == [6.0]


async def test_dropped_speech_is_not_waited_for_and_positions_stay_true() -> None:
    scene = Scene()
    await scene.put(4)
    await scene.send_sound(0.0)
    scene.sound.expect(2 * PACKET, 100.04, 0.04)
    scene.sound.interrupt()
    assert scene.sound.put_samples == PACKET + 240, "what fades is left"
    await scene.send_sound(0.02)
    await scene.send_picture(0.05, at_s=0.09)
    assert scene.offsets_ms == []
    await scene.put(1)
    scene.sound.expect(PACKET + 240, 100.1, 0.02)
    await scene.send_sound(0.1)
    await scene.send_picture(0.1, at_s=0.1)
    assert scene.offsets_ms == [0.0]


async def test_sound_that_is_waited_for_is_late() -> None:
    scene = Scene()
    await scene.put(1)
    await scene.send_sound(0.0)
    scene.now_s = 100.02
    waiting = asyncio.create_task(scene.sound.recv())
    await asyncio.sleep(0)
    scene.now_s = 100.035
    await scene.put(1)
    await waiting
    assert scene.departures.sound_late_s.last == pytest.approx(0.015)


def test_quantiles_of_the_last_values() -> None:
    recent = Recent(100)
    assert recent.last is None and recent.quantile(0.5) is None
    for value in range(201):
        recent.add(float(value))
    assert (len(recent), recent.last) == (100, 200.0)
    assert [recent.quantile(share) for share in (0.0, 0.95, 1.0)] == [101.0, 195.0, 200.0]
