"""What a peer may send on its data channels: by itself, and with a real peer that misbehaves."""

import asyncio
import json
import time
from collections.abc import Iterator

import pod_process
import pytest
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk
from pod_process import PodProcess, TestPeer, only_call, test_peer, until

from pipecatcloud_system.channel import BURST, FLOOD, MAX_CHANNELS, MAX_MESSAGE_BYTES, MessageGate
from pipecatcloud_system.connection import PeerConnection, overruns

GOOD = '{"label": "rtvi-ai", "type": "client-ready", "id": "1"}'


@pytest.mark.parametrize(
    ("message", "admitted"),
    [
        (GOOD, True),
        (GOOD.encode(), True),
        ("ping: 1", True),
        ("ping" * MAX_MESSAGE_BYTES, False),
        (json.dumps({"type": "t", "data": "é" * (MAX_MESSAGE_BYTES // 2)}), False),
        (json.dumps({"type": "t", "data": "x" * (MAX_MESSAGE_BYTES - 100)}), True),
        ("pong", False),
        ("", False),
        (b"\xff\xfe", False),
        ("[" * 60_000, False),
        ("9" * 60_000, False),
        ("[]", False),
        ("{}", False),
        ('{"type": 5}', False),
        ('{"type": "signalling", "message": {"type": "trackStatus"}}', True),
        (json.dumps({"type": "signalling", "message": "x" * 2_000}), False),
    ],
)
def test_size_and_form(message: str | bytes, admitted: bool) -> None:
    gate = MessageGate()
    assert gate.admits(message) is admitted
    assert gate.dropped == (not admitted)


def test_rate() -> None:
    now_s = 0.0
    gate = MessageGate(lambda: now_s)
    assert [gate.admits(GOOD) for _ in range(int(BURST) + 1)] == [True] * int(BURST) + [False]
    for _ in range(1_000):
        now_s += 0.021
        gate.admits(GOOD)
    assert gate.dropped < 30
    for _ in range(int(FLOOD)):
        gate.admits(GOOD)
    assert not gate.flooded
    for _ in range(int(BURST) + 2):
        gate.admits(GOOD)
    assert gate.flooded


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path_factory.mktemp("pod")) as process:
        yield process


async def connected(pod: PodProcess, peer: TestPeer, session_id: str) -> None:
    async def accepted() -> bool:
        return (await peer.offer(session_id))[0] == 200

    await until(accepted)
    await peer.hears_and_sees()


async def test_junk_is_dropped_and_logged_once(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        await connected(pod, peer, "junk")
        for message in ("junk", b"\xff", "[" * 60_000, "x" * 200_000, '{"type": 5}', "{"):
            peer.channel.send(message)
        peer.channel.send(json.dumps({"type": "signalling", "message": "nonsense"}))
        await until(lambda: "nonsense" in pod.log.read_text())
        log = pod.log.read_text()
        assert log.count("| junk - The peer sent a message too large, too soon or no JSON") == 1
        assert "xxxx" not in log
        await peer.hears_and_sees()


async def test_a_flood_puts_the_peer_out(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        await connected(pod, peer, "flood")
        deadline = time.monotonic() + 90
        while not peer.closed.is_set():
            assert time.monotonic() < deadline
            if peer.channel.bufferedAmount == 0:
                for _ in range(20):
                    peer.channel.send("x")
            await asyncio.sleep(0.01)
    await until(lambda: ended(pod, "flood"))
    assert "| flood - The peer is put out: it floods the data channel" in pod.log.read_text()
    async with test_peer(pod.url) as other:
        await connected(pod, other, "after the flood")


async def test_many_channels_put_the_peer_out(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        await connected(pod, peer, "channels")
        for number in range(MAX_CHANNELS):
            peer.pc.createDataChannel(str(number))
        await asyncio.wait_for(peer.closed.wait(), 20)
    await until(lambda: ended(pod, "channels"))


async def ended(pod: PodProcess, session_id: str) -> bool:
    call = await only_call(pod, session_id)
    return call["disconnected"] == 1 and call["end"] == "returned"


async def test_messages_without_an_end_overrun_their_window() -> None:
    peer, connection = TestPeer(""), PeerConnection([], "s")
    await connection.initialize(await peer.sdp(), "offer")
    sctp = connection.pc.sctp
    assert sctp is not None
    assert not overruns(connection.pc)
    sctp._last_received_tsn = 0
    for tsn in range(1, 1_200):
        chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG if tsn == 1 else 0)
        chunk.tsn, chunk.user_data = tsn, bytes(1_000)
        await sctp._receive_data_chunk(chunk)
    assert overruns(connection.pc)
    await peer.close()
    await connection.close()
