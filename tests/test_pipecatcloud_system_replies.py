"""Errors have one form, and say nothing that is not the caller's to know."""

import json
import re
from collections.abc import Iterator

import aiohttp
import pod_process
import pytest
from pod_process import PodProcess, post, raw, request


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path_factory.mktemp("pod"), "hasty") as process:
        yield process


async def test_a_route_that_raises_is_answered_with_an_error_id(pod: PodProcess) -> None:
    status, reply = await request("GET", f"{pod.url}/fail")
    assert (status, reply["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert re.fullmatch("[0-9a-f]{12}", reply["error_id"])
    assert "secret plan" not in json.dumps(reply)
    log = pod.log.read_text()
    assert log.count(reply["error_id"]) == 1
    assert log.count("RuntimeError: the secret plan failed") == 1


async def test_a_websocket_route_that_raises_closes_with_an_error_id(pod: PodProcess) -> None:
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{pod.url}/fail") as ws:
        message = await ws.receive()
        assert ws.close_code == 1011
        error_id = re.search("[0-9a-f]{12}", message.extra or "")
        assert error_id
    assert error_id[0] in pod.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("DELETE", "/count", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/bot", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_is_not_there(
    pod: PodProcess, method: str, path: str, status: int, code: str
) -> None:
    told, reply = await request(method, pod.url + path)
    assert (told, reply["code"]) == (status, code)
    assert reply["error"] == reply["detail"]


async def test_what_a_route_raises_on_purpose_is_passed_on(pod: PodProcess) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{pod.url}/teapot") as response:
        assert (response.status, response.headers["x-tea"]) == (418, "green")
        assert (await response.json())["detail"] == {"short": "and stout"}


async def test_a_wrong_body_is_not_repeated(pod: PodProcess) -> None:
    secret = "hush-hush" * 50_000
    status, reply = await post(f"{pod.url}/order", {"count": secret, "names": {secret: "x"}})
    assert (status, reply["code"]) == (422, "UNPROCESSABLE_ENTITY")
    assert reply["error"].startswith("body.count: ")
    assert [each["loc"][:2] for each in reply["detail"]] == [["body", "count"], ["body", "names"]]
    assert len(json.dumps(reply)) < 2_000
    assert '"input"' not in json.dumps(reply)


async def test_many_complaints_are_few(pod: PodProcess) -> None:
    body = {"count": 1, "names": {str(number): "x" for number in range(90)}}
    _, reply = await post(f"{pod.url}/order", body)
    assert len(reply["detail"]) == 10


@pytest.mark.parametrize("body", [b'{"count": "\\ud800"}', b'{"\\ud800": 1}', b"[" * 100_000, b""])
async def test_odd_bodies_can_be_answered(pod: PodProcess, body: bytes) -> None:
    status, reply = await request(
        "POST", f"{pod.url}/order", body, {"content-type": "application/json"}
    )
    assert status in (400, 422), reply
    assert reply["error"]


async def test_the_description_of_the_routes(pod: PodProcess) -> None:
    _, described = await request("GET", f"{pod.url}/openapi.json")
    offer = described["paths"]["/api/offer"]["post"]["requestBody"]["content"]
    assert "sdp" in offer["application/json"]["schema"]["properties"]
    assert "/order" in described["paths"]


async def test_a_client_that_leaves_mid_body_leaves_no_trace(pod: PodProcess) -> None:
    sent = b"POST /order HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{"
    await raw(pod.url, sent)
    assert "Traceback" not in pod.log.read_text().replace("the secret plan", "")[-500:]
