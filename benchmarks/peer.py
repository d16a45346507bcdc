"""A WebRTC peer that joins a pod, records what it receives and says what it looked like.

    python -m benchmarks.peer --url http://127.0.0.1:8080 --seconds 15 \\
        --post 3 /speak '{"message": "Hello there."}' --out run.npz

The peer offers, sends silence as its microphone and keeps the data channel alive, as the page at
/client does. What it keeps: arrival of every RTP packet, RTCP sender reports, decoded sound, and
small grey crops of the mouth. Times of decoded media are never used: aiortc hands a picture over
only when the next one begins, and sound four packets late.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from tqdm import tqdm

from benchmarks.reception import Reception
from benchmarks.recording import ARRIVAL, AUDIO_HZ, BYTES, Recording, last_arrivals

PING_EVERY_S = 1.0
"""Pipecat counts a peer as gone 3 s after its last ping on the data channel."""
CONNECT_TIMEOUT_S = 20.0


class Refused(Exception):
    """The pod answered a request with an error status; the message holds it and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status


class Peer:
    """One WebRTC connection to a pod; use as an async context manager.

    Args:
        url: the pod's address, for example http://127.0.0.1:8080.
        pictures: keep mouth crops (off for long runs that only need the session).
        headers: sent with every request.
    """

    def __init__(
        self, url: str, *, pictures: bool = True, headers: Mapping[str, str] | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._reception = Reception(pictures)
        # A new connection for each request: the pod may just be closing an idle one.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), headers=headers
        )
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._connection.createDataChannel("chat", ordered=True)
        self._connected = asyncio.Event()
        self._failed = False
        self._tasks: list[asyncio.Task[None]] = []
        self.events: list[tuple[float, str]] = []
        self.messages: list[tuple[float, str]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def mark(self, name: str) -> float:
        """Note that something happened now; gives the time."""
        now = time.time()
        self.events.append((now, name))
        return now

    async def connect(self) -> None:
        """Offer and wait until the connection stands.

        Raises:
            Refused: the pod refused the offer.
            TimeoutError: no connection within 20 s.
            ConnectionError: the connection failed.
        """
        peer = self._connection
        peer.on("track", self._on_track)
        peer.on("connectionstatechange", self._on_state)
        self._channel.on("open", lambda: self._tasks.append(asyncio.create_task(self._ping())))
        self._channel.on("message", self._on_message)
        peer.addTransceiver(AudioStreamTrack(), direction="sendrecv")
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        for transceiver in peer.getTransceivers():
            self._reception.tap(transceiver.receiver, transceiver.kind)
        offer = {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}
        self.mark("offer")
        answer = await self.post("/api/offer", offer, mark=None)
        self.mark("answer")
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connected.wait()
        if self._failed:
            raise ConnectionError("the connection failed before it stood")
        self.mark("connected")

    async def post(self, path: str, body: dict[str, Any], mark: str | None = "") -> Any:
        """POST a JSON body to the pod and give the JSON of its answer.

        Args:
            path: for example /speak.
            body: JSON object.
            mark: name of the event noted just before sending; "" means the path, None no event.

        Raises:
            Refused: the answer's status is 400 or more.
        """
        if mark is not None:
            self.mark(mark or path)
        async with self._http.post(self._url + path, json=body) as response:
            return await _json_of(response)

    async def get(self, path: str) -> Any:
        """The JSON that the pod answers to a GET.

        Raises:
            Refused: the answer's status is 400 or more.
        """
        async with self._http.get(self._url + path) as response:
            return await _json_of(response)

    async def first_picture(self, timeout_s: float = 10.0) -> float:
        """The arrival of the first picture's first packet, waiting for it.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(timeout_s):
            await self._reception.first_picture.wait()
        return self._reception.first_picture_s

    async def until_loud(self, longest_s: float) -> None:
        """Wait until speech is heard.

        Raises:
            TimeoutError: nothing was heard within longest_s.
        """
        async with asyncio.timeout(longest_s):
            while not self._reception.loud:
                await self._more_sound()

    async def speech(self, start_s: float = 5.0, quiet_s: float = 0.6) -> None:
        """Wait until speech is heard and then until it has been quiet for a while.

        Raises:
            TimeoutError: nothing was heard within start_s, or no end within a minute.
        """
        await self.until_loud(start_s)
        quiet_from = time.monotonic()
        async with asyncio.timeout(60.0):
            while time.monotonic() - quiet_from < quiet_s:
                await self._more_sound()
                if self._reception.loud:
                    quiet_from = time.monotonic()

    async def _more_sound(self) -> None:
        self._reception.more_sound.clear()
        await self._reception.more_sound.wait()

    def recording(self) -> Recording:
        """Everything received so far, but for what was forgotten."""
        return self._reception.recording(self.events, self.messages)

    def forget(self, keep_s: float) -> None:
        """Let go of all media but the last seconds, and of all messages; see Reception."""
        self._reception.forget(keep_s)
        self.messages.clear()

    async def close(self) -> None:
        """Leave: close the connection and end everything that was started."""
        self.mark("end")
        await self._connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._reception.keep(track)))

    def _on_state(self) -> None:
        state = self._connection.connectionState
        self._failed = self._failed or state == "failed"
        if state in ("connected", "failed"):
            self._connected.set()

    def _on_message(self, message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        self.messages.append((time.time(), text))

    async def _ping(self) -> None:
        while self._channel.readyState == "open":
            self._channel.send(f"ping: {time.time()}")
            await asyncio.sleep(PING_EVERY_S)


async def _json_of(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    if response.status >= 400:
        raise Refused(response.status, text[:300])
    return json.loads(text) if text else None


def summary(recording: Recording) -> dict[str, Any]:
    """What a first look wants to know: start, rates, gaps.

    Returns:
        Plain numbers for JSON; times in milliseconds.
    """
    offered = recording.event_times("offer")[0]
    sight = np.array(sorted(last_arrivals(recording.video_packets).values()), np.float64)
    result: dict[str, Any] = {"picture_size": list(recording.picture_size), "pictures": len(sight)}
    if len(sight) > 2:
        gaps_ms = np.diff(sight[sight > sight[0] + 0.5]) * 1e3
        result |= {
            "first_picture_ms": round(
                float(recording.video_packets[0, ARRIVAL] - offered) * 1e3, 1
            ),
            "pictures_per_s": round((len(sight) - 1) / float(np.ptp(sight)), 2),
            "picture_gap_p95_ms": round(float(np.percentile(gaps_ms, 95)), 1),
            "picture_gap_max_ms": round(float(gaps_ms.max()), 1),
            "video_kbit_s": round(
                float(recording.video_packets[:, BYTES].sum() * 8e-3 / np.ptp(sight))
            ),
        }
    if len(recording.audio_packets):
        arrivals = recording.audio_packets[:, ARRIVAL]
        result |= {
            "first_sound_packet_ms": round(float(arrivals[0] - offered) * 1e3, 1),
            "sound_s": round(len(recording.pcm) / AUDIO_HZ, 2),
        }
        for at, name in recording.events:
            if name.startswith("/"):
                result.setdefault("first_speech_after_post_ms", []).append(
                    [name, _first_speech_ms(recording, at)]
                )
    return result


def _first_speech_ms(recording: Recording, at: float) -> float | None:
    """Milliseconds from a time to the next loud sound's arrival, or None."""
    sound, _ = recording.wire_clocks()
    loud = np.flatnonzero(np.abs(recording.pcm.astype(np.int32)) > 600)
    arrivals = sound(recording.pcm_rtp + loud.astype(np.float64))
    after = arrivals[arrivals > at]
    return round(float(after[0] - at) * 1e3, 1) if len(after) else None


async def record(url: str, seconds: float, posts: Sequence[tuple[float, str, str]]) -> Recording:
    """A recording of that many seconds, posting on the way.

    Args:
        url: the pod's address.
        seconds: length, counted from the connection.
        posts: (seconds after connecting, path, JSON body).
    """
    async with Peer(url) as peer:
        await peer.connect()
        start = time.monotonic()
        waiting = sorted(posts)
        for tick in tqdm(range(round(seconds * 10)), desc="recording", unit="ds", disable=None):
            while waiting and waiting[0][0] <= tick / 10:
                _, path, body = waiting.pop(0)
                await peer.post(path, json.loads(body))
            await asyncio.sleep(max(0.0, start + (tick + 1) / 10 - time.monotonic()))
        return peer.recording()


def main() -> None:
    """Record a session from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the pod's address")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the recording")
    parser.add_argument(
        "--post",
        nargs=3,
        action="append",
        default=[],
        metavar=("AT", "PATH", "JSON"),
        help="POST this AT seconds after connecting; may be given again",
    )
    parser.add_argument("--out", type=Path, help="keep the recording in this .npz file")
    options = parser.parse_args()
    posts = [(float(at), path, body) for at, path, body in options.post]
    recording = asyncio.run(record(options.url, options.seconds, posts))
    if options.out:
        recording.save(options.out)
    print(json.dumps(summary(recording), indent=2))


if __name__ == "__main__":
    main()
