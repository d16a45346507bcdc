"""The dashboard in a real browser, against a real control plane and the real agent."""

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from conftest import ROOT, require

from runtime.access import COOKIE
from tests.control_plane import RunningPlane, running_plane, stub_agent
from tests.dashboard_visitor import (
    DESKTOP,
    PHONE,
    STRANGER,
    Operator,
    chromium,
    end_sessions,
    state,
)
from tests.page_visitor import until

VIEWS = ("live", "logs", "past")
WATCH_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.value)))
  .observe({ type: "layout-shift" })"""
AT_END = "(list) => list.scrollHeight - list.scrollTop - list.clientHeight < 40"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with this bundle's agent, and one that is a stranger."""
    folder = tmp_path_factory.mktemp("plane")
    agents = {"mouthpiece": ROOT, "stranger": stub_agent(folder / "stranger", STRANGER)}
    with running_plane(folder, agents) as running:
        yield running


@pytest.fixture(scope="module")
def browser(plane: RunningPlane) -> Iterator[Any]:
    """One for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def visit(plane: RunningPlane, browser: Any) -> Iterator[Callable[..., Operator]]:
    """Opens the dashboard in a browser profile of its own, signed in unless asked not to."""
    contexts = []

    def open_page(path: str = "/", signed_in: bool = True, **options: Any) -> Operator:
        context = browser.new_context(**options)
        contexts.append(context)
        visitor = Operator(context.new_page())
        visitor.watch()
        visitor.page.goto(plane.url + path)
        if signed_in:
            visitor.sign_in(plane.private_key)
            until(lambda: visitor.page.locator("#app").is_visible())
        return visitor

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def no_sessions(plane: RunningPlane) -> Iterator[None]:
    """No session runs, before the test and after it."""
    end_sessions(plane)
    yield
    end_sessions(plane)


def refreshed(visitor: Operator, times: int) -> None:
    """Wait until the dashboard has asked anew what runs, so many times."""
    for _ in range(times):
        with visitor.page.expect_response("**/dashboard/state"):
            pass


# --- signing in ------------------------------------------------------------------------------


def test_wrong_keys_are_explained_and_the_right_one_is_kept_nowhere(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    visitor = visit(signed_in=False)
    page = visitor.page
    until(lambda: page.locator("#door").is_visible())
    assert visitor.errors == []
    assert page.evaluate("document.activeElement.id") == "key"

    visitor.sign_in("nonsense")
    problem = until(lambda: visitor.text("key-problem"))
    assert "does not know that key" in problem and "pcc_pat_" in problem
    visitor.sign_in(plane.public_key)
    until(lambda: visitor.text("key-problem"), lambda text: "public key" in text)
    assert not page.locator("#app").is_visible()

    visitor.sign_in(plane.private_key)
    until(lambda: page.locator("#app").is_visible())
    kept = page.evaluate(
        "document.documentElement.outerHTML + document.getElementById('key').value"
        " + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)"
        " + document.cookie + location.href"
    )
    assert plane.private_key not in kept
    page.reload()
    until(lambda: page.locator("#app").is_visible())

    visitor.button("Sign out").click()
    until(lambda: page.locator("#door").is_visible())
    assert page.context.cookies() == []
    page.reload()
    until(lambda: page.locator("#door").is_visible())
    assert visitor.outside == []


def test_the_cookie_is_for_this_site_and_no_script(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    page = visit().page
    (cookie,) = page.context.cookies()
    assert cookie["name"] == COOKIE
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert not cookie["secure"]
    assert page.evaluate("document.cookie") == ""


# --- what runs -------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sessions")
def test_a_session_is_started_seen_talking_followed_and_stopped(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    visitor = visit(**DESKTOP)
    page = visitor.page
    assert page.locator("#no-sessions").is_visible()
    visitor.start("mouthpiece")
    (row,) = until(visitor.rows)
    session_id = state(plane)["sessions"][0]["sessionId"]
    assert session_id[:8] in row and "mouthpiece · webrtc" in row

    frame = visitor.conversation()
    visitor.sees_it_move()
    words = "#captions [data-who=agent] .sentence > :not(.coming)"
    until(lambda: frame.locator(words).count() > 2)
    until(lambda: "Live" in visitor.rows()[0] and "you" in visitor.rows()[0])

    # Its use is measured, and drawn.
    spark = page.locator("#session-rows [data-of=cpu]")
    until(lambda: spark.locator("output").inner_text(), lambda text: text.endswith(" %"))
    assert spark.locator("polyline").get_attribute("points").count(",") >= 2

    # The conversation goes on while the logs are looked at, and after a reload.
    visitor.button(f"Logs of session {session_id[:8]}").click()
    lines = page.locator("#lines [data-level]")
    until(lines.count)
    assert set(page.locator("#lines .who").all_inner_texts()) == {session_id[:8]}
    visitor.sees_it_move()
    before, said = lines.count(), frame.locator(words).count()
    frame.get_by_label("Message to the agent").fill("Tell me a story")
    page.keyboard.press("Enter")
    until(frame.locator(words).count, lambda now: now > said)
    # An answer need not be logged, a request always is.
    assert plane.ask("GET", f"/v1/public/mouthpiece/sessions/{session_id}/status").status == 200
    until(lines.count, lambda now: now > before)
    page.reload()
    visitor.sees_it_move()
    page.goto(f"{plane.url}/#live")

    stop = visitor.button(f"Stop session {session_id[:8]}")
    stop.click()
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible() and session_id[:8] in dialog.inner_text()
    visitor.button("Keep it running").click()
    assert plane.session("mouthpiece", session_id)["endState"] == "active"
    stop.click()
    visitor.button("Stop the session").click()
    until(visitor.rows, lambda shown: shown == [])
    until(lambda: page.locator("#talk-over").is_visible())
    assert plane.session("mouthpiece", session_id)["endState"] == "terminated"

    visitor.button("Leave").click()
    page.get_by_role("link", name="Past").click()
    (ended,) = until(
        lambda: [
            each
            for each in page.locator("#past-rows tr").all_inner_texts()
            if session_id[:8] in each
        ]
    )
    assert "Stopped" in ended and "mouthpiece · webrtc" in ended
    assert visitor.outside == [] and not [e for e in visitor.errors if "Content Security" in e]


@pytest.mark.usefixtures("no_sessions")
def test_the_command_that_an_empty_dashboard_shows_starts_a_session(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    require("curl", "apt install curl")
    visitor = visit()
    page = visitor.page
    command = until(lambda: page.locator("#curl").inner_text())
    ran = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"PUBLIC_KEY": plane.public_key},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    (row,) = until(visitor.rows)
    session_id = state(plane)["sessions"][0]["sessionId"]
    assert session_id in ran.stdout and session_id[:8] in row
    assert not page.locator("#no-sessions").is_visible()

    # Nobody is in it yet: it can be joined from here, and left.
    visitor.button(f"Join session {session_id[:8]}").click()
    visitor.sees_it_move()
    visitor.button("Leave").click()
    until(visitor.rows, lambda shown: shown == [])
    assert plane.session("mouthpiece", session_id)["endState"] == "completed"
    visitor.is_clean()


@pytest.mark.usefixtures("no_sessions")
def test_logs_follow_pause_and_can_be_searched(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    session_id = plane.start_session("stranger")["sessionId"]
    other_id = plane.start_session("stranger")["sessionId"]

    def say(words: str, session: str = session_id) -> None:
        path = f"/v1/public/stranger/sessions/{session}/say?words={quote(words)}"
        assert plane.ask("GET", path).status == 200

    visitor = visit("/#logs")
    page = visitor.page
    say("<b>first & foremost</b>")
    text = page.locator("#lines .text")
    until(lambda: "<b>first & foremost</b>" in text.all_inner_texts())
    warning = page.locator("#lines li", has_text="first & foremost")
    assert warning.get_attribute("data-level") == "WARNING"

    page.locator("#log-session").select_option(session_id)
    say("of the other", other_id)
    say("of this one")
    until(lambda: "of this one" in text.all_inner_texts())
    assert "of the other" not in text.all_inner_texts()

    pause = page.locator("#log-pause")
    pause.click()
    assert pause.get_attribute("aria-pressed") == "true" and pause.inner_text() == "Resume"
    say("while nobody looks")
    refreshed(visitor, 2)
    assert "while nobody looks" not in text.all_inner_texts()
    pause.click()
    until(lambda: "while nobody looks" in text.all_inner_texts())

    for number in range(60):
        say(f"line {number}")
    until(lambda: "line 59" in text.all_inner_texts())
    lines = page.locator("#lines")
    until(lambda: lines.evaluate(AT_END))
    lines.evaluate("(list) => (list.scrollTop = 0)")
    say("below the fold")
    until(lambda: "below the fold" in text.all_inner_texts())
    assert lines.evaluate("(list) => list.scrollTop") == 0
    visitor.button("Newest lines").click()
    until(lambda: lines.evaluate(AT_END))

    page.get_by_label("Text that a line holds").fill("line 41")
    until(lambda: text.all_inner_texts(), lambda shown: shown == ["line 41"])
    visitor.is_clean()


@pytest.mark.usefixtures("no_sessions")
def test_a_refresh_moves_nothing_and_takes_no_focus(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    visitor = visit(**DESKTOP)
    session_id = plane.start_session("stranger")["sessionId"]
    until(visitor.rows)
    stop = visitor.button(f"Stop session {session_id[:8]}")
    stop.focus()
    visitor.page.evaluate(WATCH_SHIFTS)
    refreshed(visitor, 4)
    assert visitor.page.evaluate("window.shifts") == []
    assert stop.evaluate("(button) => button === document.activeElement")
    visitor.is_clean()


@pytest.mark.usefixtures("no_sessions")
def test_troubles_are_told(plane: RunningPlane, visit: Callable[..., Operator]) -> None:
    visitor = visit()
    page = visitor.page
    page.context.route("**/dashboard/state", lambda route: route.abort())
    until(lambda: visitor.text("connection"), lambda text: "No answer" in text)
    page.context.unroute("**/dashboard/state")
    until(lambda: visitor.text("connection"), lambda text: text == "Up to date")

    def refuse(route: Any) -> None:
        route.fulfill(status=429, json={"error": "All pods are taken", "code": "429"})

    page.context.route("**/v1/public/stranger/start", refuse)
    visitor.start("stranger")
    refusal = "stranger could not be started: All pods are taken"
    until(lambda: visitor.text("notice"), lambda notice: refusal in notice)
    visitor.button("Dismiss").click()
    assert not page.locator("#notice").is_visible()

    page.context.clear_cookies()
    until(lambda: page.locator("#door").is_visible())
    assert "Sign in again" in visitor.text("key-problem")


# --- everybody can use it --------------------------------------------------------------------


@pytest.mark.usefixtures("no_sessions")
def test_a_phone_shows_everything_and_scrolls_one_way(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    plane.start_session("stranger")
    visitor = visit(**PHONE)
    page = visitor.page
    until(visitor.rows)
    for view in VIEWS:
        page.locator(f'nav a[href="#{view}"]').click()
        until(lambda view=view: page.locator(f"#view-{view}").is_visible())
        assert visitor.overflow() == 0, view
        # A line's session can be chosen above the lines, too.
        for button in page.locator("button:visible:not(.who), nav a:visible").all():
            box = button.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390, button.inner_text()
            assert box["height"] >= 40, button.inner_text()

    page.locator('nav a[href="#live"]').click()
    visitor.start("mouthpiece")
    visitor.sees_it_move()
    frame = page.locator("#talk-frame iframe").bounding_box()
    assert frame["width"] == 390 and frame["height"] > 600
    visitor.button("Hide").click()
    assert page.get_by_role("heading", name="Live").is_visible()
    visitor.sees_it_move()
    assert visitor.overflow() == 0
    visitor.button("Show").click()
    visitor.button("Leave").click()
    assert not page.locator("#talk").is_visible()

    visitor.is_clean()


@pytest.mark.usefixtures("no_sessions")
def test_every_control_has_a_name_and_can_be_reached_by_keyboard(
    plane: RunningPlane, visit: Callable[..., Operator]
) -> None:
    session_id = plane.start_session("stranger")["sessionId"]
    visitor = visit(reduced_motion="reduce")
    page = visitor.page
    until(visitor.rows)
    devtools = page.context.new_cdp_session(page)
    for view in VIEWS:
        page.goto(f"{plane.url}/#{view}")
        tree = devtools.send("Accessibility.getFullAXTree")
        controls = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node["ignored"]
            and node["role"]["value"] in ("button", "link", "textbox", "searchbox", "combobox")
        ]
        assert controls and all(name for _, name in controls), controls
    assert page.evaluate("document.getAnimations().length") == 0

    page.goto(f"{plane.url}/#live")
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        name, ring = page.evaluate(
            "(() => { const at = document.activeElement;"
            " if (at === document.body) return ['', 'the page itself'];"
            " return [at.ariaLabel ?? at.innerText, getComputedStyle(at).boxShadow]; })()"
        )
        assert ring != "none", f"the focus on {name!r} cannot be seen"
        reached.add(name.strip())
    assert {"Skip to the content", "Live", "Logs", "Past", "API", "Sign out"} <= reached
    assert {f"Logs of session {session_id[:8]}", f"Stop session {session_id[:8]}"} <= reached

    visitor.button(f"Stop session {session_id[:8]}").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "Keep it running"
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    focused = page.evaluate("document.activeElement.ariaLabel")
    assert focused == f"Stop session {session_id[:8]}"
    visitor.is_clean()
