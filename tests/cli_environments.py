"""For tests: Pipecat Cloud's own command lines and SDK, each in an environment of its own."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from control_plane import RunningPlane

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "build" / "clients"
"""Kept from run to run."""
INSTALL_TIMEOUT_S = 900
COMMAND_TIMEOUT_S = 120
COLUMNS = "400"
"""Wide enough for no line to be broken."""


@dataclass(frozen=True)
class Client:
    """A client as somebody installs it."""

    name: str
    packages: tuple[str, ...]
    free: frozenset[str]
    """What it takes in other versions than constraints.txt names."""
    program: tuple[str, ...]
    json: bool
    """Whether it can print JSON, and whether its exit status tells of refusals."""


OLD = Client("pcc", ("pipecatcloud==0.6.0",), frozenset({"pipecatcloud"}), ("pcc",), False)
"""The last line of clients that has a program of its own."""
NEW = Client(
    "pipecat-cloud",
    ("pipecat-ai[cli]", "pipecatcloud"),
    frozenset({"rich"}),
    ("pipecat", "cloud"),
    True,
)


def environment(client: Client) -> Path:
    """The folder of a client's programs, installed there if they are not yet.

    Where they cannot be installed, the test is skipped, or fails where CI is set.
    """
    folder = ENVIRONMENTS / client.name
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if re.split("[=;]", line)[0].lower() not in client.free
    ]
    wanted = "\n".join((sys.version, *client.packages, *pins))
    made = folder / "made"
    if made.is_file() and made.read_text() == wanted:
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    constraints = ENVIRONMENTS / f"{client.name}.txt"
    options = ("--quiet", "--disable-pip-version-check", "-c", str(constraints))
    try:
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        constraints.write_text("\n".join(pins))
        for command in (
            (sys.executable, "-m", "venv", str(folder)),
            (str(folder / "bin" / "python"), "-m", "pip", "install", *options, *client.packages),
        ):
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
            )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()[-500:]
        message = f"{' '.join(client.packages)} cannot be installed in {folder}: {said}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    made.write_text(wanted)
    return folder / "bin"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    command: str
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which is one JSON value and nothing else."""
        return json.loads(self.out)

    def shows(self, *texts: str) -> "Ran":
        """Itself, if all of these stand in what it printed."""
        missing = [text for text in texts if text not in self.out + self.err]
        assert not missing, f"{self.command} ({self.code}) without {missing}:\n{self.out}{self.err}"
        return self

    def good(self, *texts: str) -> "Ran":
        """Itself, if it went well and shows these."""
        assert self.code == 0, f"{self.command} ({self.code}):\n{self.out}{self.err}"
        return self.shows(*texts)


@dataclass(frozen=True)
class CommandLine:
    """A client that is pointed at a control plane, as its operator."""

    client: Client
    programs: Path
    plane: RunningPlane
    home: Path

    @property
    def config(self) -> Path:
        """The file that it keeps its settings in."""
        return self.home / "pipecatcloud.toml"

    def run(self, *words: str, output: str = "json") -> Ran:
        """Run a command; it prints as it is told to, if it knows more ways than one."""
        program, *rest = self.client.program
        options = ("--output", output) if self.client.json else ()
        return self._run((str(self.programs / program), *rest, *options, *words), words)

    def run_all(self, *commands: Sequence[str], output: str = "json") -> list[Ran]:
        """Run commands at the same time."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(lambda words: self.run(*words, output=output), commands))

    def at_terminal(self, *words: str, prompt: str, keys: str) -> Ran:
        """Run a command at a terminal, and press these keys where it prompts."""
        program, *rest = self.client.program
        command = [str(self.programs / program), *rest, *words]
        terminal, its_end = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=self.home,
            env=self._environment(),
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            start_new_session=True,
        )
        os.close(its_end)
        shown, asked = b"", False
        deadline_s = time.monotonic() + COMMAND_TIMEOUT_S
        # Linux has an error for a terminal that nobody has open any more.
        with contextlib.suppress(OSError):
            while select.select([terminal], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                shown += os.read(terminal, 65_536)
                if not asked and prompt.encode() in shown:
                    asked = True
                    os.write(terminal, keys.encode())
        os.close(terminal)
        if time.monotonic() > deadline_s:
            process.kill()
        return Ran(" ".join(words), process.wait(), shown.decode(errors="replace"), "")

    def python(self, source: str, *words: str) -> Any:
        """The JSON that a Python program prints in the client's environment."""
        ran = self._run((str(self.programs / "python"), "-c", source, *words), ("python",))
        return ran.good().json

    def refused(self, ran: Ran, *texts: str) -> None:
        """Check that a command was told no, and says so."""
        ran.shows(*texts)
        assert ran.code == 1 or not self.client.json, f"{ran.command}: {ran.code}"

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNTIME_", "PIPECAT_", "PCC_", "PYTHON"))
        }
        settings = {
            "HOME": str(self.home),
            "COLUMNS": COLUMNS,
            "PYTHONUTF8": "1",
            "PIPECAT_API_HOST": self.plane.url,
            "PIPECAT_TOKEN": self.plane.private_key,
            "PIPECAT_ORG": "local",
            "PIPECAT_CONFIG_PATH": str(self.config),
            "PIPECAT_DEFAULT_PUBLIC_KEY": self.plane.public_key,
        }
        return inherited | settings

    def _run(self, command: Sequence[str], words: Sequence[str]) -> Ran:
        ran = subprocess.run(
            command,
            cwd=self.home,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        return Ran(" ".join(words), ran.returncode, ran.stdout, ran.stderr)
