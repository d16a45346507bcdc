"""Pipecat's own browser client against the control plane: startBotAndConnect, in Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from tests.control_plane import ORGANIZATION, RunningPlane, running_plane
from tests.dashboard_visitor import DESKTOP, chromium
from tests.page_visitor import Visitor, until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with this bundle's agent."""
    folder: Path = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"mouthpiece": ROOT}) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for all tests."""
    with chromium() as running:
        yield running


def _visitor(browser: Any, plane: RunningPlane, key: str) -> Visitor:
    visitor = Visitor(browser.new_context(**DESKTOP).new_page())
    visitor.watch()
    visitor.page.goto(f"{plane.url}/client/?start=/v1/public/mouthpiece/start#key={key}")
    return visitor


def test_a_session_is_started_seen_heard_interrupted_and_left(
    plane: RunningPlane, browser: Any
) -> None:
    visitor = _visitor(browser, plane, plane.public_key)
    visitor.connect()
    visitor.sees_the_face_move()
    visitor.hears_something()
    listed = f"{ORGANIZATION}/services/mouthpiece/sessions"
    (session,) = plane.ask("GET", f"{listed}?endState=active").json["sessions"]
    assert session["transport"] == "webrtc"

    until(lambda: visitor.text("state"), lambda state: state == "Speaking")
    visitor.button("Interrupt").click()
    until(lambda: visitor.text("state"), lambda state: state == "Connected", within_s=3)
    visitor.button("Disconnect").click()
    until(
        lambda: plane.session("mouthpiece", session["sessionId"])["endState"],
        lambda state: state == "completed",
    )
    visitor.is_clean()
    visitor.leave()


def test_a_wrong_key_is_told_of(plane: RunningPlane, browser: Any) -> None:
    visitor = _visitor(browser, plane, "pk_wrong")
    visitor.button("Connect").click()
    until(lambda: visitor.text("problem-words"), lambda words: "Unauthorized" in words)
    assert visitor.text("state") == "Not connected"
    visitor.leave()
