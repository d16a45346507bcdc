"""The agent in the middle of a sentence: told to stop, and its voice killed."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import RunningPod, start_pod, stop_pod
from pod_process import TestPeer, post, request, test_peer, until

SENTENCE = "This is a sentence that takes its time, so that it can be cut in the middle of it. "
LONG = SENTENCE * 80
"""Takes the voice seconds to make, and minutes to speak."""


@pytest.fixture
async def talking(tmp_path: Path) -> AsyncIterator[tuple[RunningPod, TestPeer]]:
    """The agent with its offline voice, and a peer that hears it."""
    pod = start_pod(tmp_path / "pod.log")
    try:
        async with test_peer(pod.url) as peer:
            assert (await peer.offer("heard"))[0] == 200
            await until(lambda: peer.pc.connectionState == "connected")
            await until(lambda: peer.pictures > 5)
            yield pod, peer
    finally:
        stop_pod(pod)


async def say(pod: RunningPod, peer: TestPeer, text: str) -> None:
    """Have a text spoken, and wait until it is heard."""
    assert (await post(f"{pod.url}/speak", {"message": text}))[0] == 200
    loud_frames = peer.loud_frames
    await until(lambda: peer.loud_frames > loud_frames + 10)


async def status(pod: RunningPod) -> dict[str, Any]:
    return dict((await request("GET", f"{pod.url}/status"))[1])


async def silent(pod: RunningPod) -> bool:
    return not (await status(pod))["speaking"]


def children(pod: RunningPod) -> list[psutil.Process]:
    return psutil.Process(pod.process.pid).children(recursive=True)


def voice(pod: RunningPod) -> list[psutil.Process]:
    """The pod's speech process."""
    return [each for each in children(pod) if "espeak_process" in " ".join(each.cmdline())]


async def test_sigterm_lets_the_sentence_be_finished(
    talking: tuple[RunningPod, TestPeer],
) -> None:
    pod, peer = talking
    await say(pod, peer, SENTENCE)
    started = children(pod)
    assert started
    pod.process.send_signal(signal.SIGTERM)

    async def draining() -> bool:
        return (await request("GET", f"{pod.url}/readyz"))[0] == 503

    await until(draining)
    loud_frames = peer.loud_frames
    async with test_peer(pod.url) as other:
        code, reply = await other.offer()
        assert (code, "shutting down" in reply["error"]) == (503, True)
    assert (await request("GET", f"{pod.url}/livez"))[0] == 200
    assert (await status(pod))["speaking"]
    await until(lambda: silent(pod))
    assert peer.loud_frames > loud_frames + 50, "a second of the sentence was still to come"
    # Nor is it the last: the session goes on until the user leaves.
    await say(pod, peer, "And one more.")
    assert pod.process.poll() is None

    await peer.close()
    assert await asyncio.to_thread(pod.process.wait, 15) == 0
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    log = pod.log.read_text()
    assert "Session ends" in log
    for trouble in ("Traceback", "was never retrieved", "Task was destroyed"):
        assert trouble not in log


async def test_a_killed_voice_costs_a_sentence_at_most(
    talking: tuple[RunningPod, TestPeer],
) -> None:
    pod, peer = talking
    await say(pod, peer, LONG)
    (killed,) = voice(pod)
    killed.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(killed.wait, 10)
    # What had been made is still spoken, for minutes.
    assert (await post(f"{pod.url}/interrupt", {}))[0] == 200
    await until(lambda: silent(pod))
    assert (await status(pod))["session"]["id"] == "heard"
    await say(pod, peer, SENTENCE)
    (reborn,) = voice(pod)
    assert reborn.pid != killed.pid
    pictures = peer.pictures
    await until(lambda: peer.pictures > pictures + 10)
