"""Starts the control plane in a process of its own, ends it in any way, and starts it again."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from benchmarks.pods import OFFLINE, REPOSITORY
from runtime.settings import run_folder

STUB = Path(__file__).resolve().parent / "stub_agent"
SERVICES = "/v1/organizations/local/services"
START_TIMEOUT_S = 90.0
"""Until it listens; until its agents are deployed."""
END_TIMEOUT_S = 40.0
MARK = "BENCHMARK_RUN"
"""In the environment of the control plane and of all that it starts."""


class PlaneFailed(Exception):
    """The control plane did not start or would not end; the message holds the end of its log."""


@dataclass
class ControlPlane:
    """A control plane that keeps its folder, its port and its keys from one start to the next."""

    folder: Path
    agents: Mapping[str, Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    public_key: str = ""
    private_key: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.log = self.folder / "plane.log"
        self.data = self.folder / "data"
        self.run = run_folder(self.data)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def public(self) -> dict[str, str]:
        """Headers of a client that may start sessions."""
        return {"authorization": f"Bearer {self.public_key}"}

    @property
    def private(self) -> dict[str, str]:
        """Headers of the operator."""
        return {"authorization": f"Bearer {self.private_key}"}

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """Start it and wait until it listens; gives the seconds that took.

        Raises:
            PlaneFailed: it does not.
        """
        listing = self.folder / "agents.toml"
        listing.write_text(
            "".join(
                f'[agents.{name}]\nfolder = "{folder}"\ndeploy = true\n'
                for name, folder in self.agents.items()
            )
        )
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNTIME_", "PIPECAT_", "PCC_"))
        }
        said = self.log.stat().st_size if self.log.exists() else 0
        began_s = time.perf_counter()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "runtime"),
                    *("--data", str(self.data), "--port", str(self.port)),
                ],
                cwd=REPOSITORY,
                env={
                    **kept,
                    **OFFLINE,
                    "PYTHONPATH": str(REPOSITORY),
                    "RUNTIME_AGENTS": str(listing),
                    "RUNTIME_RATE_PER_S": "100000",
                    MARK: self.mark,
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.port = int(self._said(r"^Listening on http://127\.0\.0\.1:(\d+)", said))
        took_s = time.perf_counter() - began_s
        self.public_key = self.public_key or self._said(r"public key +(\S+)")
        self.private_key = self.private_key or self._said(r"private key +(\S+)")
        return took_s

    def end(self, number: signal.Signals) -> int:
        """End it with a signal; gives its exit status.

        Raises:
            PlaneFailed: it goes on.
        """
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            what = f"went on {END_TIMEOUT_S:g} s after {number.name}"
            raise PlaneFailed(self._failure(what)) from None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the operator is answered, as JSON.

        Raises:
            PlaneFailed: that is an error.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            headers = {**self.private, "content-type": "application/json"}
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise PlaneFailed(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def deploy(self, agent: str, least: int, most: int, profile: str = "agent-3x") -> None:
        """Deploy an agent anew, and wait until that is done."""
        scaling = {"minAgents": least, "maxAgents": most}
        wanted = {"serviceName": agent, "autoScaling": scaling, "agentProfile": profile}
        self.ask("PUT", SERVICES, wanted)
        self.settle(agent)

    def settle(self, agent: str) -> None:
        """Wait until an agent's last deployment is active.

        Raises:
            PlaneFailed: it has failed.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            service = self.ask("GET", f"{SERVICES}/{agent}")["body"]
            if service["errors"]:
                raise PlaneFailed(f"{agent}: {service['errors']}")
            if service["activeDeploymentId"] == service["desiredDeploymentId"]:
                return
            time.sleep(0.02)
        raise PlaneFailed(self._failure(f"did not deploy {agent}"))

    @property
    def descendants(self) -> list[psutil.Process]:
        """Processes that this control plane, or one before it in this folder, has started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.mark and process.pid != self.pid:
                    found.append(process)
        return found

    def clean(self) -> None:
        """Kill what is left, and remove its folder of sockets."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for process in self.descendants:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        shutil.rmtree(self.run, ignore_errors=True)

    def _said(self, pattern: str, since: int = 0) -> str:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            text = self.log.read_bytes()[since:].decode(errors="replace")
            if found := re.search(pattern, text, re.MULTILINE):
                return found[1]
            time.sleep(0.01)
        raise PlaneFailed(self._failure("did not start"))

    def _failure(self, what: str) -> str:
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        return f"the control plane {what}; the end of its log:\n{tail}"


@contextlib.contextmanager
def running_plane(
    agents: Mapping[str, Path], environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[ControlPlane]:
    """A control plane whose agents are deployed, in a folder that is removed on leaving.

    Raises:
        PlaneFailed: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="plane-") as folder:
        plane = ControlPlane(Path(folder), agents, environment)
        try:
            plane.start()
            for agent in agents:
                plane.settle(agent)
            yield plane
            plane.end(signal.SIGINT)
        finally:
            plane.clean()
