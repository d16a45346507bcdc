"""What a connection may cost before its request has been read, and bodies that take long."""

import asyncio
import json
from collections.abc import Iterator

import pod_process
import pytest
from pod_process import PodProcess, raw, request

from pipecatcloud_system.protocol import MAX_CONNECTIONS, MAX_HEAD_BYTES


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path_factory.mktemp("pod"), "hasty") as process:
        yield process


def reply(answer: bytes) -> tuple[int, str]:
    """The status of an answer and the code in its JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 1_000_000,
        b"GET /livez HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 20_000,
        b"GET /livez?" + b"z" * 100_000,
    ],
)
async def test_large_heads_are_refused(pod: PodProcess, sent: bytes) -> None:
    answer = await raw(pod.url, sent)
    # The client was still sending: its system may throw the answer away.
    assert not answer or reply(answer) == (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")
    assert (await request("GET", f"{pod.url}/livez"))[0] == 200


async def test_a_head_just_too_large_is_told_so(pod: PodProcess) -> None:
    sent = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ".ljust(MAX_HEAD_BYTES + 1, b"y")
    assert reply(await raw(pod.url, sent)) == (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so(pod: PodProcess, sent: bytes) -> None:
    assert reply(await raw(pod.url, sent)) == (400, "GENERIC_BAD_REQUEST")


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nhost: loc"])
async def test_heads_must_come_in_time(pod: PodProcess, sent: bytes) -> None:
    assert reply(await raw(pod.url, sent)) == (408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize("path", [b"/bot", b"/api/offer", b"/count"])
async def test_bodies_must_come_in_time(pod: PodProcess, path: bytes) -> None:
    sent = b"POST " + path + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc"
    assert reply(await raw(pod.url, sent)) == (408, "REQUEST_TIMEOUT")


async def test_a_long_answer_is_waited_for(pod: PodProcess) -> None:
    sent = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert b" 200 " in (await raw(pod.url, sent))[:20]


async def test_connections_are_counted(pod: PodProcess) -> None:
    host, _, port = pod.url.removeprefix("http://").rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(MAX_CONNECTIONS)]
    try:
        assert reply(await raw(pod.url, b"")) == (503, "UNAVAILABLE")
    finally:
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()
    assert (await request("GET", f"{pod.url}/livez"))[0] == 200
