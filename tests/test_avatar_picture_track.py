"""The video track of our own: time stamps, the newest pictures only, an end that is told."""

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from avatar.picture_track import PictureTrack


def picture(shade: int) -> np.ndarray:
    """Return a (96, 64) I420 picture, 64 by 64 pixels of one shade."""
    return np.full((96, 64), shade, np.uint8)


async def shade_of(track: PictureTrack) -> tuple[int, int]:
    """Receive a picture; return its shade and its time stamp."""
    frame = await track.recv()
    assert (frame.width, frame.height, frame.format.name) == (64, 64, "yuv420p")
    return int(frame.to_ndarray()[0, 0]), frame.pts


async def test_pictures_are_stamped_with_their_time() -> None:
    track = PictureTrack(start_s=10.0)
    track.put(picture(1), 10.0)
    assert await shade_of(track) == (1, 0)
    track.put(picture(2), 10.5)
    assert await shade_of(track) == (2, 45_000)


async def test_time_stamps_always_rise() -> None:
    track = PictureTrack(start_s=10.0)
    track.put(picture(1), 11.0)
    track.put(picture(2), 10.9)
    assert await shade_of(track) == (1, 90_000)
    assert await shade_of(track) == (2, 90_001)


async def test_a_late_encoder_gets_the_newest_pictures() -> None:
    track = PictureTrack(start_s=0.0)
    for number in range(5):
        track.put(picture(number), number / 30)
    assert [(await shade_of(track))[0] for _ in range(2)] == [3, 4]
    assert track.dropped == 3


async def test_waits_for_a_picture() -> None:
    track = PictureTrack(start_s=0.0)
    waiting = asyncio.create_task(shade_of(track))
    await asyncio.sleep(0)
    assert not waiting.done()
    track.put(picture(7), 0.0)
    assert (await asyncio.wait_for(waiting, 1))[0] == 7


async def test_its_end_is_told_to_who_waits() -> None:
    track = PictureTrack(start_s=0.0)
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(waiting, 1)
