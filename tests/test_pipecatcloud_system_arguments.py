"""What requests say of their session: id, limit, envelope, flow, place; against a real pod."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pod_process
import pytest
from pod_process import PodProcess, calls, only_call, post, state, test_peer, until

from pipecatcloud_system.arguments import MAX_FLOW_BYTES, FlowUnreadable, flow_file

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "room-secret"}
FLOW = "initial_node: greet\nnodes: {greet: {task_messages: [{content: 'ありがとう'}]}}\n"


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    files = tmp_path_factory.mktemp("files")
    (files / "session.flow").write_text(FLOW)
    (files / "empty.flow").write_text(" \n")
    with pod_process.pod_process(
        tmp_path_factory.mktemp("pod"), PCC_SESSION_FILES_DIR=str(files), IMAGE_VERSION="7.7"
    ) as process:
        yield process


def named(session_id: str, **headers: str) -> dict[str, str]:
    """Headers of a session in a Daily room."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return ROOM | {"x-daily-session-id": session_id} | more


async def test_the_session_id_must_be_fit_for_the_log(pod: PodProcess) -> None:
    for bad in ("x" * 129, "tab\there", "naïve"):
        status, reply = await post(f"{pod.url}/bot", {}, named(bad))
        assert (status, reply["error"][:18]) == (400, "x-daily-session-id")
    assert await post(f"{pod.url}/bot", {}, named("x" * 128)) == (200, {})
    assert f"{'x' * 128} - Session starts: DailyRunnerArguments (image 7.7)" in pod.log.read_text()


@pytest.mark.parametrize("do", ["wait", "wait, then wind up"])
async def test_the_limit_ends_a_session_as_if_it_had_ended(pod: PodProcess, do: str) -> None:
    headers = named(f"limited {do}", x_pcc_max_session_seconds="0.2")
    assert await post(f"{pod.url}/bot", {"do": do}, headers) == (200, {})
    assert f"limited {do} - Session ends: it has lasted its 0.2 s" in pod.log.read_text()
    assert (await only_call(pod, f"limited {do}"))["end"]


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "inf", ""])
async def test_the_limit_must_be_a_number_above_zero(pod: PodProcess, limit: str) -> None:
    headers = named("no limit", x_pcc_max_session_seconds=limit)
    status, reply = await post(f"{pod.url}/bot", {}, headers)
    assert (status, "x-pcc-max-session-seconds" in reply["error"]) == (400, True)
    assert await calls(pod, "no limit") == []


async def test_the_limit_holds_for_peers_and_sockets(pod: PodProcess) -> None:
    limit = {"x-pcc-max-session-seconds": "1"}
    async with test_peer(pod.url) as peer:
        body = {"sdp": await peer.sdp(), "requestData": {"do": "wait"}}
        status, _ = await post(
            f"{pod.url}/api/offer", body, limit | {"x-daily-session-id": "limited peer"}
        )
        assert status == 200
        await until(lambda: ended(pod, "limited peer"))
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{pod.url}/ws", headers=limit) as ws,
    ):
        await ws.receive()
        assert ws.close_code == 1000
    for bad in ({"x-pcc-max-session-seconds": "0"}, {"x-daily-session-id": "x" * 129}):
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{pod.url}/ws", headers=bad) as ws,
        ):
            message = await ws.receive()
            assert (ws.close_code, next(iter(bad)) in message.extra) == (1007, True)


async def test_the_limit_holds_for_a_peer_that_was_invited(pod: PodProcess) -> None:
    headers = {"x-daily-transport-type": "webrtc", "x-daily-session-id": "limited guest"}
    headers["x-pcc-max-session-seconds"] = "1.5"
    waiting = asyncio.create_task(post(f"{pod.url}/bot", {"do": "wait"}, headers))
    async with test_peer(pod.url) as peer:
        await until(lambda: is_busy(pod))
        assert (await peer.offer())[0] == 200
        assert await waiting == (200, {})
    assert "limited guest - Session ends: it has lasted its 1.5 s" in pod.log.read_text()


async def test_a_pod_limits_sessions_without_being_asked(tmp_path: Path) -> None:
    with pod_process.pod_process(tmp_path, MAX_SESSION_SECONDS="0.3") as limited:
        assert await post(f"{limited.url}/bot", {"do": "wait"}, ROOM) == (200, {})
        # The shorter one counts.
        headers = named("longer", x_pcc_max_session_seconds="60")
        assert await post(f"{limited.url}/bot", {"do": "wait"}, headers) == (200, {})


async def test_an_envelope_holds_body_and_flow(pod: PodProcess) -> None:
    envelope = {"body": {"name": "Ada"}, "flow_config": FLOW}
    headers = named("enveloped", X_Pcc_Start_Envelope="1")
    assert await post(f"{pod.url}/bot", envelope, headers) == (200, {})
    call = await only_call(pod, "enveloped")
    assert (call["body"], call["flow_config"]) == ({"name": "Ada"}, FLOW)

    # Without the header the same is the bot's own body.
    assert await post(f"{pod.url}/bot", envelope, named("bare")) == (200, {})
    call = await only_call(pod, "bare")
    assert (call["body"], call["flow_config"]) == (envelope, None)


