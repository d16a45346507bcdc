"""For tests: a browser on the dashboard, an agent that is a stranger, and what they see."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.control_plane import ORGANIZATION, RunningPlane
from tests.page_visitor import FACE_SIZES, Visitor, browsers, until

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PICTURE = """(video) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 96;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 96, 96);
  return Array.from(context.getImageData(0, 0, 96, 96).data);
}"""

STRANGER = '''"""Logs what it is told; its page tries what it should not be able to do."""

import asyncio

from fastapi.responses import HTMLResponse
from loguru import logger

from pipecatcloud_system import app

PAGE = """<!doctype html><title>working</title><body><script>
const told = {};
async function attempt(name, act) {
  try { told[name] = String(await act()); } catch (error) { told[name] = "no: " + error.name; }
}
function framed() {
  return new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = () => {
      try { done(frame.contentDocument.body.innerText); }
      catch (error) { done("no: " + error.name); }
    };
    frame.src = "/";
    document.body.append(frame);
  });
}
(async () => {
  const sent = { credentials: "include", mode: "no-cors" };
  await attempt("cookie", () => document.cookie);
  await attempt("storage", () => localStorage.length);
  await attempt("state", async () => (await fetch("/dashboard/state")).text());
  await attempt("sent", async () => (await fetch("/dashboard/state", sent)).text());
  await attempt("stop", async () => (await fetch(STOP, { method: "DELETE" })).status);
  await attempt("framed", framed);
  document.title = JSON.stringify(told);
})();
</script><form method="post" action="/v1/public/stranger/start"><button>Win a prize</button></form>
"""


@app.get("/prize")
async def prize(stop: str) -> HTMLResponse:
    return HTMLResponse(PAGE.replace("STOP", repr(stop)))


@app.get("/say")
async def say(words: str) -> str:
    logger.warning("{}", words)
    return words


async def bot(args) -> None:
    await asyncio.Event().wait()
'''


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; without one the test is skipped, or fails where CI is set."""
    with browsers() as start:
        yield start()


def state(plane: RunningPlane) -> dict[str, Any]:
    """What runs, as the dashboard is told."""
    return dict(plane.ask("GET", "/dashboard/state").json)


def end_sessions(plane: RunningPlane) -> None:
    """Stop every session."""
    for session in state(plane)["sessions"]:
        path = f"{ORGANIZATION}/services/{session['agent']}/sessions/{session['sessionId']}"
        plane.ask("DELETE", path)


class Operator(Visitor):
    """A visitor of the dashboard."""

    def sign_in(self, key: str) -> None:
        """Enter a key at the door."""
        self.page.get_by_label("Private key").fill(key)
        self.page.keyboard.press("Enter")

    def rows(self) -> list[str]:
        """The texts of the sessions that are shown as running."""
        return list(self.page.locator("#session-rows tr").all_inner_texts())

    def start(self, agent: str) -> None:
        """Press the agent's button."""
        name = f"Start a session of {agent} and talk"
        self.page.get_by_role("button", name=name, exact=True).click()

    def conversation(self) -> Any:
        """The page within the dashboard's frame."""
        frame = self.page.locator("#talk-frame iframe:not([hidden])").element_handle()
        return frame.content_frame()

    def sees_it_move(self) -> None:
        """Wait until the pixels of the agent's face change: its mouth, its eyes."""
        frame = self.conversation()
        width = "document.getElementById('face')?.videoWidth"
        until(lambda: frame.evaluate(width), lambda pixels: pixels in FACE_SIZES)
        video = frame.locator("#face").element_handle()
        first = video.evaluate(PICTURE)
        assert len(set(first)) > 50, "the picture is empty"

        def moved() -> int:
            now = video.evaluate(PICTURE)
            return sum(abs(a - b) > 24 for a, b in zip(first, now, strict=True))

        until(moved, lambda values: values > 60)

    def overflow(self) -> int:
        """How many pixels the page can be scrolled sideways."""
        width = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(width))
