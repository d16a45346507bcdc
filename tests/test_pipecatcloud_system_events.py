"""Events of sessions: told to an endpoint that may be slow, broken or not there."""

import asyncio
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from http_edge import http_edge
from loguru import logger
from pod_process import pod_process, post, until

from pipecatcloud_system import events
from pipecatcloud_system.events import EventPublisher

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "t"}


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


async def test_a_session_tells_of_its_beginning_and_end(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.Response(status=202)

    async with http_edge(take) as url:
        environment = {"PIPECAT_EVENT_PUBLISHER_ENDPOINT": f"{url}/events", "IMAGE_VERSION": "7.7"}
        with pod_process(tmp_path, "minimal", **environment) as pod:
            headers = ROOM | {"x-daily-session-id": "told"}
            assert await post(f"{pod.url}/bot", {}, headers) == (200, {})
            await until(lambda: len(told) == 2)
    assert [event["event_name"] for event in told] == ["session_started", "session_ended"]
    assert told[0]["event_uuid"] != told[1]["event_uuid"]
    for event in told:
        assert event.keys() == {"ts", "session_id", "event_name", "event_uuid", "event_properties"}
        assert event["session_id"] == "told"
        assert event["event_properties"] == {"image_version": "7.7"}
        assert datetime.datetime.fromisoformat(event["ts"]).tzinfo is not None


async def test_trouble_is_logged_once_and_holds_up_nothing(log: list[str]) -> None:
    statuses = [500, 500, 200, 500]

    async def take(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    async with http_edge(take) as url:
        publisher = EventPublisher(url, "7.7")
        async with publisher.running():
            for number in range(4):
                publisher.report(f"s{number}", "session_started")
    assert statuses == []
    trouble = "PIPECAT_EVENT_PUBLISHER_ENDPOINT answered 500; events are lost\n"
    assert log == [trouble, trouble]


async def test_an_endpoint_that_hangs_costs_events_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "LAST_CALL_S", 0.1)
    taken = 0

    async def hang(_: web.Request) -> web.Response:
        nonlocal taken
        taken += 1
        await asyncio.sleep(60)
        return web.Response()

    async with http_edge(hang) as url:
        publisher = EventPublisher(url, "7.7")
        async with asyncio.timeout(3), publisher.running():
            for number in range(10 * events.MAX_WAITING):
                publisher.report(f"s{number}", "session_started")
            await until(lambda: taken)
    assert taken == 1


async def test_events_outlive_a_control_plane_that_starts_anew(tmp_path: Path) -> None:
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append((await request.json())["event_name"])
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    publisher = EventPublisher(f"unix:{tmp_path / 'events'}", "7.7")
    async with publisher.running():
        publisher.report("s", "session_started")
        publisher.report("s", "session_first_frame")
        await asyncio.sleep(0.3)
        await web.UnixSite(runner, str(tmp_path / "events")).start()
    await runner.cleanup()
    assert told == ["session_started", "session_first_frame"]
