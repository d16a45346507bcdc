"""An agent's own page in the browser of an operator who is signed in reads and does nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.control_plane import ORGANIZATION, RunningPlane, running_plane, stub_agent
from tests.dashboard_visitor import STRANGER, Operator, chromium, state
from tests.page_visitor import until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with one agent."""
    folder = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"stranger": stub_agent(folder / "agent", STRANGER)}) as running:
        yield running


@pytest.fixture(scope="module")
def browser(plane: RunningPlane) -> Iterator[Any]:
    """The operator's."""
    with chromium() as running:
        yield running


def test_an_agents_page_reads_nothing_and_does_nothing(plane: RunningPlane, browser: Any) -> None:
    session_id = plane.start_session("stranger")["sessionId"]
    page = browser.new_context().new_page()
    page.goto(plane.url)
    Operator(page).sign_in(plane.private_key)
    until(page.locator("#app").is_visible)
    stop = f"{ORGANIZATION}/services/stranger/sessions/{session_id}"
    answer = page.goto(f"{plane.url}/v1/public/stranger/sessions/{session_id}/prize?stop={stop}")
    assert answer.status == 200
    told = until(page.title, lambda title: title.startswith("{"))
    attempts = json.loads(told)
    # What is sent without asking for leave gives an answer that cannot be read.
    assert not attempts.pop("sent").removeprefix("no: TypeError")
    assert len(attempts) == 5
    assert all(outcome.startswith("no: ") for outcome in attempts.values()), attempts

    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win a prize").click()
    assert navigation.value.status == 401
    sessions = state(plane)["sessions"]
    assert [each["sessionId"] for each in sessions] == [session_id]
