"""Who may call what: the table of the documentation, the routes' own word, and what they do."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import RunningPlane, running_plane, stub_agent

TABLE = Path(__file__).parents[1] / "docs" / "runtime.md"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with a stub agent."""
    folder = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"stub": stub_agent(folder / "stub")}) as plane:
        yield plane


def _asked(url: str, method: str, key: str | None, body: bytes = b"{}") -> int:
    request = urllib.request.Request(url, method=method)
    if method not in ("GET", "HEAD", "DELETE"):
        request.data = body
        request.add_header("content-type", "application/json")
    if key is not None:
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def _described(plane: RunningPlane) -> dict[tuple[str, str], str]:
    """Of each route: who may call it, as /openapi.json tells."""
    import json

    with urllib.request.urlopen(f"{plane.url}/openapi.json") as response:
        document = json.load(response)
    told = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = [name for each in operation.get("security", []) for name in each]
            told[method.upper(), path] = names[0] if names else "anyone"
    return told


def _table() -> dict[tuple[str, str], str]:
    rows = re.findall(
        r"^\| (anyone|public|private) \| `([^`]+)` \| (.+) \|$", TABLE.read_text(), re.M
    )
    return {(method, path): who for who, path, methods in rows for method in methods.split(", ")}


def _url(plane: RunningPlane, path: str) -> str:
    values: dict[str, Any] = {"agent": "stub", "organization": "local", "name": "stub", "path": "x"}
    return plane.url + re.sub(r"\{(\w+)(?::path)?\}", lambda m: values.get(m[1], UNKNOWN), path)


def test_the_table_of_who_may_call_what_is_whole(plane: RunningPlane) -> None:
    assert _table() == _described(plane)


def test_every_route_asks_for_the_key_that_the_table_names(plane: RunningPlane) -> None:
    wrong = "pcc_pat_" + "x" * 43
    for (method, path), who in _table().items():
        if path.startswith("/dashboard/session") or (
            method == "DELETE" and path.endswith("{name}")
        ):
            continue
        url = _url(plane, path)
        answers = {
            "none": _asked(url, method, None),
            "wrong": _asked(url, method, wrong),
            "public": _asked(url, method, plane.public_key),
            "private": _asked(url, method, plane.private_key),
        }
        refused = {name for name, status in answers.items() if status in (401, 403, 429)}
        expected = {
            "anyone": set(),
            "public": {"none", "wrong"},
            "private": {"none", "wrong", "public"},
        }[who]
        assert refused == expected, (method, path, answers)
        assert not any(status >= 500 for status in answers.values()), (method, path, answers)


def test_a_stranger_is_refused_before_his_body_is_read(plane: RunningPlane) -> None:
    url = f"{plane.url}/v1/public/stub/start"
    # 429 where others have tried wrong keys too often; what is wrong with the body is not told.
    assert _asked(url, "POST", None, b"{no json") in (401, 429)
    assert _asked(url, "POST", plane.public_key, b"{no json") == 400


def test_pages_of_allowed_origins_may_ask_and_no_others(tmp_path: Path) -> None:
    agents = {"stub": stub_agent(tmp_path / "stub")}
    path = "/v1/public/stub/start"
    wanted = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    with running_plane(tmp_path, agents, RUNTIME_ALLOWED_ORIGINS="https://a.example") as plane:
        for origin, allowed in (("https://a.example", True), ("https://b.example", False)):
            headers = {"origin": origin, **wanted}
            answer = plane.ask("OPTIONS", path, key="", headers=headers)
            told = answer.headers["access-control-allow-origin"]
            assert (answer.status, told) == ((200, origin) if allowed else (400, None))
        reply = plane.ask("POST", path, {}, plane.public_key, {"origin": "https://a.example"})
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        session = f"/v1/public/stub/sessions/{reply.json['sessionId']}/echo"
        answer = plane.ask(
            "GET", session, key=plane.public_key, headers={"origin": "https://b.example"}
        )
        assert answer.headers["access-control-allow-origin"] is None
        assert answer.headers.get_all("referrer-policy") == ["no-referrer"]
        # A page whose name was pointed at this machine.
        assert plane.ask("GET", "/livez", key="", headers={"host": "b.example"}).status == 400


def test_wrong_keys_are_slowed_down(plane: RunningPlane) -> None:
    url = f"{plane.url}/v1/organizations"
    statuses = [_asked(url, "GET", f"pk_{number}") for number in range(40)]
    assert statuses[0] in (401, 429)
    assert statuses[-1] == 429
    assert _asked(url, "GET", plane.private_key) == 200
