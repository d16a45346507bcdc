"""POST /bot, WS /ws, health and the guards around every route, against a real pod."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pod_process
import pytest
from pod_process import PodProcess, only_call, post, request, test_peer, until

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "room-secret"}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    folder = tmp_path_factory.mktemp("pod")
    with pod_process.pod_process(folder, OFFER_TIMEOUT="0.5", PIPECAT_LOG_LEVEL="DEBUG") as process:
        yield process


async def test_bot_is_answered_when_the_session_has_ended(pod: PodProcess) -> None:
    headers = ROOM | {"x-daily-session-id": "room"}
    waiting = asyncio.create_task(post(f"{pod.url}/bot", {"do": "wait"}, headers))
    await until(lambda: running(pod, "room"))
    call = await only_call(pod, "room")
    assert (call["kind"], call["room_url"]) == ("DailyRunnerArguments", ROOM["x-daily-room-url"])
    assert (call["token"], call["body"]) == ("room-secret", {"do": "wait"})

    status, reply = await post(f"{pod.url}/bot", {}, ROOM)
    assert (status, reply["code"]) == (409, "CONFLICT")
    async with test_peer(pod.url) as peer:
        assert (await peer.offer())[0] == 400
    async with websocket(pod.url) as ws:
        message = await ws.receive()
        assert (ws.close_code, message.extra) == (1013, reply["error"])

    assert not waiting.done()
    await post(f"{pod.url}/release", {})
    assert await waiting == (200, {})
    assert "room-secret" not in pod.log.read_text()


async def test_bot_needs_a_transport(pod: PodProcess) -> None:
    url = f"{pod.url}/bot"
    status, reply = await post(url, {})
    assert status == 400
    assert "x-daily-room-url" in reply["error"]
    assert "x-daily-transport-type: webrtc" in reply["error"]
    status, reply = await post(url, {}, {"x-daily-room-url": "https://x.daily.co/room"})
    assert (status, "without x-daily-room-token" in reply["error"]) == (400, True)
    status, reply = await post(url, {}, {"x-daily-transport-type": "pigeon"})
    assert (status, "'pigeon' is not served" in reply["error"]) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"[" * 100_000, b"\xff"])
async def test_bot_needs_a_json_object(pod: PodProcess, body: bytes) -> None:
    status, reply = await post(f"{pod.url}/bot", body, ROOM)
    assert (status, reply["error"][:5]) == (400, "body:")


async def test_a_failing_bot_is_reported_without_its_trace(pod: PodProcess) -> None:
    status, reply = await post(f"{pod.url}/bot", {"do": "fail"}, ROOM)
    assert (status, reply["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "RuntimeError" in reply["error"]
    assert "Traceback" not in reply["error"]
    assert "no such voice" not in reply["error"]
    log = pod.log.read_text()
    assert log.count(reply["error_id"]) == 1
    assert "RuntimeError: no such voice" in log


async def test_bot_waits_for_an_offer(pod: PodProcess) -> None:
    headers = {"x-daily-transport-type": "webrtc", "x-daily-session-id": "invited"}
    waiting = asyncio.create_task(post(f"{pod.url}/bot", {"name": "Ada"}, headers))
    async with test_peer(pod.url) as peer:
        await until(lambda: busy(pod))
        assert (await peer.offer())[0] == 200
        await peer.hears_and_sees()
        call = await only_call(pod, "invited")
        assert (call["kind"], call["body"]) == ("SmallWebRTCRunnerArguments", {"name": "Ada"})
        async with test_peer(pod.url) as other:
            assert (await other.offer())[0] == 400
        assert not waiting.done()
    assert await waiting == (200, {})

    status, reply = await post(f"{pod.url}/bot", {}, headers)
    assert (status, "No WebRTC offer" in reply["error"]) == (500, True)


async def test_ws_is_the_bots(pod: PodProcess) -> None:
    async with websocket(pod.url, {"name": "Ada?>"}, "socket") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
        call = await only_call(pod, "socket")
        assert (call["kind"], call["body"]) == ("WebSocketRunnerArguments", {"name": "Ada?>"})
        await ws.send_str("bye")
        await ws.receive()
        assert ws.close_code == 1000


async def test_ws_clients_may_just_leave(pod: PodProcess) -> None:
    async with websocket(pod.url):
        pass
    await until(lambda: idle(pod))
    assert "WebSocketDisconnect" not in pod.log.read_text()


async def test_ws_tells_of_failure(pod: PodProcess) -> None:
    async with websocket(pod.url, {"do": "fail"}) as ws:
        message = await ws.receive()
        assert ws.close_code == 1011
        assert "RuntimeError" in message.extra
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{pod.url}/ws?body=*") as ws:
        message = await ws.receive()
        assert (ws.close_code, "base64" in message.extra) == (1007, True)


async def test_readyz_is_the_bots(pod: PodProcess) -> None:
    async def answer(ready: object) -> tuple[int, dict[str, object]]:
        await post(f"{pod.url}/state", {"ready": ready})
        return await request("GET", f"{pod.url}/readyz")

    assert await answer({"ready": True, "model": "v1"}) == (200, {"ready": True, "model": "v1"})
    assert (await answer({"ready": False, "reason": "no voice"}))[0] == 503
    assert (await answer(False))[0] == 503
    assert (await answer("yes"))[0] == 503
    status, reply = await answer("raise")
    assert (status, "model.onnx is not there" in str(reply["reason"])) == (503, True)
    assert await answer(True) == (200, {"status": "ok"})


async def test_a_slow_readyz_holds_up_nothing(pod: PodProcess) -> None:
    await post(f"{pod.url}/state", {"ready_takes_s": 1.0})
    slow = asyncio.create_task(request("GET", f"{pod.url}/readyz"))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await request("GET", f"{pod.url}/livez")
    assert time.monotonic() - began < 0.5
    assert not slow.done()
    await post(f"{pod.url}/state", {"ready_takes_s": 0.0})
    assert (await slow)[0] == 200


async def test_no_documentation_pages(pod: PodProcess) -> None:
    assert await request("GET", f"{pod.url}/livez") == (200, {"status": "ok"})
    assert "lifespan entered" in pod.log.read_text()
    for path in ("/docs", "/redoc"):
        assert (await request("GET", pod.url + path))[0] == 404


@pytest.mark.parametrize("path", ["/bot", "/api/offer", "/count"])
async def test_large_bodies_are_refused_on_every_route(pod: PodProcess, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100_000

    for body in (b"x" * 1_000_001, chunks()):
        status, reply = await post(pod.url + path, body)
        assert (status, reply["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert await post(f"{pod.url}/count", b"x" * 1_000_000) == (200, {"bytes": 1_000_000})


async def test_other_sites_pages_are_kept_out(pod: PodProcess) -> None:
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    for path in ("/bot", "/api/offer", "/count"):
        assert (await post(pod.url + path, b"{}", foreign))[0] == 403
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(f"{pod.url}/ws", headers=foreign)
        async with client.get(f"{pod.url}/livez", headers=foreign) as response:
            assert "access-control-allow-origin" not in response.headers
            assert "server" not in response.headers
            assert response.headers["x-content-type-options"] == "nosniff"


def websocket(url: str, body: object = None, session_id: str = "") -> "WebSocketClient":
    return WebSocketClient(url, body, session_id)


class WebSocketClient:
    """A WebSocket to the pod's /ws, as a context."""

    def __init__(self, url: str, body: object, session_id: str) -> None:
        encoded = base64.b64encode(json.dumps(body).encode()).decode() if body else ""
        self._url = f"{url}/ws?body={encoded}"
        self._headers = {"x-daily-session-id": session_id}

    async def __aenter__(self) -> aiohttp.ClientWebSocketResponse:
        self._client = aiohttp.ClientSession()
        self._ws = await self._client.ws_connect(self._url, headers=self._headers)
        return self._ws

    async def __aexit__(self, *_: object) -> None:
        await self._ws.close()
        await self._client.close()


async def running(pod: PodProcess, session_id: str) -> bool:
    return bool(await pod_process.calls(pod, session_id))


async def busy(pod: PodProcess) -> bool:
    """Whether a session runs: a start is refused for that alone."""
    return (await post(f"{pod.url}/bot", {}, ROOM))[0] == 409


async def idle(pod: PodProcess) -> bool:
    return not await busy(pod)
