"""PeerConnection by itself: what the bot is told, and what of Pipecat's insides it rests on."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtcicetransport import RTCIceGatherer
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pod_process import TestPeer, until

from pipecatcloud_system import connection as module
from pipecatcloud_system.connection import PeerConnection, rehearse


@asynccontextmanager
async def offered(events: list[str]) -> AsyncIterator[tuple[TestPeer, PeerConnection]]:
    """A peer and the connection that answers it; the bot's part notes what it is told."""
    peer, connection = TestPeer(""), PeerConnection([], "s")
    for name in ("connected", "disconnected", "closed"):
        connection.add_event_handler(name, noting(events, name))
    await connection.initialize(await peer.sdp(), "offer")
    try:
        yield peer, connection
    finally:
        await peer.close()
        await connection.close()


def noting(events: list[str], name: str):  # type: ignore[no-untyped-def]
    async def note(_: SmallWebRTCConnection) -> None:
        events.append(name)

    return note


async def accept(peer: TestPeer, connection: PeerConnection) -> None:
    answer = connection.get_answer()
    await peer.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    await until(lambda: connection.pc.connectionState == "connected")


async def test_no_stun_server_is_asked_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> None:
        raise AssertionError("aiortc's default STUN server is about to be asked")

    peer = TestPeer("")
    sdp = await peer.sdp()
    monkeypatch.setattr(RTCIceGatherer, "getDefaultIceServers", none)
    connection = PeerConnection([], "s")
    await connection.initialize(sdp, "offer")
    await rehearse(sdp)
    assert "srflx" not in connection.get_answer()["sdp"]
    with pytest.raises(AssertionError, match="STUN"):
        RTCPeerConnection().addTransceiver("audio")
    await connection.close()
    await peer.close()


async def test_a_peer_that_does_not_connect_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.2)
    events: list[str] = []
    async with offered(events) as (_, connection):
        assert await asyncio.wait_for(connection.watch(), 2) is False
        assert connection.gone
        await asyncio.sleep(0)
        assert events == ["closed"]


async def test_the_bot_hears_of_a_leave_after_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELOAD_GRACE_S", 0.5)
    events: list[str] = []
    async with offered(events) as (peer, connection):
        watch = asyncio.create_task(connection.watch())
        await accept(peer, connection)
        await connection.connect()
        assert connection.is_connected()
        assert not await connection.replaceable()
        await peer.close()
        await until(lambda: connection.pc.connectionState == "closed")
        assert await connection.replaceable()
        assert events == ["connected"]
        assert await asyncio.wait_for(watch, 2) is True
        await asyncio.sleep(0)
        assert events == ["connected", "closed"]


async def test_a_bot_that_comes_late_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.0)
    connection, events = PeerConnection([], "s"), list[str]()
    await connection.watch()
    connection.add_event_handler("closed", noting(events, "closed"))
    await connection.connect()
    await asyncio.sleep(0)
    assert events == ["closed"]
    await connection.close()


async def test_a_silent_peer_may_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    async with offered(events) as (peer, connection):
        await accept(peer, connection)
        monkeypatch.setattr(module, "HEARD_S", 0.2)
        await until(connection.replaceable)
        connection.touch()
        assert not await connection.replaceable()


def test_pipecat_still_has_what_this_rests_on() -> None:
    for name in ("_register_event_handler", "_call_event_handler", "add_event_handler"):
        assert callable(getattr(SmallWebRTCConnection, name))
    source = inspect.getsource(SmallWebRTCConnection.event_handler)
    assert "self.add_event_handler" in source
    renegotiate = inspect.getsource(SmallWebRTCConnection.renegotiate)
    assert renegotiate.index("remove_all_listeners") < renegotiate.index("_initialize")


async def test_a_page_that_pings_no_more_but_is_there_is_connected() -> None:
    async with offered([]) as (peer, connection):
        await accept(peer, connection)
        await connection.connect()
        connection._last_received_time = 1.0
        assert not SmallWebRTCConnection.is_connected(connection)
        assert connection.is_connected()


async def test_messages_that_nobody_takes_put_the_peer_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 20)
    async with offered([]) as (peer, connection):
        await accept(peer, connection)
        await until(lambda: peer.channel.readyState == "open")
        for _ in range(40):
            peer.channel.send('{"type": "x"}')
        await until(lambda: connection.dismissed)
        assert len(connection._pending_app_messages) == 20
