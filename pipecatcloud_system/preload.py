"""A warm parent that forks ready pods: what they all need is imported and loaded once.

Talks JSON lines over a Unix socket, with one controller at a time:

    parent: {"event": "ready", "pods": {"PID": "FOLDER"}}      to each controller, first of all
    controller: {"fork": "FOLDER", "environment": {NAME: VALUE}}
    parent: {"event": "forked", "folder": "FOLDER", "pid": PID}
    parent: {"event": "exited", "folder": "FOLDER", "pid": PID, "status": STATUS}
    controller: {"retire": true}                               end once the last pod has ended

STATUS is the pod's exit status, or minus the signal that killed it. A pod listens on FOLDER/sock,
logs as its environment says, and prints to FOLDER/output.log; its STATUS is left in FOLDER/status.
"""

import argparse
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pipecatcloud_system.__main__ import import_bot, run_pod
from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.logs import configure_logging
from pipecatcloud_system.settings import Settings

CANNOT_FORK = 3
"""Exit status where pods cannot be forked but may be started one by one."""
MAX_LINE_BYTES = 1_000_000
MAX_UNTOLD = 10_000
"""Exits kept for the next controller."""
ALONE_S = 60.0
"""How long the parent waits for a controller to come back before it ends, and with it the pods
that nobody has claimed; those that hold a session go on to its end."""


class CannotFork(Exception):
    """Pods of this bot have to be started one by one; the message says why."""


