"""Reading offers and candidates without a connection."""

import json

import pytest
from pod_process import TestPeer

from pipecatcloud_system.errors import Refusal
from pipecatcloud_system.offers import read_candidates, read_offer


async def test_an_offer_loses_its_mdns_candidates() -> None:
    peer = TestPeer("")
    sdp = await peer.sdp()
    await peer.close()
    hidden = "a=candidate:9 1 udp 2113937151 0b4e2c1a-1111.local 50000 typ host"
    body = {"sdp": f"{sdp}{hidden}\r\n", "restart_pc": True, "pc_id": "x", "requestData": [1]}
    offer = read_offer(json.dumps(body).encode())
    assert ".local" not in offer.sdp
    assert "end-of-candidates" not in offer.sdp
    assert offer.sdp.count("a=candidate") == sdp.count("a=candidate")
    assert (offer.restart_pc, offer.pc_id, offer.request_data) == (True, "x", [1])
    plain = read_offer(json.dumps({"sdp": sdp, "request_data": {"a": 1}}).encode())
    assert plain.sdp == sdp
    assert plain.request_data == {"a": 1}


async def test_fingerprint_and_credentials_may_stand_for_the_whole_session() -> None:
    peer = TestPeer("")
    lines = (await peer.sdp()).split("\r\n")
    await peer.close()
    shared = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd", "a=fing"))]
    rest = [line for line in lines if line not in shared]
    first_section = next(index for index, line in enumerate(rest) if line.startswith("m="))
    own = list(dict.fromkeys(shared))
    sdp = "\r\n".join(rest[:first_section] + own + rest[first_section:])
    assert read_offer(json.dumps({"sdp": sdp}).encode()).sdp


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{}", "sdp"),
        (b'{"sdp": 5}', "sdp"),
        (b'{"sdp": "v=0", "type": "answer"}', "type"),
        (b'{"sdp": "v=0", "pc_id": 5}', "pc_id"),
        (b'{"sdp": "v=0", "restart_pc": "maybe"}', "restart_pc"),
        (b'{"sdp": "v=0"}', "sdp: lacks ice-ufrag, ice-pwd, a fingerprint, an audio section"),
        (b"nonsense", "body"),
    ],
)
def test_what_is_wrong_with_an_offer_is_named(body: bytes, named: str) -> None:
    with pytest.raises(Refusal, match=named) as refusal:
        read_offer(body)
    assert refusal.value.status == 400


def test_candidates() -> None:
    host = "candidate:1 1 udp 2122260223 192.0.2.7 40000 typ host"
    body = {
        "pc_id": "x",
        "candidates": [
            {"candidate": host, "sdp_mid": "0", "sdp_mline_index": 0},
            {"candidate": "", "sdp_mid": "0"},
        ],
    }
    pc_id, (first, end) = read_candidates(json.dumps(body).encode())
    assert pc_id == "x"
    assert end is None
    assert first is not None
    assert (first.ip, first.port, first.sdpMid, first.sdpMLineIndex) == ("192.0.2.7", 40000, "0", 0)

    body["candidates"][0]["candidate"] = host.replace("192.0.2.7", "abc.local")
    assert read_candidates(json.dumps(body).encode()) == ("x", [])
    body["candidates"][0]["candidate"] = host.replace("192.0.2.7", "example.org")
    with pytest.raises(Refusal, match=r"candidates\.0\.candidate"):
        read_candidates(json.dumps(body).encode())


@pytest.mark.parametrize("kind", ["rtpmap:1 a/1", "rtcp-fb:* a", "fmtp:1 a=1", "ssrc:1 cname:a"])
async def test_lines_whose_reading_grows_by_their_square_are_counted_first(kind: str) -> None:
    peer = TestPeer("")
    sdp = await peer.sdp()
    await peer.close()
    with pytest.raises(Refusal, match=f"more than .* lines of a={kind[:4]}"):
        read_offer(json.dumps({"sdp": sdp + f"a={kind}\r\n" * 1_900}).encode())
    with pytest.raises(Refusal, match="more than 2000 lines"):
        read_offer(json.dumps({"sdp": sdp + "a=x\r\n" * 2_000}).encode())
