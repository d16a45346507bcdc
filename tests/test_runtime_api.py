"""A control plane over HTTP: sessions started, and each request led to the pod that holds it."""

import asyncio
import hashlib
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from control_plane import Answer, RunningPlane, running_plane, stub_agent, wait_until

UNKNOWN = "00000000-0000-0000-0000-000000000000"
LARGE_BYTES = 100_000_000
MAY_GROW_BYTES = 30_000_000
"""What a control plane may grow by while it forwards a hundred million bytes."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    folder = tmp_path_factory.mktemp("plane")
    agents = {name: stub_agent(folder / name) for name in ("stub", "sessions")}
    with running_plane(folder, agents, STUB_SECRET="from the operator") as running:
        yield running


@pytest.fixture(scope="module")
def session(plane: RunningPlane) -> str:
    """A session for all tests that only ask something of it."""
    return str(plane.start_session("stub")["sessionId"])


def path_of(session_id: str, rest: str, agent: str = "stub") -> str:
    return f"/v1/public/{agent}/sessions/{session_id}/{rest}"


# --- forwarded -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_reaches_the_pod(plane: RunningPlane, session: str, method: str) -> None:
    body = b"\0\xff" * 50_000 if method in ("POST", "PUT", "PATCH", "DELETE") else None
    target = path_of(session, "echo/a%20b/%C3%A4?q=1&q=%2F")
    answer = plane.ask(method, target, body, plane.public_key)
    assert answer.status == (201 if method == "PUT" else 200)
    assert answer.headers["x-stub"] == "yes"
    if method == "HEAD":
        assert answer.content == b""
        assert int(answer.headers["content-length"]) > 0
        return
    told = answer.json
    assert told["method"] == method
    assert told["raw_path"] == "/echo/a%20b/%C3%A4"
    assert told["query"] == "q=1&q=%2F"
    assert told["sha256"] == hashlib.sha256(body or b"").hexdigest()


def test_each_session_has_a_pod_of_its_own(plane: RunningPlane) -> None:
    sessions = [plane.start_session("stub")["sessionId"] for _ in range(3)]
    told = {each: plane.ask("GET", path_of(each, "echo/")).json["pid"] for each in sessions}
    pods = plane.pods()
    assert told == {each: pods[each] for each in sessions}
    assert len(set(told.values())) == 3


def test_keys_and_cookies_go_neither_way(plane: RunningPlane, session: str) -> None:
    headers = {
        "cookie": "mouthpiece_dashboard=hush",
        "x-daily-session-id": UNKNOWN,
        "x-once": "hush",
        "connection": "x-once",
        "x-own": "yes",
    }
    answer = plane.ask("GET", path_of(session, "echo/"), None, plane.public_key, headers)
    told = answer.json["headers"]
    assert told["x-own"] == "yes"
    assert not {"cookie", "authorization", "x-daily-session-id", "x-once"} & set(told)
    assert plane.public_key not in answer.content.decode()
    for name in ("set-cookie", "server", "refresh"):
        assert name not in answer.headers


def test_an_agents_page_is_in_the_sandbox(plane: RunningPlane, session: str) -> None:
    answer = plane.ask("GET", path_of(session, "page"), None, plane.public_key)
    assert answer.content == b"<p>stub</p>"
    (policy,) = answer.headers.get_all("content-security-policy") or []
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "default-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_redirects_lead_back_to_the_session(plane: RunningPlane, session: str) -> None:
    for to, leads in (
        ("/page?a=b", path_of(session, "page?a=b")),
        ("http://localhost/page", path_of(session, "page")),
        ("https://example.org/page", "https://example.org/page"),
    ):
        answer = plane.ask("GET", path_of(session, f"go?to={to}"), None, plane.public_key)
        assert (answer.status, answer.headers["location"]) == (307, leads)


# --- streamed ------------------------------------------------------------------------------------


def test_a_large_answer_is_streamed(plane: RunningPlane, session: str) -> None:
    process = psutil.Process(plane.process.pid)
    before = most = process.memory_info().rss
    connection, response = _large(plane, session, LARGE_BYTES)
    count = 0
    while piece := response.read(1_000_000):
        count += len(piece)
        most = max(most, process.memory_info().rss)
    connection.close()
    assert count == LARGE_BYTES
    assert most - before < MAY_GROW_BYTES


def test_nothing_is_read_that_the_client_does_not_take(plane: RunningPlane, session: str) -> None:
    process, pod = psutil.Process(plane.process.pid), psutil.Process(plane.pods()[session])
    before = process.memory_info().rss
    connection, response = _large(plane, session, 10 * LARGE_BYTES)
    response.read(1)
    used: list[float] = []

    def rests() -> bool:
        # Nobody moves a byte any more: neither the control plane nor the pod.
        used.append(process.cpu_times().user + pod.cpu_times().user)
        return len(used) > 5 and used[-1] == used[-5]

    wait_until(rests)
    assert process.memory_info().rss - before < MAY_GROW_BYTES
    connection.close()
    # And who leaves in the middle holds nothing up.
    assert plane.ask("GET", path_of(session, "echo/"), None, plane.public_key).status == 200


def _large(plane: RunningPlane, session: str, count: int) -> tuple[Any, http.client.HTTPResponse]:
    address = urlsplit(plane.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    target = path_of(session, f"large?pieces={count // 100_000}")
    connection.request("GET", target, headers={"authorization": f"Bearer {plane.public_key}"})
    response = connection.getresponse()
    assert response.status == 200
    return connection, response


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_large_request_is_refused_by_the_pod_at_once(
    plane: RunningPlane, session: str, announced: bool
) -> None:
    """Only two of the hundred million bytes are sent before the pod's answer is waited for."""
    process = psutil.Process(plane.process.pid)
    before = process.memory_info().rss
    length = f"content-length: {LARGE_BYTES}" if announced else "transfer-encoding: chunked"
    piece = bytes(100_000) if announced else b"186a0\r\n" + bytes(100_000) + b"\r\n"
    address = urlsplit(plane.url)
    for _ in range(10):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            f"POST {path_of(session, 'echo/')} HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {plane.public_key}\r\n{length}\r\n\r\n"
        )
        writer.write(head.encode())
        for _ in range(20):
            writer.write(piece)
        async with asyncio.timeout(10):
            status = await reader.readline()
        assert b" 413 " in status, status
        writer.close()
    assert process.memory_info().rss - before < MAY_GROW_BYTES
    answer = await asyncio.to_thread(plane.ask, "GET", path_of(session, "echo/"))
    assert answer.status == 200