@pytest.mark.parametrize(
    ("version", "envelope"),
    [
        ("2", {"body": {}, "flow_config": FLOW}),
        ("", {"body": {}, "flow_config": FLOW}),
        ("1", {"flow_config": FLOW}),
        ("1", {"body": {}}),
        ("1", {"body": [], "flow_config": FLOW}),
        ("1", {"body": {}, "flow_config": " \n"}),
        ("1", {"body": {}, "flow_config": {"initial_node": "greet"}}),
    ],
)
async def test_a_broken_envelope_is_refused(
    pod: PodProcess, version: str, envelope: dict[str, object]
) -> None:
    headers = named("broken", X_Pcc_Start_Envelope=version)
    assert (await post(f"{pod.url}/bot", envelope, headers))[0] == 400
    assert await calls(pod, "broken") == []


async def test_the_flow_reaches_a_peer_that_was_invited(pod: PodProcess) -> None:
    headers = {
        "x-daily-transport-type": "webrtc",
        "x-daily-session-id": "guest",
        "X-Pcc-Start-Envelope": "1",
    }
    envelope = {"body": {"name": "Ada"}, "flow_config": FLOW}
    waiting = asyncio.create_task(post(f"{pod.url}/bot", envelope, headers))
    async with test_peer(pod.url) as peer:
        await until(lambda: is_busy(pod))
        assert (await peer.offer())[0] == 200
        call = await only_call(pod, "guest")
        assert (call["body"], call["flow_config"]) == ({"name": "Ada"}, FLOW)
        await peer.hears_and_sees()
    assert await waiting == (200, {})


async def test_moq_is_handed_to_the_bot(pod: PodProcess) -> None:
    relay = {"x-moq-relay-url": "https://relay.example/?jwt=moq-secret", "x-moq-namespace": "pcc/7"}
    headers = {"x-daily-transport-type": "moq", "x-daily-session-id": "moq"}
    for lacking in relay:
        given = {name: value for name, value in relay.items() if name != lacking}
        status, reply = await post(f"{pod.url}/bot", {}, headers | given)
        assert (status, f"without {lacking}" in reply["error"]) == (400, True)
    assert await post(f"{pod.url}/bot", {"name": "Ada"}, headers | relay) == (200, {})
    call = await only_call(pod, "moq")
    assert (call["kind"], call["body"]) == ("MOQRunnerArguments", {"name": "Ada"})
    assert (call["relay_url"], call["namespace"]) == tuple(relay.values())
    assert "moq-secret" not in pod.log.read_text()


async def test_a_socket_names_the_file_of_its_flow(pod: PodProcess) -> None:
    async def connect(name: str) -> tuple[int | None, str]:
        headers = {"X-Pcc-Flow-Config-File": name, "x-daily-session-id": f"socket {name}"}
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{pod.url}/ws", headers=headers) as ws,
        ):
            await ws.send_str("bye")
            message = await ws.receive()
            return ws.close_code, str(message.extra)

    assert (await connect("session.flow"))[0] == 1000
    assert (await only_call(pod, "socket session.flow"))["flow_config"] == FLOW
    for name in ("nobody.flow", "empty.flow", "../session.flow"):
        code, reason = await connect(name)
        assert (code, "flow" in reason.lower()) == (1011, True)
        assert await calls(pod, f"socket {name}") == []


def test_only_files_of_that_folder_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    for file in (tmp_path / "secret", folder / "sub" / "secret", folder / "good"):
        file.write_text(FLOW)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "bytes").write_bytes(b"\xff\xfe")
    (folder / "huge").write_text("x" * (MAX_FLOW_BYTES + 1))
    os.mkfifo(folder / "pipe")
    assert flow_file("good", folder) == FLOW
    assert flow_file(None, folder) is None
    (folder / "large").write_text("x" * MAX_FLOW_BYTES)
    assert flow_file("large", folder) == "x" * MAX_FLOW_BYTES
    outside = ["", ".", "..", "../secret", "sub/secret", str(tmp_path / "secret"), "a\\b", "sub"]
    for name in (*outside, "link", "bytes", "huge", "pipe", "none", "x" * 5000, "nul\0"):
        with pytest.raises(FlowUnreadable):
            flow_file(name, folder)
    with pytest.raises(FlowUnreadable, match="PCC_SESSION_FILES_DIR is not set"):
        flow_file("good", None)


async def is_busy(pod: PodProcess) -> bool:
    """Whether a session runs: a start is refused for that alone."""
    return (await post(f"{pod.url}/bot", {}, ROOM))[0] == 409


async def ended(pod: PodProcess, session_id: str) -> bool:
    told = await state(pod)
    return any(call["session_id"] == session_id and call["end"] for call in told["calls"])
