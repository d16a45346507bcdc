"""How fast messages of a WebSocket are taken; bodies are tried in the tests of the routes."""

import time
from pathlib import Path

import aiohttp
import pytest
from pod_process import pod_process
from starlette.types import Message

from pipecatcloud_system.limits import WS_BURST, WS_MESSAGES_PER_S, WebSocketPace


@pytest.mark.parametrize(("count", "least_s"), [(int(WS_BURST), 0), (int(WS_BURST) + 100, 0.45)])
async def test_messages_beyond_the_burst_wait(count: int, least_s: float) -> None:
    numbers = iter(range(count))

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": str(next(numbers))}

    async def route(scope: object, receive, send: object) -> None:  # type: ignore[no-untyped-def]
        began = time.monotonic()
        for number in range(count):
            assert (await receive())["text"] == str(number)
        assert time.monotonic() - began >= least_s

    await WebSocketPace(route)({"type": "websocket"}, receive, None)  # type: ignore[arg-type]


async def test_a_fast_sender_loses_nothing(tmp_path: Path) -> None:
    count = int(WS_BURST + WS_MESSAGES_PER_S)
    with pod_process(tmp_path) as pod:
        async with aiohttp.ClientSession() as client, client.ws_connect(f"{pod.url}/ws") as ws:
            for number in range(count):
                await ws.send_str(str(number))
            assert [await ws.receive_str() for _ in range(count)] == [str(n) for n in range(count)]
            await ws.send_str("x" * 1_000_001)
            await ws.receive()
            assert ws.close_code == 1009