# --- refused -------------------------------------------------------------------------------------


def _refusal(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.content
    told = dict(answer.json)
    assert told["error"] == told["detail"]
    assert isinstance(told["code"], str)
    return told


@pytest.mark.parametrize(
    "path", ["bot", "ws", "whatsapp", "readyz", "livez", "pcc/capabilities", "BOT", "%62ot/a"]
)
def test_the_pods_own_paths_are_refused(plane: RunningPlane, session: str, path: str) -> None:
    _refusal(plane.ask("POST", path_of(session, path), {}, plane.public_key), 403)


@pytest.mark.parametrize(
    "path", ["echo/../bot", "%2e%2e/%2e%2e/x", "a%2fb", "a//b", "..%2f..%2fbot", "a%5cb", "%00"]
)
def test_paths_with_two_meanings_are_refused(plane: RunningPlane, session: str, path: str) -> None:
    _refusal(plane.ask("GET", path_of(session, path), None, plane.public_key), 400)


@pytest.mark.parametrize(
    "target",
    [
        "/v1%2Fpublic/stub/sessions/{}/echo",
        "/v1/public/stub%2Fsessions/{}/echo",
        "/v1/public/stub/sessions%2F{}/echo",
        "/v1/public/stub/sessions/{}%2Fecho",
    ],
)
def test_slashes_that_are_written_otherwise_lead_nowhere(
    plane: RunningPlane, session: str, target: str
) -> None:
    answer = plane.ask("GET", target.format(session), None, plane.public_key)
    assert answer.status in (400, 404), answer.content


def test_the_log_holds_no_sign_that_does_something(plane: RunningPlane) -> None:
    assert plane.ask("GET", "/v1/%1b[2J%0d%00%7f%0a").status == 404
    wait_until(lambda: b"[2J" in plane.log.read_bytes())
    assert not set(plane.log.read_bytes()) & ({*range(32), 127} - {ord("\n")})


def test_sessions_that_are_not_there(plane: RunningPlane, session: str) -> None:
    _refusal(plane.ask("GET", path_of(UNKNOWN, "echo/")), 404)
    _refusal(plane.ask("GET", path_of(session, "echo/", "sessions")), 404)
    _refusal(plane.ask("GET", path_of(session, "echo/", "nobody")), 404)
    ended = str(plane.start_session("stub")["sessionId"])
    stop = f"/v1/organizations/local/services/stub/sessions/{ended}"
    assert plane.ask("DELETE", stop).status == 200
    assert "ended" in _refusal(plane.ask("GET", path_of(ended, "echo/")), 410)["error"]
    assert plane.session("stub", ended)["endState"] == "terminated"
    _refusal(plane.ask("DELETE", stop), 400)


def test_no_key_no_answer(plane: RunningPlane, session: str) -> None:
    for key in ("", "pk_wrong"):
        _refusal(plane.ask("GET", path_of(session, "echo/"), None, key), 401)
        _refusal(plane.ask("POST", "/v1/public/stub/start", {}, key), 401)


def test_at_capacity_the_client_is_told_when_to_try_again(plane: RunningPlane) -> None:
    plane.deploy("sessions", autoScaling={"minAgents": 1, "maxAgents": 1})
    first = plane.start_session("sessions")["sessionId"]
    answer = plane.ask("POST", "/v1/public/sessions/start", {}, plane.public_key)
    assert _refusal(answer, 429)["code"] == "PCC-AGENT-AT-CAPACITY"
    assert int(answer.headers["retry-after"]) >= 1
    socket_start = {"transport": "websocket"}
    answer = plane.ask("POST", "/v1/public/sessions/start", socket_start, plane.public_key)
    assert _refusal(answer, 429)["code"] == "PCC-AGENT-AT-CAPACITY"
    # As soon as the first has ended there is room.
    stop = f"/v1/organizations/local/services/sessions/sessions/{first}"
    assert plane.ask("DELETE", stop).status == 200
    plane.start_session("sessions")


@pytest.mark.parametrize(("transport", "limit"), [("webrtc", 1_000_000), ("websocket", 4_096)])
def test_a_body_has_its_limit(plane: RunningPlane, transport: str, limit: int) -> None:
    for extra, status in ((0, 200), (1, 413)):
        body = {"a": "x" * (limit - len('{"a": ""}') + extra)}
        assert len(json.dumps(body)) == limit + extra
        wanted = {"transport": transport, "body": body}
        answer = plane.ask("POST", "/v1/public/stub/start", wanted, plane.public_key)
        assert answer.status == status, answer.content[:300]


@pytest.mark.parametrize("agent", ["stub", "sessions"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_without_end_is_not_read(
    plane: RunningPlane, agent: str, announced: bool
) -> None:
    """From somebody without a key, for an agent whose name may look like a part of the path."""
    length = f"content-length: {LARGE_BYTES}" if announced else "transfer-encoding: chunked"
    piece = b"" if announced else b"186a0\r\n" + bytes(100_000) + b"\r\n"
    address = urlsplit(plane.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /v1/public/{agent}/start HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n"
    writer.write(head.encode() + piece * 40)
    async with asyncio.timeout(4):
        status = await reader.readline()
    assert b" 401 " in status or b" 413 " in status, status
    writer.close()


def test_a_start_that_makes_no_sense_is_refused(plane: RunningPlane) -> None:
    for wanted in ({"transport": "pigeon"}, {"body": []}, {"flow_config": ""}, b"[1]", b"{"):
        headers = {"content-type": "application/json"}
        answer = plane.ask("POST", "/v1/public/stub/start", wanted, plane.public_key, headers)
        _refusal(answer, 400)
    _refusal(plane.ask("POST", "/v1/public/nobody/start", {}, plane.public_key), 404)
    # Daily rooms take a key.
    daily = {"createDailyRoom": True}
    answer = plane.ask("POST", "/v1/public/stub/start", daily, plane.public_key)
    assert "DAILY_API_KEY" in _refusal(answer, 400)["error"]
