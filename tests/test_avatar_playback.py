"""How far speech may run ahead: it waits for what was played, and never for ever."""

import asyncio

from avatar.playback import Playback

PICTURE_S = 1 / 30


async def waits(playback: Playback, lead_s: float = 0.24) -> bool:
    """Whether there is no room at once."""
    room = asyncio.create_task(playback.room(lead_s))
    await asyncio.sleep(0)
    if room.done():
        return False
    room.cancel()
    return True


async def test_there_is_room_until_the_lead_is_used_up() -> None:
    playback = Playback()
    for _ in range(7):
        assert not await waits(playback)
        playback.send(PICTURE_S, interruptible=True)
    playback.send(PICTURE_S, interruptible=True)
    assert await waits(playback)


async def test_what_is_played_makes_room() -> None:
    playback = Playback()
    numbers = [playback.send(PICTURE_S, interruptible=True) for _ in range(10)]
    room = asyncio.create_task(playback.room(0.24))
    await asyncio.sleep(0)
    playback.play(numbers[1])
    await asyncio.sleep(0)
    assert not room.done()
    playback.play(numbers[4])
    await asyncio.wait_for(room, 1)
    assert abs(playback.ahead_s - 6 * PICTURE_S) < 1e-9


async def test_without_news_it_goes_on_after_the_time_the_speech_takes() -> None:
    playback = Playback()
    for _ in range(3):
        playback.send(0.01, interruptible=True)
    await asyncio.wait_for(playback.room(0.02), 5)
    assert playback.ahead_s == 0


async def test_an_interruption_forgets_what_the_output_drops() -> None:
    playback = Playback()
    kept = playback.send(PICTURE_S, interruptible=False)
    lost = playback.send(PICTURE_S, interruptible=True)
    playback.interrupt()
    assert abs(playback.ahead_s - PICTURE_S) < 1e-9
    assert playback.dropped(lost, interruptible=True)
    assert not playback.dropped(kept, interruptible=False)
    assert not playback.dropped(playback.send(PICTURE_S, interruptible=True), interruptible=True)