def main() -> int:
    """Load the bot of the working directory and fork pods until told to end."""
    parser = argparse.ArgumentParser(
        prog="python -m pipecatcloud_system.preload",
        description="Import the bot.py of the working directory once and fork pods from it.",
    )
    parser.add_argument("socket", type=Path, help="Unix socket to take orders on")
    parser.add_argument(
        "--alone",
        type=float,
        default=ALONE_S,
        metavar="SECONDS",
        help="how long to go on without a controller (%(default)s)",
    )
    options = parser.parse_args()
    try:
        settings = Settings.from_environment(os.environ)
        configure_logging(settings.log_level)
        bot_module = import_bot()
        if bot_module is None:
            return 1
        load(bot_module)
        return Parent(bot_module, options.socket, options.alone).run()
    except CannotFork as error:
        print(error, file=sys.stderr)
        return CANNOT_FORK
    except (CannotStart, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def load(bot_module: ModuleType) -> None:
    """Load all that pods can share: the server's modules, and what bot.preload() loads.

    Raises:
        CannotFork: threads run now; a child would lack them, and what they hold locked.
    """
    import aiohttp  # noqa: F401

    import pipecatcloud_system.server  # noqa: F401

    if callable(preload := getattr(bot_module, "preload", None)):
        preload()
    gc.collect()
    gc.freeze()
    if threads := _threads() - 1:
        raise CannotFork(
            f"{threads} threads run once bot.py is loaded, so that no pods can be forked from it. "
            "Start them in bot(), not on import or in preload()."
        )
    if sys.platform == "darwin":
        raise CannotFork("macOS's own libraries do not outlive a fork.")


def _threads() -> int:
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        return len(list(tasks.iterdir()))
    import threading

    return threading.active_count()


class Parent:
    """Forks pods, and tells when they have ended."""

    def __init__(self, bot_module: ModuleType, path: Path, alone_s: float) -> None:
        self._bot = bot_module
        self._path = path
        self._alone_s = alone_s
        self._folders: dict[int, str] = {}
        self._untold: list[dict[str, Any]] = []
        self._controller: socket.socket | None = None
        self._heard = b""
        self._retiring = False
        self._asked: set[int] = set()
        self._alone_since_s = time.monotonic()

    def run(self) -> int:
        """Take orders until the parent is to end; gives the exit status.

        Raises:
            CannotStart: the socket cannot be had.
        """
        from pipecatcloud_system.server import bind_path

        with (
            bind_path(self._path) as listener,
            selectors.DefaultSelector() as selector,
            _children_wake() as woken,
        ):
            print(f"Forks pods on unix:{self._path}", flush=True)
            selector.register(
                listener, selectors.EVENT_READ, lambda: self._meet(listener, selector)
            )
            selector.register(woken, selectors.EVENT_READ, lambda: self._reap(woken))
            self._close = (listener, woken)
            while not self._over():
                for key, _ in selector.select(timeout=1.0):
                    key.data()
        self._path.unlink(missing_ok=True)
        return 0

    def _over(self) -> bool:
        alone_s = time.monotonic() - self._alone_since_s
        if self._controller is None and alone_s > self._alone_s and not self._retiring:
            self._retiring = True
            for pid in set(self._folders) - self._asked:
                # A pod that holds a session lets it end; asked twice it would not.
                self._asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        return self._retiring and not self._folders

    def _meet(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        controller, _ = listener.accept()
        self._part(selector)
        controller.settimeout(5.0)
        self._controller, self._heard = controller, b""
        self._retiring = False
        selector.register(controller, selectors.EVENT_READ, lambda: self._hear(selector))
        pods = {str(pid): folder for pid, folder in self._folders.items()}
        self._tell({"event": "ready", "pods": pods})
        untold, self._untold = self._untold, []
        for event in untold:
            self._tell(event)

    def _part(self, selector: selectors.BaseSelector) -> None:
        if self._controller is not None:
            selector.unregister(self._controller)
            self._controller.close()
            self._controller = None
        self._alone_since_s = time.monotonic()

    def _hear(self, selector: selectors.BaseSelector) -> None:
        controller = self._controller
        if controller is None:
            return
        try:
            received = controller.recv(65536)
        except OSError:
            received = b""
        self._heard += received
        if not received or len(self._heard) > MAX_LINE_BYTES:
            self._part(selector)
            return
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order.get("retire"):
                self._retiring = True
            elif "fork" in order:
                self._fork(order["fork"], order["environment"])

    def _fork(self, folder: str, environment: dict[str, str]) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                if self._controller is not None:
                    self._controller.close()
                for each in self._close:
                    each.close()
                status = _be_pod(self._bot, Path(folder), environment)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
            finally:
                with contextlib.suppress(OSError, ValueError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        self._folders[pid] = folder
        self._tell({"event": "forked", "folder": folder, "pid": pid})

    def _reap(self, woken: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)
        for pid in list(self._folders):
            seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if seen is not None:
                # What it has started ends with it; until it is waited for, its number is its own.
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                folder = self._folders.pop(pid)
                self._asked.discard(pid)
                code = os.waitstatus_to_exitcode(status)
                # A controller that is just being killed may take the news along with it.
                with contextlib.suppress(OSError):
                    Path(folder, "status").write_text(str(code))
                self._tell({"event": "exited", "folder": folder, "pid": pid, "status": code})

    def _tell(self, event: dict[str, Any]) -> None:
        if self._controller is not None:
            try:
                self._controller.sendall(json.dumps(event).encode() + b"\n")
                return
            except OSError:
                pass  # It has gone; its end is seen where it is listened to.
        self._untold = [*self._untold, event][-MAX_UNTOLD:]


@contextlib.contextmanager
def _children_wake() -> Iterator[socket.socket]:
    """A socket that can be read once a child has ended."""
    woken, waking = socket.socketpair()
    woken.setblocking(False)
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    try:
        with woken, waking:
            yield woken
    finally:
        signal.set_wakeup_fd(-1)


def _be_pod(bot_module: ModuleType, folder: Path, environment: dict[str, str]) -> int:
    """All of a pod's life, in the child; gives its exit status."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A group of its own: whoever ends it can end what it has started too.
    os.setsid()
    output = os.open(folder / "output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.update(environment)
    return run_pod(bot_module, Settings.from_environment(os.environ))


if __name__ == "__main__":
    sys.exit(main())
