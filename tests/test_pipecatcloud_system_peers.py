"""The peer slot, with real WebRTC peers: who may come, who may come back, who is put out."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pod_process
import pytest
from pod_process import PodProcess, calls, only_call, post, request, state, test_peer, until


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path_factory.mktemp("pod")) as process:
        yield process


async def test_a_peer_hears_and_sees_the_bot(pod: PodProcess) -> None:
    async with test_peer(pod.url, microphone=True) as peer:
        status, answer = await peer.offer("simple", requestData={"name": "Ada"})
        assert status == 200
        assert answer["type"] == "answer"
        await peer.hears_and_sees()
        call = await only_call(pod, "simple")
        assert call["kind"] == "SmallWebRTCRunnerArguments"
        assert call["body"] == {"name": "Ada"}
        assert call["heard_samples"] > 0
    assert re.search(r"\| simple - on_client_connected", pod.log.read_text())


async def test_a_second_peer_is_refused_and_disturbs_nothing(pod: PodProcess) -> None:
    async with test_peer(pod.url) as first, test_peer(pod.url) as second:
        assert (await first.offer())[0] == 200
        await first.hears_and_sees()
        status, reply = await second.offer("second")
        assert status == 400
        assert "already holds a session" in reply["detail"] == reply["error"]
        assert (await second.offer("second", pc_id="unknown", restart_pc=True))[0] == 400
        await first.hears_and_sees()
        assert await calls(pod, "second") == []


async def test_sessions_follow_one_another(pod: PodProcess) -> None:
    for number in range(2):
        async with test_peer(pod.url) as peer:
            assert (await peer.offer(f"number {number}"))[0] == 200
            await peer.hears_and_sees()
    await until_empty(pod)
    for number in range(2):
        call = await only_call(pod, f"number {number}")
        assert (call["disconnected"], call["end"]) == (1, "returned")


async def test_a_reloaded_page_goes_on_with_the_same_conversation(pod: PodProcess) -> None:
    async with test_peer(pod.url) as first:
        status, answer = await first.offer("reload")
        assert status == 200
        await first.hears_and_sees()
        before, began = await only_call(pod, "reload"), time.monotonic()
    await asyncio.sleep(1)
    async with test_peer(pod.url, microphone=True) as second:
        status, renewed = await second.offer(pc_id=answer["pc_id"], restart_pc=True)
        assert status == 200
        assert renewed["pc_id"] != answer["pc_id"]
        await second.hears_and_sees()
        after, took_s = await only_call(pod, "reload"), time.monotonic() - began
        # The speech went on at its pace while nobody listened.
        played_s = (after["played_samples"] - before["played_samples"]) / 24_000
        assert played_s == pytest.approx(took_s, abs=0.35)
        assert after["heard_samples"] > 0
        assert after["connected"] == 2
        # Again, now without a goodbye, and with the id from before the first reload.
        async with test_peer(pod.url) as third:
            assert (await third.offer(pc_id=answer["pc_id"], restart_pc=True))[0] == 200
            await third.hears_and_sees()
            call = await only_call(pod, "reload")
            assert (call["connected"], call["disconnected"]) == (3, 0)
    await until_empty(pod)
    assert (await only_call(pod, "reload"))["disconnected"] == 1


async def test_a_page_that_stays_away_has_left(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        status, answer = await peer.offer("leaves")
        assert status == 200
        await peer.hears_and_sees()
    left = time.monotonic()

    async def ended() -> bool:
        return (await only_call(pod, "leaves"))["end"] == "returned"

    await until(ended)
    assert 1.5 < time.monotonic() - left < 4
    assert (await only_call(pod, "leaves"))["disconnected"] == 1
    async with test_peer(pod.url) as other:
        assert (await other.offer("later", pc_id=answer["pc_id"], restart_pc=True))[0] == 200
        await other.hears_and_sees()
        await only_call(pod, "later")


async def test_a_broken_restart_leaves_the_peer_alone(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        status, answer = await peer.offer()
        assert status == 200
        await peer.hears_and_sees()
        sdp = (await peer_sdp(pod.url)).replace("a=rtcp-mux\r\n", "")
        for restart_pc in (True, False):
            body = {"sdp": sdp, "pc_id": answer["pc_id"], "restart_pc": restart_pc}
            assert (await post(f"{pod.url}/api/offer", body))[0] == 400
        await peer.hears_and_sees()


async def test_a_hundred_broken_offers_take_nothing(pod: PodProcess) -> None:
    sdp = await peer_sdp(pod.url)
    lines = sdp.split("\r\n")
    broken: list[object] = [
        {"sdp": "v=0"},
        {"sdp": ""},
        {"sdp": 5},
        {},
        [],
        {"sdp": sdp, "type": "answer"},
        {"sdp": re.sub(r"a=ice-ufrag.*\r\n", "", sdp)},
        {"sdp": re.sub(r"a=ice-pwd.*\r\n", "", sdp)},
        {"sdp": re.sub(r"a=ice-pwd.*\r\n", "a=ice-pwd:short\r\n", sdp)},
        {"sdp": re.sub(r"a=fingerprint.*\r\n", "", sdp)},
        {"sdp": re.sub(r"a=fingerprint.*\r\n", "a=fingerprint:sha-256 zz\r\n", sdp)},
        {"sdp": re.sub(r"a=setup.*\r\n", "", sdp)},
        {"sdp": sdp.replace("m=audio", "m=nothing")},
        {"sdp": re.sub(r"m=audio \d+", "m=audio 0", sdp)},
        {"sdp": sdp.replace("a=rtcp-mux\r\n", "")},
        {"sdp": sdp + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 101},
        {"sdp": sdp + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 9},
        {"sdp": sdp + "a=x:" + "y" * 100_000},
    ]
    broken += [{"sdp": "\r\n".join(lines[:count])} for count in range(1, 12)]
    broken += [{"sdp": "v=0\r\n" + chr(number) * 300} for number in range(32, 126)]
    assert len(broken) > 100
    for body in broken:
        status, reply = await post(f"{pod.url}/api/offer", body, {"x-daily-session-id": "broken"})
        assert status == 400, body
        assert reply["detail"] == reply["error"]
        assert "Traceback" not in json.dumps(reply)
    _, reply = await post(f"{pod.url}/api/offer", {"sdp": "v=0"})
    assert "ice-ufrag, ice-pwd, a fingerprint, an audio section" in reply["error"]
    assert (await post(f"{pod.url}/api/offer", {"sdp": 5}))[1]["error"].startswith("sdp: ")
    assert (await post(f"{pod.url}/api/offer", b"{not json"))[0] == 400
    assert await calls(pod, "broken") == []
    async with test_peer(pod.url) as peer:
        assert (await peer.offer())[0] == 200
        await peer.hears_and_sees()


async def test_a_killed_peer_is_put_out_after_three_seconds(pod: PodProcess) -> None:
    killed = await asyncio.create_subprocess_exec(
        sys.executable, pod_process.__file__, pod.url, stdout=subprocess.PIPE
    )
    assert killed.stdout is not None
    assert await killed.stdout.readline() == b"connected\n"
    killed.kill()
    died = time.monotonic()
    await killed.communicate()
    async with test_peer(pod.url) as peer:
        assert (await peer.offer("next"))[0] == 400
        await until(lambda: accepted(peer, "next"), timeout_s=6)
        assert 2 < time.monotonic() - died < 5
        await peer.hears_and_sees()
    call = await only_call(pod, "killed")
    assert (call["disconnected"], call["end"]) == (1, "returned")


async def test_a_peer_that_never_connects_gives_way(pod: PodProcess) -> None:
    sdp = await peer_sdp(pod.url)
    assert (await post(f"{pod.url}/api/offer", {"sdp": sdp}))[0] == 200
    async with test_peer(pod.url) as peer:
        assert (await peer.offer())[0] == 400
        await until(lambda: accepted(peer), timeout_s=6)
        await peer.hears_and_sees()


async def test_a_bot_that_ignores_its_peers_leaving_is_cancelled(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        assert (await peer.offer("stubborn", requestData={"do": "ignore leaving"}))[0] == 200
        await peer.hears_and_sees()
    async with test_peer(pod.url) as other:
        assert (await other.offer())[0] == 200
        await other.hears_and_sees()
    call = await only_call(pod, "stubborn")
    assert call["disconnected"] == 1
    assert call["end"] is not None


async def test_a_failing_bot_tells_the_page(pod: PodProcess) -> None:
    async with test_peer(pod.url) as peer:
        # The peer of another test may have its three seconds still.
        await until(lambda: accepted(peer, requestData={"do": "fail"}))
        await asyncio.wait_for(peer.closed.wait(), 10)
        errors = [json.loads(text) for text in peer.messages if "rtvi-ai" in text]
        assert [error["type"] for error in errors] == ["error"]
        assert errors[0]["data"]["fatal"] is True
        error_id = re.search(r"[0-9a-f]{12}", errors[0]["data"]["error"])
        assert error_id
    log = pod.log.read_text()
    assert log.count(error_id[0]) == 1
    assert "RuntimeError: no such voice" in log
    assert "hush-hush" not in log.replace('room_token = "hush-hush"', "")
    async with test_peer(pod.url) as other:
        assert (await other.offer())[0] == 200
        await other.hears_and_sees()


async def test_candidates(pod: PodProcess) -> None:
    url = f"{pod.url}/api/offer"
    async with test_peer(pod.url) as peer:
        sdp = await peer.sdp()
        hidden = re.sub(r"(a=candidate:.* udp \d+) \S+", r"\1 0b4e2c1a-1111.local", sdp)
        assert ".local" in hidden
        began = time.monotonic()
        status, answer = await post(url, {"sdp": hidden})
        # A look-up of an mDNS name that nobody has takes a second.
        assert status == 200
        assert time.monotonic() - began < 0.9
        pc_id = answer["pc_id"]

        async def patch(*candidates: object, pc_id: str = pc_id) -> tuple[int, dict[str, str]]:
            return await request("PATCH", url, {"pc_id": pc_id, "candidates": list(candidates)})

        good = {"candidate": "candidate:1 1 udp 2122260223 10.1.2.3 40000 typ host", "sdp_mid": "0"}
        assert await patch(good, {"candidate": "", "sdp_mid": "0"} | {"sdp_mline_index": 0}) == (
            200,
            {"status": "success"},
        )
        mdns = {"candidate": good["candidate"].replace("10.1.2.3", "a.local"), "sdp_mid": "0"}
        began = time.monotonic()
        assert (await patch(mdns))[0] == 200
        assert time.monotonic() - began < 0.9
        for malformed in ("nonsense", "candidate:1 1 udp x 10.1.2.3 1 typ host", "a " * 600):
            status, reply = await patch({"candidate": malformed, "sdp_mid": "0"})
            assert status == 400
            assert reply["error"].startswith("candidates.0.candidate")
        assert (await patch({"candidate": good["candidate"]}))[0] == 400
        assert (await patch(*[good] * 101))[0] == 400
        assert (await patch("text"))[0] == 400
        assert (await request("PATCH", url, {"candidates": []}))[0] == 400
        assert (await request("PATCH", url, b"[" * 100_000))[0] == 400
        assert (await patch(good, pc_id="nobody's"))[0] == 404


async def until_empty(pod: PodProcess) -> None:
    """Wait until the pod is as it was when it started: no task of a session is left."""

    async def is_empty() -> bool:
        # The server's and this request's own.
        return (await state(pod))["tasks"] <= 6

    await until(is_empty)


async def accepted(peer: pod_process.TestPeer, session_id: str = "", **body: object) -> bool:
    return (await peer.offer(session_id, **body))[0] == 200


async def peer_sdp(url: str) -> str:
    """An offer by a peer that is gone at once."""
    async with test_peer(url) as peer:
        return await peer.sdp()
