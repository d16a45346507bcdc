"""For tests: a real control plane in a process of its own, with agents that are stubs."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from runtime.settings import run_folder

REPOSITORY = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0
"""For the control plane, and for each agent's bot.py to be loaded."""
ORGANIZATION = "/v1/organizations/local"

STUB = Path(__file__).with_name("bots") / "echo.py"
"""An agent that answers with what it was asked."""


def stub_agent(folder: Path, source: str | None = None) -> Path:
    """A folder with this bot.py, or with that of bots/echo.py; made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bot.py").write_text(STUB.read_text() if source is None else source)
    return folder


@dataclass(frozen=True)
class Answer:
    """What the control plane answered."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        """The content, which is JSON."""
        return json.loads(self.content)


@dataclass
class RunningPlane:
    """A control plane in a process of its own."""

    url: str
    public_key: str
    private_key: str
    process: subprocess.Popen[bytes]
    data: Path
    log: Path

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """The answer to one request, on a connection of its own.

        Args:
            method: GET and so on.
            target: path and query, sent as they are.
            body: bytes, or a value to be sent as JSON.
            key: for the Authorization header; by default the private key, "" for none.
            headers: further ones.
            timeout_s: for the connection and for each piece of the answer.
        """
        key = self.private_key if key is None else key
        sent = {"authorization": f"Bearer {key}"} if key else {}
        if body is not None and not isinstance(body, bytes):
            sent["content-type"] = "application/json"
            body = json.dumps(body).encode()
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            str(address.hostname), address.port, timeout=timeout_s
        )
        try:
            connection.request(method, target, body, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def start_session(self, agent: str, **wanted: Any) -> dict[str, Any]:
        """Start a session with the public key; gives the reply."""
        answer = self.ask("POST", f"/v1/public/{agent}/start", wanted, self.public_key)
        assert answer.status == 200, answer.content
        return dict(answer.json)

    def session(self, agent: str, session_id: str) -> dict[str, Any]:
        """A session as the operator sees it."""
        path = f"{ORGANIZATION}/services/{agent}/sessions/{session_id}"
        return dict(self.ask("GET", path).json)

    def deploy(self, agent: str, **wanted: Any) -> dict[str, Any]:
        """Deploy a registered agent anew and wait until that has settled; gives the service."""
        answer = self.ask("PUT", f"{ORGANIZATION}/services", {"serviceName": agent, **wanted})
        assert answer.status == 200, answer.content
        return self.settled(agent)

    def settled(self, agent: str) -> dict[str, Any]:
        """An agent's service once its deployment is active, or has failed."""
        service: dict[str, Any] = {}

        def is_settled() -> bool:
            service.update(self.ask("GET", f"{ORGANIZATION}/services/{agent}").json["body"])
            active = service["activeDeploymentId"] == service["desiredDeploymentId"]
            return active or bool(service["errors"])

        wait_until(is_settled, START_TIMEOUT_S)
        return service

    @property
    def run(self) -> Path:
        """Its folder of sockets and pods."""
        return run_folder(self.data)

    def pods(self) -> dict[str, int]:
        """The process ids of pods that have been claimed, by their sessions."""
        found = {}
        for claim in self.run.glob("pods/*/claim"):
            with contextlib.suppress(OSError, ValueError):
                record = json.loads((claim.parent / "pod.json").read_text())
                found[claim.read_text()] = int(record["pid"])
        return found


def wait_until(condition: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.02)


def start_plane(folder: Path, agents: Mapping[str, Path], **environment: str) -> RunningPlane:
    """Start a control plane and wait until its agents are deployed, or have failed.

    Args:
        folder: for its data, its log and its list of agents; one that was used before is gone on
            with, keys included.
        agents: folders by name; each is deployed with one warm pod.
        **environment: variables added to the environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registered = "".join(
        f'[agents.{name}]\nfolder = "{path}"\ndeploy = true\n' for name, path in agents.items()
    )
    (folder / "agents.toml").write_text(f"[agents]\n{registered}")
    data, log = folder / "data", folder / "plane.log"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RUNTIME_", "PIPECAT_", "PCC_"))
    }
    settings = {"RUNTIME_AGENTS": str(folder / "agents.toml"), "PYTHONPATH": str(REPOSITORY)}
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime", "--data", str(data), "--port", "0"],
            cwd=folder,
            env=inherited | settings | environment,
            stdout=out,
            stderr=out,
        )
    try:
        url = _told(process, log, r"^Listening on (\S+)", before)
        public = _told(process, log, r"public key +(\S+)")
        private = _told(process, log, r"private key +(\S+)")
        plane = RunningPlane(url, public, private, process, data, log)
        for name in agents:
            plane.settled(name)
    except BaseException:
        process.kill()
        process.wait()
        if b"Another control plane" not in log.read_bytes()[before:]:
            clean_up(data)
        raise
    return plane


def _told(process: subprocess.Popen[bytes], log: Path, pattern: str, since: int = 0) -> str:
    """What stands in a log, which may not have been written yet."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        text = log.read_bytes()[since:].decode(errors="replace")
        if found := re.search(pattern, text, re.MULTILINE):
            return found[1]
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the control plane did not start:\n{text[-3000:]}")
        time.sleep(0.02)


def stop_plane(plane: RunningPlane, *, keep_pods: bool = False) -> int:
    """End a control plane, by force if it has to be; gives its exit status.

    Args:
        plane: a running one.
        keep_pods: leave its pods to the next control plane in the same folder.
    """
    if plane.process.poll() is None:
        plane.process.send_signal(signal.SIGTERM if keep_pods else signal.SIGINT)
    try:
        plane.process.wait(30)
    except subprocess.TimeoutExpired:
        plane.process.kill()
        plane.process.wait()
    if not keep_pods:
        clean_up(plane.data)
    return plane.process.returncode


def clean_up(data: Path) -> None:
    """End what a control plane has left behind, and remove its folder of sockets."""
    run = run_folder(data)
    end_processes(run)
    shutil.rmtree(run, ignore_errors=True)


def end_processes(run: Path) -> None:
    """End the parents and the pods of a folder of sockets."""
    for process in psutil.process_iter(["cmdline"]):
        # Parents have the folder in their command line; pods, forked, have their parent's.
        if any(str(run) in part for part in process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error):
                process.kill()
    for record in run.glob("pods/*/pod.json"):
        # Those that were started one by one.
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(json.loads(record.read_text())["pid"])
            if "pipecatcloud_system" in process.cmdline():
                process.kill()


@contextlib.contextmanager
def running_plane(
    folder: Path, agents: Mapping[str, Path], **environment: str
) -> Iterator[RunningPlane]:
    """A control plane, ended with the block."""
    plane = start_plane(folder, agents, **environment)
    try:
        yield plane
    finally:
        stop_plane(plane)
