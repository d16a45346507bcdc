"""The repository's own bot.py under another server: tests/standin_server.py."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from conftest import RunningPod, start_pod, stop_pod
from pipecat.frames.protobufs import frames_pb2
from pod_process import post, request, test_peer, until

SERVER = Path(__file__).with_name("standin_server.py")
CLIENT_READY = {"label": "rtvi-ai", "type": "client-ready", "id": "1", "data": {"version": "1.2.0"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPod]:
    log = tmp_path_factory.mktemp("server") / "log"
    running = start_pod(log, command=[str(SERVER)])
    yield running
    stop_pod(running)


async def session(server: RunningPod) -> dict[str, object] | None:
    told: dict[str, object] | None = (await request("GET", f"{server.url}/status"))[1]["session"]
    return told


async def has_none(server: RunningPod) -> bool:
    return await session(server) is None


async def test_bot_py_brings_its_routes_and_its_lifespan(server: RunningPod) -> None:
    status, told = await request("GET", f"{server.url}/readyz")
    # Ready: its lifespan has loaded the avatar. Routes were there before the server's.
    assert (status, told["lifespans"]) == (200, ["entered"])
    assert told["routes"] >= 2
    assert "by" not in (await request("GET", f"{server.url}/status"))[1]
    assert await post(f"{server.url}/speak", {"message": "Hello."}) == (
        503,
        {"error": "No active pipeline"},
    )
    assert (await request("GET", f"{server.url}/client/"))[0] == 200


async def test_a_peer_hears_and_sees_the_agent(server: RunningPod) -> None:
    async with test_peer(server.url) as peer:
        status, answer = await peer.offer()
        assert status == 200
        candidate = {
            "candidate": "candidate:1 1 udp 2122260223 127.0.0.1 40000 typ host",
            "sdp_mid": "0",
            "sdp_mline_index": 0,
        }
        patch = {"pc_id": answer["pc_id"], "candidates": [candidate]}
        assert await request("PATCH", f"{server.url}/api/offer", patch) == (
            200,
            {"status": "success"},
        )
        await until(lambda: peer.pictures > 0)
        running = await session(server)
        assert running is not None
        assert running["id"] == "peer"
        status, _ = await post(f"{server.url}/speak", {"message": "One, two, three, four, five."})
        assert status == 200
        await peer.hears_and_sees()
        assert (await post(f"{server.url}/interrupt", {})) == (200, {"interrupted": True})
    await until(lambda: has_none(server), timeout_s=30)


async def test_a_websocket_hears_the_agent(server: RunningPod) -> None:
    body = base64.b64encode(b'{"name": "Ada"}').decode()
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{server.url}/ws?body={body}") as ws,
    ):
        await until(lambda: has_session(server))
        ready = frames_pb2.Frame()
        ready.message.data = json.dumps(CLIENT_READY)
        await ws.send_bytes(ready.SerializeToString())
        loud_frames = 0
        while loud_frames < 10:
            frame = frames_pb2.Frame.FromString(await ws.receive_bytes(timeout=10))
            if frame.WhichOneof("frame") == "audio":
                loud_frames += int(abs(np.frombuffer(frame.audio.audio, "<i2")).max() > 1_000)
    await until(lambda: has_none(server), timeout_s=30)


async def has_session(server: RunningPod) -> bool:
    return await session(server) is not None


async def test_a_session_without_a_transport_is_refused_in_words(server: RunningPod) -> None:
    status, told = await post(f"{server.url}/bot", {})
    assert status == 200
    assert told["refused"].startswith("bot() cannot serve PlainSession")
