"""The log: ids of sessions, JSON lines, one line for each request, and nothing secret."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from loguru import logger
from pod_process import pod_process, post, request, until
from test_pipecatcloud_system_server import run_pod

from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.logs import configure_logging

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "room-secret"}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "bot.jsonl").read_text().splitlines()]


async def test_all_lines_of_a_session_carry_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "here"
    with pod_process(tmp_path, PCC_LOG_DIR=str(folder)) as pod:
        headers = ROOM | {"x-daily-session-id": "logged"}
        assert await post(f"{pod.url}/bot?secret=1", {"do": "log"}, headers) == (200, {})
        status, reply = await post(f"{pod.url}/bot", {"do": "fail"}, headers)
        assert status == 500
        text = pod.log.read_text()
        lines = records(folder)
    for place in ("from a task", "from a thread", "bot() runs"):
        assert f"| logged - {place}" in text.replace(f":{place}", place)
        (found,) = [each for each in lines if each["line"] == place][:1]
        assert (found["session_id"], found["level"], found["stream"]) == ("logged", "INFO", "app")
    assert all(
        each.keys() == {"@timestamp", "stream", "level", "session_id", "line"} for each in lines
    )
    (failed,) = [each for each in lines if reply["error_id"] in each["line"]]
    assert (failed["level"], failed["session_id"]) == ("ERROR", "logged")
    assert "RuntimeError: no such voice" in failed["line"]
    assert "hush-hush" not in failed["line"].replace('room_token = "hush-hush"', "")
    assert "room-secret" not in text + json.dumps(lines)


async def test_each_request_has_a_line_without_its_query(tmp_path: Path) -> None:
    with pod_process(tmp_path) as pod:
        for path in ("/livez", "/readyz", "/metrics", "/none%0Aforged?token=secret"):
            await request("GET", pod.url + path)
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{pod.url}/ws?body=e30=") as ws,
        ):
            await ws.send_str("bye")
            await ws.receive()
        await post(f"{pod.url}/bot", b"x" * 1_000_001)
        await until(lambda: "POST /bot 413" in pod.log.read_text())
        log = pod.log.read_text()
    lines = [line for line in log.splitlines() if "access:__call__" in line]
    told = [line.partition(" - ")[2].rsplit(" ", 2)[0] for line in lines]
    assert told == ["GET /none%0Aforged 404", "WS /ws closed 1000", "POST /bot 413"]


def test_json_lines_are_of_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipecatcloud_system.logs.JSON_FILE_SIZE", "20 KB")
    try:
        configure_logging("INFO", tmp_path)
        for _ in range(500):
            logger.info("x" * 100 + "{braces} <red>")
    finally:
        logger.remove()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert max(file.stat().st_size for file in files) < 21_000
    assert records(tmp_path)[-1]["line"] == "x" * 100 + "{braces} <red>"


def test_a_folder_that_cannot_be_written_keeps_the_pod_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bot.py").write_text("async def bot(args): ...\n")
    with pytest.raises(CannotStart, match="PCC_LOG_DIR: cannot write to"):
        configure_logging("INFO", tmp_path / "file")
    ended = run_pod(tmp_path, PORT="0", PCC_LOG_DIR=str(tmp_path / "file"))
    assert ended.returncode == 1
    assert f"PCC_LOG_DIR: cannot write to {tmp_path / 'file'}" in ended.stderr
    assert "Traceback" not in ended.stderr
