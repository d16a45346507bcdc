"""Sessions over a WebSocket: a ticket opens one, once, and both sides hear each other."""

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from control_plane import RunningPlane, running_plane, stub_agent

MAY_TAKE_S = 20.0


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    folder = tmp_path_factory.mktemp("plane")
    agents = {name: stub_agent(folder / name) for name in ("stub", "open", "single")}
    with running_plane(folder, agents) as running:
        running.deploy("open", websocketAuth="none")
        yield running


@contextlib.asynccontextmanager
async def connected(
    url: str, **headers: str
) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, dict[str, Any]]]:
    """A socket to a bot, and what the bot said first."""
    async with (
        asyncio.timeout(MAY_TAKE_S),
        aiohttp.ClientSession(headers=headers) as client,
        client.ws_connect(url, max_msg_size=0) as ws,
    ):
        yield ws, await ws.receive_json()


async def refusal(url: str, **headers: str) -> int:
    """The status with which a socket is refused."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with connected(url, **headers):
            pass
    return error.value.status


async def ended(plane: RunningPlane, agent: str, session_id: str) -> dict[str, Any]:
    """A session once it has ended."""
    async with asyncio.timeout(MAY_TAKE_S):
        while True:
            told = await asyncio.to_thread(plane.session, agent, session_id)
            if told.get("endedAt") is not None:
                return told
            await asyncio.sleep(0.02)


def start(plane: RunningPlane, agent: str = "stub", **body: Any) -> dict[str, Any]:
    return plane.start_session(agent, transport="websocket", body=body)


def encoded(body: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


def test_a_start_says_where_to_connect(plane: RunningPlane) -> None:
    reply = start(plane, name="ü")
    base = plane.url.replace("http", "ws", 1)
    assert reply["wsUrl"] == f"{base}/ws/generic/stub.local"
    assert json.loads(base64.b64decode(reply["body"])) == {"name": "ü"}
    assert "body" not in start(plane)
    # Nothing runs yet.
    assert plane.session("stub", reply["sessionId"])["code"] == "404"


@pytest.mark.parametrize("way", ["header", "query", "path", "host"])
async def test_a_token_opens_the_session_whichever_way_it_comes(
    plane: RunningPlane, way: str
) -> None:
    reply = start(plane)
    url, token = reply["wsUrl"], reply["token"]
    headers = {"authorization": f"Bearer {token}"} if way in ("header", "host") else {}
    url = {
        "header": url,
        "query": f"{url}?token={token}",
        "path": f"{url}/{token}",
        "host": f"{url.rpartition('/')[0]}?serviceHost=stub.local",
    }[way]
    async with connected(url, **headers) as (ws, first):
        assert first == {"body": {}, "session": reply["sessionId"]}
        told = await asyncio.to_thread(plane.session, "stub", reply["sessionId"])
        assert (told["endState"], told["transport"]) == ("active", "websocket")
        await ws.send_str("bye")
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
    told = await ended(plane, "stub", reply["sessionId"])
    assert told["endState"] == "completed"
    assert told["completionStatus"] == "WS_CONNECTION_CLOSED"


async def test_the_body_reaches_the_bot(plane: RunningPlane) -> None:
    reply = start(plane, name="ü", many=["?&+/="] * 20)
    for body in (reply["body"], encoded({"name": "+/=ü"})):
        reply = start(plane)
        url = f"{reply['wsUrl']}/{reply['token']}?body={body}"
        async with connected(url) as (_, first):
            assert first["body"]["name"] in ("ü", "+/=ü")


async def test_both_sides_hear_each_other(plane: RunningPlane) -> None:
    reply = start(plane)
    async with connected(f"{reply['wsUrl']}/{reply['token']}") as (ws, _):
        for number in range(200):
            await ws.send_str(f"text {number} ü")
            await ws.send_bytes(bytes([number]) * 640)
        for number in range(200):
            assert await ws.receive_str() == f"text {number} ü"
            assert await ws.receive_bytes() == bytes([number]) * 640
        for size in (0, 1, 125, 126, 65_535, 65_536, 900_000):
            await ws.send_bytes(bytes(size))
            assert await ws.receive_bytes() == bytes(size)


async def test_a_token_is_used_once_and_its_session_is_not_disturbed(plane: RunningPlane) -> None:
    reply = start(plane)
    url = f"{reply['wsUrl']}/{reply['token']}"
    async with connected(url) as (ws, _):
        assert [await refusal(url) for _ in range(3)] == [401] * 3
        await ws.send_str("still there?")
        assert await ws.receive_str() == "still there?"
    await ended(plane, "stub", reply["sessionId"])
    assert await refusal(url) == 401


async def test_of_many_who_come_with_a_token_at_once_one_gets_in(plane: RunningPlane) -> None:
    reply = start(plane)
    url = f"{reply['wsUrl']}/{reply['token']}"

    async def comes() -> int:
        try:
            async with connected(url) as (ws, first):
                assert first["session"] == reply["sessionId"]
                await asyncio.sleep(0.3)
                await ws.send_str("still there?")
                assert await ws.receive_str() == "still there?"
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    statuses = await asyncio.gather(*(comes() for _ in range(10)))
    assert sorted(statuses) == [101] + [401] * 9


async def test_without_a_good_token_nobody_gets_in(plane: RunningPlane) -> None:
    reply, other = start(plane), start(plane, "single")
    url = reply["wsUrl"]
    assert await refusal(url) == 401
    assert await refusal(f"{url}/{other['token']}") == 401
    assert await refusal(f"{url}/{reply['token'][:-2]}xx") == 401
    assert await refusal(url, authorization=f"Bearer {plane.private_key}") == 401
    assert await refusal(f"{url}x/{reply['token']}") == 404
    assert await refusal(f"{url.replace('stub.', 'nobody.')}/{reply['token']}") == 404
    assert await refusal(f"{url}/{reply['token']}?body=***") == 400
    large = encoded({"a": "x" * 4_096})
    assert await refusal(f"{url}/{reply['token']}?body={large}") == 413
    # None of them has used it up.
    async with connected(f"{url}/{reply['token']}"):
        pass


async def test_where_no_token_is_asked_for_no_body_is_taken(plane: RunningPlane) -> None:
    wanted = {"transport": "websocket", "body": {"a": 1}}
    answer = plane.ask("POST", "/v1/public/open/start", wanted, plane.public_key)
    assert answer.status == 400
    url = f"{plane.url.replace('http', 'ws', 1)}/ws/generic/open.local"
    assert await refusal(f"{url}?body={encoded({'a': 1})}") == 400
    async with connected(url) as (_, first), connected(url) as (_, second):
        assert first["session"] != second["session"]


async def test_where_no_token_is_asked_for_pages_of_other_sites_do_not_get_in(
    plane: RunningPlane,
) -> None:
    url = f"{plane.url.replace('http', 'ws', 1)}/ws/generic/open.local"
    assert await refusal(url, origin="https://b.example") == 403
    assert await refusal(url, origin="null") == 403
    assert await refusal(url, **{"sec-fetch-site": "cross-site"}) == 403
    for headers in ({"origin": plane.url}, {"sec-fetch-site": "same-origin"}):
        async with connected(url, **headers) as (_, first):
            assert first["session"]


async def test_at_capacity_the_socket_is_refused(plane: RunningPlane) -> None:
    plane.deploy("single", autoScaling={"minAgents": 0, "maxAgents": 1})
    first, second = start(plane, "single"), start(plane, "single")
    async with connected(f"{first['wsUrl']}/{first['token']}"):
        assert await refusal(f"{second['wsUrl']}/{second['token']}") == 429
    await ended(plane, "single", first["sessionId"])


async def test_a_client_that_leaves_ends_the_session(plane: RunningPlane) -> None:
    reply = start(plane)
    async with connected(f"{reply['wsUrl']}/{reply['token']}") as (ws, _):
        # Without a word of parting.
        transport = ws._writer.transport
        assert transport is not None
        transport.abort()  # type: ignore[attr-defined]
        told = await ended(plane, "stub", reply["sessionId"])
    assert told["endState"] == "completed"


async def test_a_bot_that_fails_is_told_as_that(plane: RunningPlane) -> None:
    reply = start(plane)
    async with connected(f"{reply['wsUrl']}/{reply['token']}") as (ws, _):
        await ws.send_str("fail")
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1011
    told = await ended(plane, "stub", reply["sessionId"])
    assert told["endState"] == "agent_error"


async def test_a_pod_that_dies_is_told_as_that(plane: RunningPlane) -> None:
    reply = start(plane)
    async with connected(f"{reply['wsUrl']}/{reply['token']}") as (ws, _):
        os.kill(plane.pods()[reply["sessionId"]], signal.SIGKILL)
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1011
    told = await ended(plane, "stub", reply["sessionId"])
    assert told["endState"] == "agent_error"
    assert "SIGKILL" in told["endReason"]


async def test_a_session_that_is_stopped_closes_its_socket(plane: RunningPlane) -> None:
    reply = start(plane)
    path = f"/v1/organizations/local/services/stub/sessions/{reply['sessionId']}"
    async with connected(f"{reply['wsUrl']}/{reply['token']}") as (ws, _):
        answer = await asyncio.to_thread(plane.ask, "DELETE", path)
        assert answer.status == 200
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
    assert (await ended(plane, "stub", reply["sessionId"]))["endState"] == "terminated"
