"""The speech process and our end of it: sound, positions, stopping, dying, leaving."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from offline.espeak_client import PROCESS_PATH, Chunk, EspeakClient, EspeakError, EspeakProcessLost
from offline.espeak_process import MAX_TEXT_CHARS

SENTENCE = "Stop, look, listen, and wait."
LONG = "The quick brown fox jumps over the lazy dog. " * 40
ROOT = Path(__file__).parent.parent


@asynccontextmanager
async def running_client() -> AsyncIterator[EspeakClient]:
    client = EspeakClient()
    task = asyncio.create_task(client.run())
    try:
        await client.wait_ready()
        yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def speech(client: EspeakClient, text: str, voice: str = "en-us") -> list[Chunk]:
    return [c async for c in client.speak(text, voice=voice, rate_wpm=165, pitch=50)]


def samples_of(chunks: list[Chunk]) -> np.ndarray:
    """All the sound: (samples,) int16."""
    return np.frombuffer(b"".join(chunk.pcm for chunk in chunks), np.int16)


def wait_until(holds: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process is gone and reaped: a zombie would still take signals."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_sound_comes_in_order_and_complete() -> None:
    async with running_client() as client:
        chunks = await speech(client, SENTENCE)
        assert client.sample_rate == 22_050
    assert len(chunks) > 10
    position = 0
    for chunk in chunks:
        assert chunk.start == position
        position += len(chunk.pcm) // 2
    sound = samples_of(chunks)
    assert 2.0 < len(sound) / 22_050 < 5.0
    assert 3_000 < np.abs(sound.astype(int)).max() < 32_767, "loud enough, and not clipped"


async def test_words_begin_where_the_sound_does() -> None:
    async with running_client() as client:
        chunks = await speech(client, SENTENCE)
    sound = samples_of(chunks).astype(float)
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.character for word in words] == [0, 6, 12, 20, 24]
    # After each comma there is a pause, so the word must begin where the pause ends.
    for word in words[1:4]:
        before = sound[word.sample - 1_100 : word.sample]
        after = sound[word.sample : word.sample + 4_400]
        assert np.sqrt(np.mean(before**2)) < 0.1 * np.sqrt(np.mean(after**2))


async def test_phonemes_lie_in_the_chunk_that_carries_them() -> None:
    async with running_client() as client:
        chunks = await speech(client, "Hello there.")
    phonemes = [phoneme.ipa for chunk in chunks for phoneme in chunk.phonemes if phoneme.ipa]
    assert phonemes == ["h", "ə", "l", "ˈoʊ", "ð", "ˈɛɹ"]
    for chunk in chunks:
        end = chunk.start + len(chunk.pcm) // 2
        assert all(chunk.start <= phoneme.sample <= end for phoneme in chunk.phonemes)


async def test_characters_are_counted_not_bytes() -> None:
    text = "Café naïve — “résumé” ok."
    async with running_client() as client:
        chunks = await speech(client, text)
    heard = [text[word.character :].split()[0] for chunk in chunks for word in chunk.words]
    assert heard[0] == "Café" and heard[-1] == "ok."


async def test_stopped_speech_says_no_more() -> None:
    async with running_client() as client:
        heard = client.speak(LONG, voice="en-us", rate_wpm=165, pitch=50)
        first = await anext(heard)
        assert first.start == 0
        client.stop()
        assert [chunk async for chunk in heard] == []
        chunks = await speech(client, "Hi.")
        assert len(samples_of(chunks)) < 22_050, "nothing of the stopped text is left"


async def test_a_new_request_stops_the_one_under_way() -> None:
    async with running_client() as client:
        abandoned = client.speak(LONG, voice="en-us", rate_wpm=165, pitch=50)
        await anext(abandoned)
        chunks = await speech(client, "Hi.")
        assert chunks[0].start == 0 and len(samples_of(chunks)) < 22_050
        await abandoned.aclose()


async def test_refused_requests_leave_the_process_working() -> None:
    async with running_client() as client:
        pid = client.pid
        with pytest.raises(EspeakError, match="no such voice: tlh"):
            await speech(client, "Hi.", voice="tlh")
        with pytest.raises(EspeakError, match=f"limit is {MAX_TEXT_CHARS}"):
            await speech(client, "a" * (MAX_TEXT_CHARS + 1))
        assert samples_of(await speech(client, "Hi.")).any()
        assert client.pid == pid


@pytest.mark.parametrize("text", ["", " ", "...", "\n\n", "?!"])
async def test_nothing_to_say_makes_no_noise_and_no_hang(text: str) -> None:
    async with running_client() as client:
        assert not samples_of(await asyncio.wait_for(speech(client, text), 2.0)).any()


async def test_killed_process_is_replaced() -> None:
    async with running_client() as client:
        first_pid = client.pid
        assert first_pid
        heard = client.speak(LONG, voice="en-us", rate_wpm=165, pitch=50)
        await anext(heard)
        os.kill(first_pid, signal.SIGKILL)
        with pytest.raises(EspeakProcessLost):
            async for _ in heard:
                pass
        assert samples_of(await speech(client, "Here again.")).any()
        assert client.pid != first_pid
        assert is_gone(first_pid)


async def test_cancelled_client_leaves_nothing_behind() -> None:
    async with running_client() as client:
        pid = client.pid
        assert pid and not is_gone(pid)
    assert is_gone(pid)


async def test_speech_asked_for_while_the_process_dies_ends() -> None:
    async with running_client() as client:
        for _ in range(5):
            await client.wait_ready()
            assert client.pid
            os.kill(client.pid, signal.SIGKILL)
            try:
                chunks = await asyncio.wait_for(speech(client, "Hi."), 5.0)
            except EspeakProcessLost:
                continue
            assert samples_of(chunks).any()


async def test_client_is_cancelled_while_nobody_takes_its_answers() -> None:
    client = EspeakClient()
    task = asyncio.create_task(client.run())
    heard = client.speak(LONG, voice="en-us", rate_wpm=165, pitch=50)
    await anext(heard)
    pid = client.pid
    assert pid
    await asyncio.sleep(0.2)  # the queue and the pipe are full by now
    task.cancel()
    await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 2.0)
    assert is_gone(pid)
    await heard.aclose()


def test_process_leaves_when_its_input_closes() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", str(PROCESS_PATH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        assert json.loads(process.stdout.readline()) == {"ready": True, "sample_rate": 22_050}
        process.stdin.close()
        assert process.wait(timeout=2.0) == 0


ORPHAN_MAKER = """
import asyncio
from offline.espeak_client import EspeakClient

async def main():
    client = EspeakClient()
    asyncio.create_task(client.run())
    await client.wait_ready()
    text = "The quick brown fox jumps over the lazy dog. " * 40
    async for chunk in client.speak(text, voice="en-us", rate_wpm=165, pitch=50):
        print(client.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_process_leaves_when_its_parent_is_killed_while_it_speaks() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN_MAKER], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout
        child_pid = int(parent.stdout.readline())
        assert not is_gone(child_pid)
        parent.kill()
    # The child's own parent is now init, which may leave a zombie to a slow reaper.
    wait_until(lambda: is_gone(child_pid) or _is_zombie(child_pid))


def _is_zombie(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip().startswith("Z")


def test_our_process_loads_nothing_of_espeak() -> None:
    code = (
        "import sys, offline.voice\n"
        "assert 'espeakng_loader' not in sys.modules\n"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else ''\n"
        "assert 'espeak' not in maps"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
