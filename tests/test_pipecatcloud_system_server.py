"""Starting and stopping the pod: signals, drain, settings that cannot be used."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from pod_process import (
    BOTS,
    REPOSITORY,
    PodProcess,
    pod_process,
    post,
    request,
    test_peer,
    until,
)

from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.server import bind_path

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "t"}


async def start_waiting(pod: PodProcess, do: str) -> "asyncio.Task[tuple[int, dict[str, str]]]":
    """A session by POST /bot that does what it is told."""
    headers = ROOM | {"x-daily-session-id": "s"}
    waiting = asyncio.create_task(post(f"{pod.url}/bot", {"do": do}, headers))

    async def runs() -> bool:
        _, seen = await request("GET", f"{pod.url}/state")
        return bool(seen["calls"])

    await until(runs)
    return waiting


async def exit_status(pod: PodProcess, timeout_s: float = 10) -> int:
    return await asyncio.to_thread(pod.process.wait, timeout_s)


async def test_sigterm_lets_the_session_end(tmp_path: Path) -> None:
    with pod_process(tmp_path) as pod:
        waiting = await start_waiting(pod, "wait")
        pod.process.send_signal(signal.SIGTERM)

        async def draining() -> bool:
            return (await request("GET", f"{pod.url}/readyz"))[0] == 503

        await until(draining)
        assert (await request("GET", f"{pod.url}/livez"))[0] == 200
        status, reply = await post(f"{pod.url}/bot", {}, ROOM)
        assert (status, reply["code"]) == (503, "UNAVAILABLE")
        async with test_peer(pod.url) as peer:
            status, reply = await peer.offer()
            assert (status, "shutting down" in reply["detail"]) == (503, True)
        async with aiohttp.ClientSession() as client, client.ws_connect(f"{pod.url}/ws") as ws:
            await ws.receive()
            assert ws.close_code == 1013
        assert not waiting.done()
        await post(f"{pod.url}/release", {})
        assert await waiting == (200, {})
        assert await exit_status(pod) == 0
        assert "lifespan left" in pod.log.read_text()


async def test_a_session_that_outlasts_the_drain_is_cancelled(tmp_path: Path) -> None:
    with pod_process(tmp_path, SHUTDOWN_TIMEOUT="0.5") as pod:
        async with test_peer(pod.url) as peer:
            assert (await peer.offer())[0] == 200
            await peer.hears_and_sees()
            began = time.monotonic()
            pod.process.send_signal(signal.SIGTERM)
            assert await exit_status(pod) == 0
            assert 0.4 < time.monotonic() - began < 6
            await asyncio.wait_for(peer.closed.wait(), 5)
        log = pod.log.read_text()
        assert "lifespan left" in log
        assert "Task was destroyed" not in log
        assert "never retrieved" not in log


async def test_sigint_cancels_the_session(tmp_path: Path) -> None:
    with pod_process(tmp_path) as pod:
        waiting = await start_waiting(pod, "wait")
        pod.process.send_signal(signal.SIGINT)
        status, reply = await waiting
        assert (status, "ended by the pod" in reply["error"]) == (503, True)
        assert await exit_status(pod) == 0


async def test_a_second_signal_waits_for_nothing(tmp_path: Path) -> None:
    with pod_process(tmp_path) as pod:
        waiting = await start_waiting(pod, "hold on")
        pod.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert pod.process.poll() is None
        began = time.monotonic()
        pod.process.send_signal(signal.SIGTERM)
        assert await exit_status(pod) == 0
        assert time.monotonic() - began < 3
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_allowed_origins(tmp_path: Path) -> None:
    origin = "https://app.example"
    with pod_process(tmp_path, PIPECAT_ALLOWED_ORIGINS=f"{origin}, http://localhost:5173") as pod:
        async with aiohttp.ClientSession() as client:
            asked = {
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, content-type",
            }
            async with client.options(f"{pod.url}/api/offer", headers=asked) as response:
                assert response.status == 200
                assert response.headers["access-control-allow-origin"] == origin
            foreign = {"origin": origin, "sec-fetch-site": "cross-site"}
            async with client.post(f"{pod.url}/count", data=b"xyz", headers=foreign) as response:
                assert response.status == 200
        foreign["origin"] = "https://evil.example"
        assert (await post(f"{pod.url}/count", b"xyz", foreign))[0] == 403


def test_sigterm_counts_while_the_pod_is_starting(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        'import time\nprint("importing", flush=True)\ntime.sleep(60)\nasync def bot(args): ...\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pipecatcloud_system"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.terminate()
    _, said = process.communicate(timeout=10)
    assert (process.returncode, "SIGTERM: ended before" in said) == (0, True)


def run_pod(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A pod that is expected to end by itself; the repository's own bot.py is out of its sight."""
    packages = folder / "packages"
    packages.mkdir(exist_ok=True)
    if not (packages / "pipecatcloud_system").exists():
        (packages / "pipecatcloud_system").symlink_to(REPOSITORY / "pipecatcloud_system")
    return subprocess.run(
        [sys.executable, "-m", "pipecatcloud_system", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(packages)} | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_what_keeps_a_pod_from_starting_is_said(tmp_path: Path) -> None:
    ended = run_pod(tmp_path)
    assert ended.returncode == 1
    assert f"There is no bot.py in {tmp_path}" in ended.stderr
    ended = run_pod(tmp_path, PORT="eighty")
    assert ended.returncode == 2
    assert "PORT must be a port number from 0 to 65535, not 'eighty'." in ended.stderr
    (tmp_path / "bot.py").write_text("async def bott(args): ...\n")
    ended = run_pod(tmp_path)
    assert ended.returncode == 1
    assert "has no bot(args)" in ended.stderr
    (tmp_path / "bot.py").write_text((BOTS / "minimal.py").read_text())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_pod(tmp_path, "--port", port)
    assert ended.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_pod_on_a_unix_socket_is_this_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "pod.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pod_process(tmp_path, "minimal", SOCKET=str(path)) as pod:
        assert pod.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get("http://localhost/readyz") as ready,
        ):
            assert ready.status == 200
        with pytest.raises(CannotStart, match="another process does"):
            bind_path(path)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.process.wait(10) == 0
        assert not path.exists()


def test_a_lifespan_that_fails_keeps_the_pod_from_starting(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text((BOTS / "broken_lifespan.py").read_text())
    ended = run_pod(tmp_path, PORT="0")
    assert ended.returncode != 0
    assert "model.onnx is broken" in ended.stderr
    assert "Listening" not in ended.stdout


async def test_a_minimal_bot(tmp_path: Path) -> None:
    with pod_process(tmp_path, "minimal") as pod:
        assert await request("GET", f"{pod.url}/readyz") == (200, {"status": "ok"})
        assert await request("GET", f"{pod.url}/livez") == (200, {"status": "ok"})
        assert await post(f"{pod.url}/bot", {}, ROOM) == (200, {})
