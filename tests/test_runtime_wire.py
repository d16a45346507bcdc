"""What a connection may cost before it has asked for anything, and answers in one piece."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from runtime import wire


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where a server with the protocol listens; heads may take 0.3 s."""
    monkeypatch.setattr(wire, "HEAD_TIMEOUT_S", 0.3)
    app = Starlette(routes=[Route("/", _echo, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http=wire.Protocol, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def _answer(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return await reader.read()
    finally:
        writer.close()


CLOSE = b"host: localhost\r\nconnection: close\r\n"


async def test_a_request_with_a_large_body_is_answered(port: int) -> None:
    head = b"POST / HTTP/1.1\r\n" + CLOSE + b"content-length: 300000\r\n\r\n"
    answer = await _answer(port, head + b"x" * 300_000)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"300000")


async def test_a_body_may_take_longer_than_a_head(port: int) -> None:
    head = b"POST / HTTP/1.1\r\n" + CLOSE + b"content-length: 4\r\n\r\n"
    assert (await _answer(port, head, b"ab", b"cd", pause_s=0.4)).endswith(b"4")


async def test_a_head_that_does_not_end_is_refused(port: int) -> None:
    answer = await _answer(port, b"GET / HTTP/1.1\r\nx: ", *[b"a" * 10_000] * 7, pause_s=0.01)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"error"' in answer


@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
async def test_a_head_that_does_not_come_is_refused(port: int, begun: bytes) -> None:
    assert (await _answer(port, begun)).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_may_ask_again(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(1) == b"0"
        await asyncio.sleep(0.4)
    writer.close()


async def test_an_answer_is_one_piece(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    # What a client finds that reads once.
    assert (await reader.read(65_536)).endswith(b"\r\n\r\n0")
    writer.close()


@pytest.mark.parametrize("line", [b"x: ", b""])
async def test_lines_behind_a_body_are_bounded_too(port: int, line: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    answer = await _answer(port, head + line, *[b"a" * 10_000] * 8, pause_s=0.01)
    assert b"HTTP/1.1 431 " in answer or b"HTTP/1.1 400 " in answer


async def test_trailers_are_left_out(port: int) -> None:
    head = b"POST / HTTP/1.1\r\n" + CLOSE + b"transfer-encoding: chunked\r\n\r\n"
    answer = await _answer(port, head + b"2\r\nab\r\n0\r\nx: y\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n2")
