"""Starts a pod in a process of its own, waits until it is ready and ends it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
BURST_POD = Path(__file__).resolve().parent / "burst_pod"
"""Folder of the agent that speaks bursts; the real one's is REPOSITORY."""
OFFLINE = {
    name: ""
    for name in (
        "CARTESIA_API_KEY",
        "DEEPGRAM_API_KEY",
        "ELEVENLABS_API_KEY",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "PIPER_BASE_URL",
    )
}
"""Empty keys, so that the agent speaks offline whatever the machine's environment holds."""
READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0


class PodFailed(Exception):
    """A pod did not become ready or ended by itself; the message holds the end of its log."""


@dataclass(frozen=True)
class Pod:
    """A running pod.

    Attributes:
        url: its address.
        process: of the pod; its children do not count.
        ready_s: seconds from its start until GET /readyz answered 200.
        log: the file that takes its output.
    """

    url: str
    process: psutil.Process
    ready_s: float
    log: Path


@contextmanager
def running_pod(
    folder: Path = REPOSITORY, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Pod]:
    """A pod on a free loopback port, with no service but the offline ones; ended on leaving.

    Args:
        folder: where its bot.py is.
        settings: environment variables for it.

    Raises:
        PodFailed: it was not ready within a minute, or ended while it was in use.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="pod-") as logs:
        log = Path(logs) / "log"
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "pipecatcloud_system", "--port", str(port)],
                cwd=folder,
                env={**os.environ, **OFFLINE, **settings, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_ready(url, process, log)
            ready_s = time.perf_counter() - started
            yield Pod(url, psutil.Process(process.pid), ready_s, log)
        except Exception as error:
            if process.poll() is not None and not isinstance(error, PodFailed):
                raise PodFailed(_last_words(process, log)) from error
            raise
        finally:
            _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.01)
    raise PodFailed(_last_words(process, log))


def _last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    code = process.poll()
    what = "was not ready in time" if code is None else f"ended with exit status {code}"
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    return f"the pod {what}; the end of its log:\n{tail}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt, as Ctrl-C does, and kill when that is not obeyed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
