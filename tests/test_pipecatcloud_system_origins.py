"""Who may ask: names the pod is called by, pages that may use it, what browsers are told."""

from collections.abc import Iterator

import aiohttp
import pod_process
import pytest
from pod_process import PodProcess, post, raw, request
from starlette.types import Message, Receive, Scope, Send

from pipecatcloud_system.origins import HostGuard, is_loopback


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path_factory.mktemp("pod")) as process:
        yield process


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:80"]
)
async def test_names_of_loopback_are_right(pod: PodProcess, name: str) -> None:
    assert (await request("GET", f"{pod.url}/livez", headers={"host": name}))[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "rebound.example",
        "rebound.example:8080",
        "localhost.rebound.example",
        "localhost@rebound.example",
        "rebound.example@localhost",
        "localhost/rebound.example",
        "localhost#",
        "127.0.0.1.rebound.example",
        "192.0.2.1",
        "[::1",
        "",
    ],
)
async def test_other_names_are_refused(pod: PodProcess, name: str) -> None:
    for method, path in (("GET", "/livez"), ("GET", "/state"), ("POST", "/count")):
        status, reply = await request(method, pod.url + path, headers={"host": name})
        assert (status, reply["code"]) == (403, "FORBIDDEN")
        assert "PIPECAT_ALLOWED_HOSTS" in reply["error"]
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{pod.url}/ws", headers={"host": name})
        assert refused.value.status == 403


async def test_no_browser_leaves_its_host_out(pod: PodProcess) -> None:
    assert b" 200 " in (await raw(pod.url, b"GET /livez HTTP/1.0\r\n\r\n"))[:20]


@pytest.mark.parametrize(
    ("listens_on", "allowed", "called", "right"),
    [
        ("0.0.0.0", (), "anything.example", True),
        ("0.0.0.0", ("agent.example",), "agent.example:8080", True),
        ("0.0.0.0", ("agent.example",), "anything.example", False),
        ("0.0.0.0", ("agent.example",), "localhost:8080", True),
        ("0.0.0.0", ("agent.example",), "10.1.2.3:8080", True),
        ("0.0.0.0", ("agent.example",), "10.1.2.4:8080", False),
        ("127.0.0.1", ("agent.example",), "agent.example", True),
        ("127.0.0.1", ("*",), "anything.example", True),
        ("127.0.0.1", (), "agent.example", False),
    ],
)
async def test_elsewhere_every_name_is_right_unless_some_are_given(
    listens_on: str, allowed: tuple[str, ...], called: str, right: bool
) -> None:
    reached: list[str] = []

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def send(_: Message) -> None:
        pass

    scope = {
        "type": "http",
        "path": "/",
        "headers": [(b"host", called.encode())],
        "server": ("10.1.2.3", 8080),
    }
    await HostGuard(route, listens_on, allowed)(scope, None, send)  # type: ignore[arg-type]
    assert bool(reached) is right


def test_what_loopback_is() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"origin": "file://"},
        {"origin": "http://user@127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_other_pages_are_kept_out(pod: PodProcess, headers: dict[str, str]) -> None:
    for path in ("/bot", "/api/offer", "/count"):
        status, reply = await post(pod.url + path, b"{}", headers)
        assert (status, reply["code"]) == (403, "FORBIDDEN")
    assert (await request("DELETE", f"{pod.url}/count", headers=headers))[0] == 403
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(f"{pod.url}/ws", headers=headers)


async def test_its_own_page_and_programs_may_use_it(pod: PodProcess) -> None:
    port = pod.url.rpartition(":")[2]
    for headers in (
        {},
        {"origin": pod.url},
        {"origin": f"http://localhost:{port}", "host": f"LocalHost:{port}"},
        {"origin": "https://localhost", "host": "localhost"},
        {"origin": "http://rewritten.example", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ):
        assert (await post(f"{pod.url}/count", b"abc", headers))[0] == 200, headers


async def test_what_browsers_are_told(pod: PodProcess) -> None:
    async with aiohttp.ClientSession() as client:
        for path in ("/livez", "/nothing"):
            async with client.get(pod.url + path) as response:
                headers = response.headers
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "no-referrer"
                assert headers["content-security-policy"] == "frame-ancestors 'self'"
                assert "server" not in headers
                assert "access-control-allow-origin" not in headers
