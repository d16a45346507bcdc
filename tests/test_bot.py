"""The whole agent in a real pod with a real WebRTC peer, and what its routes answer."""

import asyncio
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from conftest import ROOT, RunningPod, free_port, start_pod, stop_pod
from control_plane import wait_until
from pipecat.frames.protobufs import frames_pb2

from avatar.avatar import Avatar
from benchmarks.mouth_reading import fit_reader
from benchmarks.peer import Peer

LONG = "This is a rather long sentence about nothing at all, made to be interrupted in its middle. "


async def post(pod: RunningPod, path: str, body: Any) -> tuple[int, Any]:
    """POST a body, JSON unless it is bytes; return status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(pod.url + path, data=data, headers=headers) as response,
    ):
        return response.status, await response.json()


async def get(pod: RunningPod, path: str) -> Any:
    """GET a path; return the answer."""
    async with aiohttp.ClientSession() as http, http.get(pod.url + path) as response:
        return await response.json()


async def eventually(
    what: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], within_s: float = 15.0
) -> Any:
    """Ask until the answer is good; return it."""
    deadline = time.monotonic() + within_s
    while not good(answer := await what()):
        assert time.monotonic() < deadline, f"still {answer}"
        await asyncio.sleep(0.05)
    return answer


async def no_session(pod: RunningPod) -> None:
    """Wait until the pod is free."""
    await eventually(lambda: get(pod, "/status"), lambda status: status["session"] is None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/speak", {"message": "hi"}),
        ("/context", {"user_name": "Ada"}),
        ("/interrupt", {}),
    ],
)
async def test_without_a_session_the_posts_answer_503(
    pod: RunningPod, path: str, body: dict[str, str]
) -> None:
    await no_session(pod)
    assert await post(pod, path, body) == (503, {"error": "No active pipeline"})


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/speak", {}, "message"),
        ("/speak", {"message": ""}, "message"),
        ("/speak", {"message": 5}, "message"),
        ("/speak", {"message": "x" * 8001}, "message"),
        ("/speak", {"message": "hi", "volume": 3}, "volume"),
        ("/context", {}, "user_name"),
        ("/context", {"user_name": ["Ada"]}, "user_name"),
        ("/context", {"messages": [{"role": "king", "content": "hi"}]}, "role"),
        ("/context", {"messages": [{"role": "user"}]}, "content"),
        ("/context", {"messages": "hi"}, "messages"),
        ("/context", {"preferences": {str(n): n for n in range(101)}}, "preferences"),
        ("/context", {"preferences": [5] * 101}, "preferences"),
        ("/context", {str(n): n for n in range(101)}, "100 entries"),
        ("/speak", b"no json", "JSON"),
    ],
)
async def test_a_wrong_body_is_answered_with_422_that_names_the_field(
    pod: RunningPod, path: str, body: Any, field: str
) -> None:
    status, answer = await post(pod, path, body)
    assert status == 422
    assert field in json.dumps(answer)


async def test_a_body_over_a_megabyte_is_answered_with_413(pod: RunningPod) -> None:
    status, _ = await post(pod, "/speak", {"message": "x" * 1_100_000})
    assert status == 413


async def test_status_without_a_session(pod: RunningPod) -> None:
    await no_session(pod)
    status = await get(pod, "/status")
    assert status["session"] is None
    assert status["message_count"] == 0
    assert status["speaking"] is False
    assert status["services"] == {"stt": None, "llm": "offline", "tts": "offline"}
    assert status["avatar"]["size"] == 512
    assert status["uptime"] > 0


async def test_speaks_with_a_moving_mouth_and_remembers(pod: RunningPod, avatar: Avatar) -> None:
    await no_session(pod)
    async with Peer(pod.url) as peer:
        await peer.connect()
        await peer.first_picture()
        answer = await peer.post("/speak", {"message": "My mouth moves when I am speaking."})
        assert answer == {"queued": True, "message": "My mouth moves when I am speaking."}
        await peer.speech(start_s=20)
        update = await peer.post("/context", {"user_name": "Ada", "preferences": "boats"})
        assert update["status"] == "context updated"
        status = await eventually(
            lambda: get(pod, "/status"), lambda found: found["message_count"] >= 2
        )
        question = {"messages": [{"role": "user", "content": "What is my name?"}], "run_llm": True}
        await peer.post("/context", question)
        await peer.speech(start_s=20)
        after = await get(pod, "/status")
        recording = peer.recording()
    assert status["user_name"] == "Ada"
    assert status["session"]["transport"] == "SmallWebRTCTransport"
    assert after["message_count"] > status["message_count"] + 1, "the answer is in the context"
    assert after["counters"]["model_failures"] == 0
    assert after["counters"]["pictures"]["failed"] == 0
    assert recording.picture_size == (512, 512)
    assert np.abs(recording.pcm.astype(int)).max() > 2000
    opening = fit_reader(avatar.face().draw, drawings=400).opening(recording.pictures)
    assert np.percentile(opening, 95) > 0.4, "open while it speaks"
    assert np.percentile(opening, 20) < 0.15, "closed before and after"


async def test_interrupt_ends_the_speech(pod: RunningPod) -> None:
    await no_session(pod)
    async with Peer(pod.url) as peer:
        await peer.connect()
        await peer.post("/speak", {"message": LONG * 6})
        await peer.until_loud(20)
        await eventually(lambda: get(pod, "/status"), lambda status: status["speaking"])
        assert await peer.post("/interrupt", {}) == {"interrupted": True}
        await eventually(lambda: get(pod, "/status"), lambda status: not status["speaking"], 3)


async def test_a_websocket_session_has_sound_alone(pod: RunningPod) -> None:
    await no_session(pod)
    url = pod.url.replace("http", "ws") + "/ws"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await eventually(lambda: get(pod, "/status"), lambda status: bool(status["session"]))
        status = await get(pod, "/status")
        assert "pictures" not in status["counters"]
        await eventually(
            lambda: post(pod, "/speak", {"message": "Only sound."}), lambda a: a[0] == 200
        )
        sound = b""
        async with asyncio.timeout(20):
            while len(sound) < 20_000:
                message = await socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, message
                frame = frames_pb2.Frame.FromString(message.data)
                if frame.WhichOneof("frame") == "audio":
                    sound += frame.audio.audio
        assert np.abs(np.frombuffer(sound, np.int16).astype(int)).max() > 1000


def _copy_of_the_agent(folder: Path) -> Path:
    for name in ("avatar", "offline", "services", "pipecatcloud_system"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "bot.py", folder)
    return folder


BROKEN = "\nAvatar.load = classmethod(lambda cls: {}['a mistake'])\n"


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (lambda assets: (assets / "lipsync.onnx").write_bytes(b"no model"), "lipsync.onnx"),
        (lambda assets: (assets / "lipsync.onnx.json").unlink(), "lipsync.onnx.json"),
        (lambda assets: next((assets / "mira").glob("*.png")).unlink(), ".png"),
        (lambda assets: (assets / "mira" / "rig.toml").write_text("version = 'x'"), "rig.toml"),
        (lambda assets: _append(assets.parent / "avatar.py", BROKEN), "KeyError: 'a mistake'"),
    ],
    ids=["broken model", "no card", "missing layer", "wrong manifest", "a mistake"],
)
def test_a_pod_with_broken_assets_is_not_ready_and_says_why(
    tmp_path: Path, break_it: Callable[[Path], Any], named: str
) -> None:
    folder = _copy_of_the_agent(tmp_path / "agent")
    break_it(folder / "avatar" / "assets")
    pod = start_pod(tmp_path / "log", folder, ready=False, PYTHONPATH=str(folder))
    try:
        deadline = time.monotonic() + 30
        while True:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{pod.url}/readyz")
            answer = json.loads(refused.value.read())
            if "loading" not in answer["reason"]:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert refused.value.code == 503
        assert named in answer["reason"]
        wait_until(lambda: named in pod.log.read_text())
    finally:
        stop_pod(pod)


def test_pipecats_development_runner_has_the_custom_routes(tmp_path: Path) -> None:
    port = free_port()
    pod = start_pod(
        tmp_path / "log", command=["bot.py", "--port", str(port)], port=port, probe="/status"
    )
    try:
        with urllib.request.urlopen(f"{pod.url}/status") as response:
            assert json.load(response)["avatar"]["size"] == 512
        with urllib.request.urlopen(f"{pod.url}/metrics") as response:
            assert b"mouthpiece_avatar_speeches_total 0.0" in response.read()
        request = urllib.request.Request(f"{pod.url}/interrupt", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 503
    finally:
        stop_pod(pod)
