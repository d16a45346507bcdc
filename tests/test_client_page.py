"""The page at /client in a real browser, against the real agent, with every other host shut off."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningPod

from tests.page_visitor import AGENT_SAYS, Visitor, browsers, until

FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
PHONE = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
CONTROLS = ("button", "textbox", "log", "Video")


@pytest.fixture(scope="module")
def chromium(pod: RunningPod) -> Iterator[Callable[..., Any]]:
    """Starts browsers by their extra flags; one process for each set of flags."""
    with browsers() as start:
        yield start


@pytest.fixture
def visit(pod: RunningPod, chromium: Callable[..., Any]) -> Iterator[Callable[..., Visitor]]:
    """Opens the page in a tab of its own; all tabs are closed after the test."""
    visitors = []

    def open_page(*flags: str, stt: str | None = None, **options: Any) -> Visitor:
        context = chromium(*flags).new_context(**options)
        visitor = Visitor(context.new_page())
        visitors.append(visitor)
        visitor.watch()
        if stt is not None:
            _pretend_to_hear(context, stt)
        visitor.page.goto(f"{pod.url}/client/")
        return visitor

    yield open_page
    for visitor in visitors:
        visitor.leave()


def _pretend_to_hear(context: Any, stt: str) -> None:
    """Let /status name a speech-to-text service; the agent of the tests has none."""

    def status(route: Any) -> None:
        told = route.fetch().json()
        told["services"]["stt"] = stt
        route.fulfill(json=told)

    context.route("**/status", status)


def test_a_typed_conversation_without_microphone(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.connect()
    until(lambda: visitor.text("state"), lambda state: state == "Speaking")
    visitor.hears_something()
    greeting = until(visitor.spoken)

    visitor.type("Tell me a story")
    until(visitor.spoken, lambda words: len(words) > len(greeting) + 8)
    assert visitor.spoken()[0] == greeting[0]
    assert "Tell me a story" in visitor.text("captions")
    visitor.hears_something()
    for latency in ("round-trip", "reply"):
        until(lambda element=latency: visitor.text(element), lambda text: text.endswith(" ms"))
    assert visitor.audio()["saidBytes"] == 0
    servers = "window.connections.flatMap((each) => each.getConfiguration().iceServers)"
    assert visitor.page.evaluate(servers) == []

    visitor.button("Interrupt").click()
    until(lambda: visitor.text("state"), lambda state: state == "Connected", within_s=3)
    assert visitor.spoken()[-1] == "—"

    visitor.button("Disconnect").click()
    until(lambda: visitor.text("state"), lambda state: state == "Not connected")
    assert visitor.button("Connect").is_enabled()
    assert visitor.page.get_by_label("Message to the agent").is_disabled()
    visitor.is_clean()


def test_a_reload_goes_on_with_the_same_conversation(
    pod: RunningPod, visit: Callable[..., Visitor]
) -> None:
    visitor = visit()
    visitor.connect()
    visitor.type("Tell me a story")
    until(visitor.spoken, lambda words: len(words) > 15)
    session = visitor.page.request.get(f"{pod.url}/status").json()["session"]["id"]

    visitor.page.reload()
    visitor.sees_the_face_move()
    visitor.hears_something()
    assert visitor.page.request.get(f"{pod.url}/status").json()["session"]["id"] == session
    assert visitor.text("captions").count("Tell me a story") == 1
    assert visitor.text("state") == "Speaking"
    until(visitor.spoken, lambda words: len(words) > 5)

    visitor.button("Disconnect").click()
    visitor.page.reload()
    until(lambda: visitor.text("state"), lambda state: state == "Not connected")
    assert visitor.text("captions") == ""
    visitor.is_clean()


def test_the_voice_is_sent_while_the_microphone_is_on(visit: Callable[..., Visitor]) -> None:
    visitor = visit(*FAKE_MICROPHONE, stt="a test's ear", permissions=["microphone"])
    visitor.connect()
    assert "a test's ear" in visitor.text("microphone-hint")
    microphone = visitor.button("Microphone")
    assert microphone.get_attribute("aria-pressed") == "false"

    microphone.click()
    until(lambda: microphone.get_attribute("aria-pressed"), lambda on: on == "true")
    until(lambda: visitor.audio()["saidBytes"] > 2000)

    microphone.click()
    until(lambda: microphone.get_attribute("aria-pressed"), lambda on: on == "false")
    last_bytes = -1.0

    def silent() -> bool:
        """Whether nothing was sent since the last call; speech is sent every 20 ms."""
        nonlocal last_bytes
        before, last_bytes = last_bytes, visitor.audio()["saidBytes"]
        return before == last_bytes

    until(silent)
    visitor.is_clean()


def test_a_refused_microphone_is_explained_and_typing_works(
    visit: Callable[..., Visitor],
) -> None:
    visitor = visit(stt="a test's ear")
    visitor.connect()
    visitor.button("Microphone").click()
    problem = until(visitor.problem)
    assert "icrophone" in problem and "Typing works without" in problem
    assert not visitor.button("Try again").is_visible()
    assert visitor.button("Microphone").get_attribute("aria-pressed") == "false"
    visitor.button("Dismiss").click()
    visitor.type("Hello")
    until(visitor.spoken, lambda words: len(words) > 3)
    visitor.is_clean()


def test_an_agent_that_cannot_hear_says_so(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    until(lambda: "this agent has none" in visitor.text("microphone-hint"))
    microphone = visitor.button("Microphone")
    assert microphone.get_attribute("aria-disabled") == "true"
    assert microphone.get_attribute("aria-describedby") == "microphone-hint"


def test_a_second_visitor_is_told_that_the_agent_is_busy(visit: Callable[..., Visitor]) -> None:
    first, second = visit(), visit()
    first.connect()
    second.button("Connect").click()
    problem = until(second.problem, within_s=5)
    assert "one person at a time" in problem
    assert second.text("state") == "Not connected"

    first.button("Disconnect").click()
    second.button("Try again").click()
    second.sees_the_face_move()
    assert second.problem() == ""
    first.is_clean()
    assert second.outside == []


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(
    visit: Callable[..., Visitor],
) -> None:
    visitor = visit()
    visitor.connect()
    until(lambda: visitor.text("state"), lambda state: state == "Speaking")
    tree = visitor.page.context.new_cdp_session(visitor.page).send("Accessibility.getFullAXTree")
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"] and node["role"]["value"] in CONTROLS
    }
    assert {
        ("button", "Disconnect"),
        ("button", "Microphone"),
        ("button", "Interrupt"),
        ("button", "Send"),
        ("textbox", "Message to the agent"),
        ("log", "Captions"),
    } <= named
    assert all(name for _, name in named)
    assert visitor.page.locator("#captions").get_attribute("aria-live") == "polite"

    reached = set()
    for _ in range(7):  # Once around, and once past the address bar.
        visitor.page.keyboard.press("Tab")
        focused = visitor.page.evaluate("document.activeElement.id")
        ring = visitor.page.evaluate("getComputedStyle(document.activeElement).boxShadow")
        assert not focused or ring != "none", f"the focus on #{focused} cannot be seen"
        reached.add(focused)
    assert {"connect", "microphone", "interrupt", "captions", "text", "send"} <= reached

    visitor.page.keyboard.press("Escape")
    until(lambda: visitor.text("state"), lambda state: state == "Connected", within_s=3)
    visitor.is_clean()


def test_a_phone_shows_everything_without_scrolling(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit(**PHONE, reduced_motion="reduce")
    visitor.connect()
    visitor.type("Tell me a story")
    until(visitor.spoken, lambda words: len(words) > 12)
    page = visitor.page
    width, height = PHONE["viewport"].values()
    for part in ("#face", "#connect", "#microphone", "#interrupt", "#captions", "#text", "#send"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, part
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, part
    assert page.locator("#captions").bounding_box()["height"] > 90
    face = page.locator("#face").bounding_box()
    assert face["width"] == pytest.approx(face["height"], abs=1) and face["width"] > 200
    assert page.evaluate("document.getAnimations().length") == 0

    for scheme, shade in (("light", range(600, 766)), ("dark", range(150))):
        page.emulate_media(color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(int(part) for part in ground[4:-1].split(",")) in shade
        picture = tmp_path / f"phone_{scheme}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 20_000
    visitor.is_clean()


def test_a_sentence_that_was_cut_off_before_its_first_word_is_not_shown(
    visit: Callable[..., Visitor],
) -> None:
    visitor = visit()
    visitor.connect()
    until(visitor.spoken)
    visitor.button("Interrupt").click()
    until(lambda: visitor.text("state"), lambda state: state == "Connected", within_s=3)
    said = visitor.text("captions")
    late = {"text": "Never said.", "segment_id": 9999, "will_be_spoken": True}
    progress = {"accumulated_text": "", "remaining_text": "Never said."}
    output = {**late, "spoken_status": "new", "spoken_progress": progress}
    visitor.page.evaluate(AGENT_SAYS, {"type": "bot-output", "data": output})
    assert visitor.text("captions") == said

    visitor.type("Hello")
    until(visitor.spoken, lambda words: len(words) > len(said.split()) + 2)
    assert "Never said." not in visitor.text("captions")
    visitor.is_clean()


def test_errors_of_the_agent_are_told(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.connect()
    error = {"type": "error", "data": {"error": "The voice is out of order", "fatal": False}}
    visitor.page.evaluate(AGENT_SAYS, error)
    problem = until(visitor.problem)
    assert problem == "The agent reports a problem: The voice is out of order."
    assert visitor.button("Disconnect").is_visible()

    error["data"] = {"error": "bot() has failed (error 17)", "fatal": True}
    visitor.page.evaluate(AGENT_SAYS, error)
    until(lambda: visitor.text("state"), lambda state: state == "Not connected")
    assert "bot() has failed (error 17)" in visitor.problem()
    assert visitor.button("Try again").is_visible()
    assert visitor.outside == []


def test_another_api_is_used_only_on_the_same_origin(
    pod: RunningPod, visit: Callable[..., Visitor]
) -> None:
    visitor = visit()
    visitor.page.goto(f"{pod.url}/client/?api=https://elsewhere.example/v1")
    with visitor.page.expect_request("**/api/offer") as offer:
        visitor.connect()
    assert offer.value.url == f"{pod.url}/api/offer"
    visitor.button("Disconnect").click()
    visitor.is_clean()

    visitor.page.goto(f"{pod.url}/client/?api=/sessions/no-such-one/")
    with visitor.page.expect_request("**/api/offer") as offer:
        visitor.button("Connect").click()
    assert offer.value.url == f"{pod.url}/sessions/no-such-one/api/offer"
    assert "no agent at this address" in until(visitor.problem)
    assert visitor.outside == []
