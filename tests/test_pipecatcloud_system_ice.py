"""ICE servers from ICE_CONFIG_URL: asked in time, checked, never replaced by a stranger's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from http_edge import http_edge
from loguru import logger
from pod_process import pod_process, test_peer

from pipecatcloud_system import ice
from pipecatcloud_system.ice import IceServer, IceSource

GIVEN = (IceServer(("stun:192.0.2.1",)),)
TURN = {"urls": "turn:192.0.2.2", "username": "u", "credential": "c-secret"}


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


async def test_both_sources_count(log: list[str]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"iceConfig": {"iceServers": [TURN]}})

    async with http_edge(answer) as url:
        source = IceSource(f"{url}/ice?token=url-secret", GIVEN)
        turn = IceServer(("turn:192.0.2.2",), "u", "c-secret")
        assert await source.servers() == (turn, *GIVEN)
    assert log == []
    assert await IceSource(None, GIVEN).servers() == GIVEN


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"nothing", "its answer is not"),
        (b"[" * 60_000, "its answer is not"),
        (b"\xff", "its answer is not"),
        (b"[]", "its answer is not"),
        (b'{"iceConfig": null}', "its answer is not"),
        (b'{"iceConfig": {"iceServers": {}}}', "cannot be used: it is no list"),
        (b'{"iceConfig": {"iceServers": [{"urls": ["http://c-secret"]}]}}', "starts with stun:"),
        (b" " * 70_000, "longer than 65,536 bytes"),
    ],
)
async def test_an_answer_that_cannot_be_used(log: list[str], body: bytes, complaint: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with http_edge(answer) as url:
        assert await IceSource(f"{url}/?token=url-secret", GIVEN).servers() == GIVEN
    (line,) = log
    assert line.startswith("ICE_CONFIG_URL (127.0.0.1): ")
    assert complaint in line
    assert "secret" not in line


async def test_redirects_are_not_followed(log: list[str]) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with http_edge(answer) as url:
        assert await IceSource(f"{url}/ice", ()).servers() == ()
    assert asked == ["/ice"]
    assert "it answered 302" in log[0]


async def test_nobody_there(log: list[str]) -> None:
    async with http_edge(hang) as url:
        pass
    assert await IceSource(url, GIVEN).servers() == GIVEN
    assert "cannot be asked (ClientConnectorError)" in log[0]


async def test_no_answer_in_time(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "ASK_TIMEOUT_S", 0.1)
    async with http_edge(hang) as url:
        assert await IceSource(url, GIVEN).servers() == GIVEN
    assert "no answer within 0.1 s" in log[0]


async def test_each_session_asks_anew(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if len(asked) == 2:
            return web.Response(status=500)
        return web.json_response({"iceConfig": {"iceServers": []}})

    async with http_edge(answer) as url:
        with pod_process(tmp_path, ICE_CONFIG_URL=f"{url}/ice-servers?secret=1") as pod:
            for _ in range(2):
                async with test_peer(pod.url) as peer:
                    assert (await peer.offer())[0] == 200
                    await peer.hears_and_sees()
            assert "ICE_CONFIG_URL (127.0.0.1): it answered 500" in pod.log.read_text()
            assert "secret" not in pod.log.read_text()
    assert asked == ["/ice-servers"] * 2


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()
