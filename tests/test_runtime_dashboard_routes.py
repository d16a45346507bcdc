"""The dashboard's routes without a browser: the cookie, who may ask, and which files are served."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.access import COOKIE, COOKIE_LASTS_S
from tests.control_plane import RunningPlane, running_plane, stub_agent
from tests.dashboard_visitor import STRANGER, state


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with one agent."""
    folder = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"stranger": stub_agent(folder / "agent", STRANGER)}) as running:
        yield running


def enter(plane: RunningPlane, **headers: str) -> str:
    """Sign in; gives the header that sets the cookie."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    entry = {"key": plane.private_key}
    answer = plane.ask("POST", "/dashboard/session", entry, key="", headers=named)
    assert answer.status == 200 and answer.json == {"signedIn": True}
    return str(answer.headers["set-cookie"])


def test_the_cookie_opens_requests_of_its_own_page_alone(plane: RunningPlane) -> None:
    cookie = enter(plane).split(";")[0]

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"cookie": cookie} | named
        return plane.ask("GET", "/dashboard/state", key="", headers=sent).status

    assert status() == status(sec_fetch_site="same-origin") == status(sec_fetch_site="none") == 200
    assert status(sec_fetch_site="cross-site") == status(sec_fetch_site="same-site") == 401
    assert status(origin="http://elsewhere.example") == status(origin="null") == 401
    assert status(origin=plane.url) == 200

    def signed_in() -> Any:
        sent = {"cookie": cookie}
        return plane.ask("GET", "/dashboard/session", key="", headers=sent).json["signedIn"]

    assert signed_in() is True
    left = plane.ask("DELETE", "/dashboard/session", key="", headers={"cookie": cookie})
    assert left.json == {"signedIn": False}
    assert re.match(rf'{COOKIE}="?"?;', left.headers["set-cookie"])
    assert status() == 401 and signed_in() is False


def test_the_cookie_is_secure_where_the_browser_came_over_https(plane: RunningPlane) -> None:
    plain = [part.strip().lower() for part in enter(plane).split(";")[1:]]
    assert {"httponly", "samesite=strict", "path=/"} <= set(plain)
    assert f"max-age={COOKIE_LASTS_S:.0f}" in plain
    assert "secure" not in plain
    assert not [part for part in plain if part.startswith("domain")]
    assert "secure" in enter(plane, x_forwarded_proto="https").lower()


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 7}, {"key": "x" * 201}, [], "key", None])
def test_a_sign_in_without_a_key_is_refused(plane: RunningPlane, body: Any) -> None:
    answer = plane.ask("POST", "/dashboard/session", body, key="")
    assert answer.status == 400 and answer.json["error"]
    assert "set-cookie" not in answer.headers


def test_a_sign_in_takes_a_private_key(plane: RunningPlane) -> None:
    for key, status in (("pcc_pat_made-up", 401), (plane.public_key, 403)):
        # A good key beside it changes nothing.
        answer = plane.ask("POST", "/dashboard/session", {"key": key})
        assert answer.status == status
        assert "set-cookie" not in answer.headers


def test_the_state_takes_a_private_key_and_tells_what_runs(plane: RunningPlane) -> None:
    assert plane.ask("GET", "/dashboard/state", key="").status == 401
    assert plane.ask("GET", "/dashboard/state", key=plane.public_key).status == 403
    session_id = plane.start_session("stranger")["sessionId"]
    told = state(plane)
    (agent,) = told["agents"]
    assert (agent["name"], agent["state"], agent["error"]) == ("stranger", "ready", None)
    assert agent["pods"]["claimed"] == 1 and agent["maxAgents"] == 10
    (session,) = told["sessions"]
    assert session["sessionId"] == session_id
    assert (session["state"], session["joined"]) == ("active", False)
    assert 0 <= session["ageSeconds"] < 30
    assert told["totals"]["sessions"] == agent["sessions"] == 1
    assert plane.private_key not in str(told) and plane.public_key not in str(told)


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/../api/dashboard.py",
        "/dashboard/%2e%2e/server.py",
        "/dashboard/..%2fserver.py",
        "/client/..%2f..%2fbot.py",
        "/client/%2e%2e/%2e%2e/bot.py",
        "/dashboard//etc/passwd",
        "/dashboard/%00",
        "/dashboard/",
        "/redoc",
    ],
)
def test_other_files_are_not_served(plane: RunningPlane, path: str) -> None:
    answer = plane.ask("GET", path, key="")
    assert answer.status == 404
    assert b"import" not in answer.content and b"root:" not in answer.content


@pytest.mark.parametrize("path", ["/", "/docs", "/client/", "/dashboard/dashboard.js"])
def test_pages_are_asked_for_anew_and_load_from_here_alone(plane: RunningPlane, path: str) -> None:
    answer = plane.ask("GET", path, key="")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    etag = {"if-none-match": answer.headers["etag"]}
    assert plane.ask("GET", path, key="", headers=etag).status == 304
    assert plane.ask("HEAD", path, key="").status == 200
    if answer.headers["content-type"].startswith("text/html"):
        # What the policy forbids, and would silently not work.
        inline = rb"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=\""
        assert not re.search(inline, answer.content)
