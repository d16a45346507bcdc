"""The page of the API: every route, who may really call it, and commands that work."""

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import require

from tests.control_plane import RunningPlane, running_plane, stub_agent
from tests.dashboard_visitor import PHONE, STRANGER, Operator, chromium
from tests.page_visitor import until


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with one agent."""
    folder = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"stranger": stub_agent(folder / "agent", STRANGER)}) as running:
        yield running


@pytest.fixture(scope="module")
def visitor(plane: RunningPlane) -> Iterator[Operator]:
    """Somebody who reads the page, and is not signed in."""
    with chromium() as browser:
        reader = Operator(browser.new_context().new_page())
        reader.watch()
        reader.page.goto(f"{plane.url}/docs")
        until(reader.page.locator("details").count)
        yield reader


def described(plane: RunningPlane) -> dict[str, Any]:
    return dict(plane.ask("GET", "/openapi.json", key="").json["paths"])


def test_every_route_is_shown(plane: RunningPlane, visitor: Operator) -> None:
    assert set(visitor.page.locator(".path").all_inner_texts()) == set(described(plane))
    visitor.is_clean()


def test_who_may_call_is_true(plane: RunningPlane, visitor: Operator) -> None:
    shown: dict[str, set[str]] = {}
    for route in visitor.page.locator("details").all():
        path = route.locator(".path").inner_text()
        access = route.locator(".access").get_attribute("data-for")
        shown.setdefault(path, set()).add(access)
    keys = {"anyone": "", "public": plane.public_key, "private": plane.private_key}
    asked = 0
    for path, methods in described(plane).items():
        if "get" not in methods:
            continue
        real = path.replace("{organization}", "local").replace("{agent}", "stranger")
        real = re.sub(r"\{\w+\}", "x", real)
        statuses = {who: plane.ask("GET", real, key=key).status for who, key in keys.items()}
        # 429: too many without a key, of late.
        allowed = [who for who, status in statuses.items() if status not in (401, 403, 429)]
        assert shown[path] == {allowed[0]}, statuses
        asked += 1
    assert asked > 15


def test_a_route_is_found_and_explained(visitor: Operator) -> None:
    page = visitor.page
    find = page.get_by_label("Find a route")
    find.fill("public start")
    (route,) = page.locator("details:visible").all()
    route.locator("summary").click()
    text = route.inner_text()
    for told in ("Parameters", "agent", "Body, JSON", "webrtc or daily or websocket", "Replies"):
        assert told in text
    assert "curl -X POST" in text and "Bearer $PUBLIC_KEY" in text
    find.fill("nothing of the kind")
    assert visitor.text("none") == "No route has these words."
    find.fill("")
    visitor.is_clean()


@pytest.mark.parametrize("path", ["/v1/organizations", "/metrics", "/livez"])
def test_the_command_works_as_it_stands(plane: RunningPlane, visitor: Operator, path: str) -> None:
    require("curl", "apt install curl")
    exactly = re.compile(f"^{re.escape(path)}$")
    route = visitor.page.locator("details").filter(
        has=visitor.page.locator(".path", has_text=exactly)
    )
    command = route.locator(".snippet code").text_content()
    assert command is not None
    ran = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl --fail ", 1)],
        env=os.environ | {"PRIVATE_KEY": plane.private_key},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_phone_scrolls_one_way(plane: RunningPlane, visitor: Operator) -> None:
    page = visitor.page.context.browser.new_context(**PHONE).new_page()
    page.goto(f"{plane.url}/docs")
    until(page.locator("details").count)
    for summary in page.locator("summary").all():
        summary.click()
    assert Operator(page).overflow() == 0
