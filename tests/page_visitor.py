"""A visitor of the page at /client: one browser tab, what it shows, and what went wrong in it."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
FACE_SIZES = (512, 256)
"""In pixels; half the size where the machine is too busy for the whole."""
KEEP_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); window.connections.push(this); }
  createDataChannel(...options) { return (this.channel = super.createDataChannel(...options)); }
};
"""
AGENT_SAYS = """(message) => window.connections.at(-1).channel.dispatchEvent(
  new MessageEvent("message", { data: JSON.stringify({ label: "rtvi-ai", id: "1", ...message }) })
)"""
AUDIO_TOTALS = """async () => {
  const totals = { heard: 0, saidBytes: 0 };
  for (const entry of (await window.connections.at(-1).getStats()).values()) {
    if (entry.type === "inbound-rtp" && entry.kind === "audio") {
      totals.heard = entry.totalAudioEnergy;
    }
    if (entry.type === "outbound-rtp" && entry.kind === "audio") {
      totals.saidBytes = entry.bytesSent;
    }
  }
  return totals;
}"""


def until(
    ask: Callable[[], Any], wanted: Callable[[Any], bool] = bool, within_s: float = 15
) -> Any:
    """Returns what ask() gives once that is wanted; fails with the last answer after within_s."""
    deadline_s = time.monotonic() + within_s
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline_s, f"still {answer!r} after {within_s:g} s"
        time.sleep(0.05)
    return answer


@dataclass
class Visitor:
    """One tab with the page, which notes what it asked of other hosts and what went wrong."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Shut off other hosts and take notes from now on."""
        self.page.context.route("**/*", self._route)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.add_init_script(KEEP_CONNECTIONS)

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def text(self, element: str) -> str:
        return str(self.page.locator(f"#{element}").inner_text())

    def problem(self) -> str:
        """The problem that the page tells of, or ""."""
        shown = self.page.locator("#problem").is_visible()
        return self.text("problem-words") if shown else ""

    def spoken(self) -> list[str]:
        """The words of the agent that have been spoken, from the whole conversation."""
        words = "#captions [data-who=agent] .sentence > :not(.coming)"
        return [word.strip() for word in self.page.locator(words).all_text_contents()]

    def face(self, what: str) -> Any:
        return self.page.evaluate(f"document.getElementById('face').{what}")

    def connect(self) -> None:
        """Press Connect and wait until the face moves."""
        self.button("Connect").click()
        self.sees_the_face_move()

    def sees_the_face_move(self) -> None:
        until(
            lambda: (self.face("videoWidth"), self.text("state"), self.problem()),
            lambda seen: seen[0] in FACE_SIZES,
        )
        assert self.face("videoHeight") == self.face("videoWidth")
        before = self.face("getVideoPlaybackQuality().totalVideoFrames")
        until(lambda: self.face("getVideoPlaybackQuality().totalVideoFrames") - before > 20)
        assert not self.face("paused") and not self.face("muted")

    def type(self, text: str) -> None:
        self.page.get_by_label("Message to the agent").fill(text)
        self.page.keyboard.press("Enter")

    def audio(self) -> dict[str, float]:
        totals: dict[str, float] = self.page.evaluate(AUDIO_TOTALS)
        return totals

    def hears_something(self) -> None:
        before = self.audio()["heard"]
        until(lambda: self.audio()["heard"] - before > 1e-3)

    def leave(self) -> None:
        """Hang up, as a closed tab does, and close the tab."""
        self.page.evaluate("window.connections.forEach((connection) => connection.close())")
        self.page.context.close()

    def is_clean(self) -> None:
        """Nothing was asked of another host, and nothing went wrong unsaid."""
        assert self.outside == []
        assert self.errors == []

    def _route(self, route: Any) -> None:
        if urlsplit(route.request.url).hostname in ("127.0.0.1", "localhost", "::1"):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@contextlib.contextmanager
def browsers() -> Iterator[Callable[..., Any]]:
    """Starts browsers without a window, by their extra flags: one process for each set of flags.

    Without Chromium or Playwright the test is skipped, or fails where CI is set.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _missing("playwright", "pip install playwright (its browsers are not needed)")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        _missing("chromium", "apt install chromium")
    with sync_playwright() as playwright:
        running: dict[tuple[str, ...], Any] = {}

        def start(*flags: str) -> Any:
            if flags not in running:
                running[flags] = playwright.chromium.launch(
                    executable_path=path, args=[*FLAGS, *flags]
                )
            return running[flags]

        yield start
        for browser in running.values():
            browser.close()


def _missing(what: str, how: str) -> None:
    message = f"{what} is missing: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
