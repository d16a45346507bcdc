"""For tests: a real pod in a process of its own, and real WebRTC peers that talk to it."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import (
    AudioStreamTrack,
    MediaStreamError,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

REPOSITORY = Path(__file__).parents[1]
BOTS = Path(__file__).with_name("bots")


class PodProcess:
    """`python -m pipecatcloud_system` with one of tests/bots as its bot.py."""

    def __init__(self, folder: Path, bot: str, **environment: str) -> None:
        shutil.copy(BOTS / f"{bot}.py", folder / "bot.py")
        self.folder = folder
        self.log = folder / "pod.log"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("PIPECAT_")
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipecatcloud_system"],
                cwd=folder,
                env=inherited | {"PORT": "0", "PYTHONPATH": str(REPOSITORY)} | environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Listening on "), f"{line}\n{self.log.read_text()}"
        self.url = line.removeprefix("Listening on ").strip()

    def stop(self) -> None:
        """End the process, however it stands."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def pod_process(
    folder: Path, bot: str = "conversation", **environment: str
) -> Iterator[PodProcess]:
    """A pod, ended with the block."""
    pod = PodProcess(folder, bot, **environment)
    try:
        yield pod
    finally:
        pod.stop()


class Tone(AudioStreamTrack):
    """A microphone with silence in it."""


class TestPeer:
    """A browser's part: sends an offer, counts the pictures and the loud sound it receives."""

    __test__ = False

    def __init__(self, url: str, microphone: bool = False, channel: bool = True) -> None:
        self.url = url
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.messages: list[str] = []
        self.pictures = 0
        self.loud_frames = 0
        self.closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        if channel:
            self.channel = self.pc.createDataChannel("chat")
            self.channel.on("message", self.messages.append)
            self.channel.on("open", self._start_pinging)
            self.channel.on("close", self.closed.set)
        if microphone:
            self.pc.addTrack(Tone())
        else:
            self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        self.pc.on("track", self._start_receiving)

    def _start_pinging(self) -> None:
        self._tasks.append(asyncio.ensure_future(self._ping()))

    async def _ping(self) -> None:
        while self.channel.readyState == "open":
            self.channel.send("ping")
            await asyncio.sleep(1)

    def _start_receiving(self, track: Any) -> None:
        self._tasks.append(asyncio.ensure_future(self._receive(track)))

    async def _receive(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.pictures += 1
                elif np.abs(frame.to_ndarray()).max() > 1000:
                    self.loud_frames += 1

    async def sdp(self) -> str:
        """The offer, with all candidates."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def offer(self, session_id: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
        """Post the offer; gives status and reply, and goes on to connect if it was accepted."""
        status, reply = await post(
            f"{self.url}/api/offer",
            {"sdp": await self.sdp(), "type": "offer"} | body,
            {"x-daily-session-id": session_id} if session_id else {},
        )
        if status == 200:
            answer = RTCSessionDescription(reply["sdp"], reply["type"])
            await self.pc.setRemoteDescription(answer)
        return status, reply

    async def hears_and_sees(self) -> None:
        """Wait for more loud sound and more pictures."""
        loud_frames, pictures = self.loud_frames + 10, self.pictures + 5
        try:
            await until(lambda: self.loud_frames >= loud_frames and self.pictures >= pictures)
        except AssertionError as error:
            heard = f"{self.loud_frames} loud frames, {self.pictures} pictures"
            raise AssertionError(f"{self.pc.connectionState}, {heard}") from error

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def test_peer(url: str, **options: Any) -> AsyncIterator[TestPeer]:
    """A peer, closed with the block."""
    peer = TestPeer(url, **options)
    try:
        yield peer
    finally:
        await peer.close()


test_peer.__test__ = False  # type: ignore[attr-defined]


async def until(condition: Callable[[], Any], timeout_s: float = 10) -> None:
    """Wait until a condition holds; it may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if await result if isinstance(result, Awaitable) else result:
            return
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        await asyncio.sleep(0.02)


async def request(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and body (JSON where it is that) of a request."""
    sent = {"json": body} if isinstance(body, dict | list) else {"data": body}
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, url, headers=headers, **sent) as response,
    ):
        if response.content_type == "application/json":
            return response.status, await response.json()
        return response.status, await response.text()


async def post(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    return await request("POST", url, body, headers)


async def raw(url: str, sent: bytes, timeout_s: float = 20) -> bytes:
    """All that a server says to these bytes until it closes the connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(host, int(port))
        # It may close before it has read everything.
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        answer = bytearray()
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                answer += chunk
        writer.close()
    return bytes(answer)


async def state(pod: PodProcess) -> dict[str, Any]:
    """What tests/bots/conversation.py tells of itself."""
    _, told = await request("GET", f"{pod.url}/state")
    return dict(told)


async def calls(pod: PodProcess, session_id: str) -> list[dict[str, Any]]:
    """The calls of bot() for a session."""
    return [call for call in (await state(pod))["calls"] if call["session_id"] == session_id]


async def only_call(pod: PodProcess, session_id: str) -> dict[str, Any]:
    """The one call of bot() for a session, as it stands now."""
    (call,) = await calls(pod, session_id)
    return call


async def main(url: str) -> None:
    """Be a peer until killed; says when it hears and sees the bot."""
    peer = TestPeer(url)
    status, _ = await peer.offer("killed")
    assert status == 200
    await peer.hears_and_sees()
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
