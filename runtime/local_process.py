"""One pod as a process of this machine: its folder, its record, its signals."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from runtime.pods import UNJOINED, Pod, PodState
from runtime.processes import ProcessWatch, incarnation, signal_group
from runtime.tails import Tail

READY_TIMEOUT_S = 60.0
"""From a pod's start to its /readyz."""
PROBE_EVERY_S = (0.01, 0.25)
"""Between two looks at a starting pod: the first, and the longest, to which they grow."""
EXIT_FAILED, EXIT_UNJOINED = 70, 71
"""A pod's exit status where its session failed, and where nobody came to it."""


@dataclass(eq=False)
class LocalProcess:
    """A pod: its folder holds its socket, its log, its record and its claim."""

    folder: Path
    agent: str
    deployment_id: str
    pid: int = 0
    """0 until it has been started."""
    id: str = ""
    """Its incarnation."""
    state: PodState = "starting"
    session_id: str | None = None
    cold: bool = False
    since_s: float = 0.0
    """When it became ready, on the event loop's clock; before that, when its start began."""
    ready: "asyncio.Future[None]" = field(init=False)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    watch: ProcessWatch | None = None
    tail: Tail = field(init=False)

    def __post_init__(self) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        # Nobody need ask how it went.
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.tail = Tail(self.folder)

    @property
    def pod(self) -> Pod:
        """What others know of it."""
        return Pod(
            self.id,
            f"unix:{self.folder / 'sock'}",
            self.state,
            self.session_id,
            self.deployment_id,
            self.cold,
            self.pid,
        )

    @property
    def free(self) -> bool:
        """Whether a session may claim it."""
        return (
            not self.gone.is_set()
            and self.session_id is None
            and self.state in ("starting", "warm")
        )

    @property
    def lives(self) -> bool:
        """Whether it is the process that it was."""
        return bool(self.id) and incarnation(self.pid) == self.id

    # --- its record --------------------------------------------------------------------------

    def note(self) -> None:
        """Leave what a later control plane must know of it.

        Raises:
            OSError: it cannot be written.
        """
        record = {
            "agent": self.agent,
            "deployment": self.deployment_id,
            "pid": self.pid,
            "id": self.id,
            "cold": self.cold,
        }
        draft = self.folder / "pod.new"
        draft.write_text(json.dumps(record))
        draft.replace(self.folder / "pod.json")

    def claim(self, session_id: str) -> None:
        """Note whose it is.

        Raises:
            OSError: it cannot be written.
        """
        draft = self.folder / "claim.new"
        draft.write_text(session_id)
        draft.replace(self.folder / "claim")
        self.session_id = session_id

    @classmethod
    def noted(cls, folder: Path) -> "LocalProcess | None":
        """The pod of a folder that an earlier control plane has left; None if none can be read."""
        try:
            record = json.loads((folder / "pod.json").read_text())
            found = cls(folder, record["agent"], record["deployment"], record["pid"], record["id"])
            found.cold = bool(record.get("cold"))
            if (folder / "claim").is_file():
                found.session_id = (folder / "claim").read_text()
        except (OSError, ValueError, KeyError):
            return None
        return found

    def status(self) -> tuple[int, float] | None:
        """Its exit status and when that was seen, if its parent saw it and has left word."""
        file = self.folder / "status"
        try:
            return int(file.read_text()), file.stat().st_mtime
        except (OSError, ValueError):
            return None

    def forget(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- its life ----------------------------------------------------------------------------

    async def probe(self) -> bool:
        """Wait until it says that it is ready; False if it does not in time, or ends."""
        pause_s, longest_s = PROBE_EVERY_S
        connector = aiohttp.UnixConnector(str(self.folder / "sock"))
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(READY_TIMEOUT_S),
                aiohttp.ClientSession(connector=connector) as client,
            ):
                while not self.gone.is_set():
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with client.get("http://localhost/readyz") as response:
                            if response.status == 200:
                                return True
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 1.1, longest_s)
        return False

    async def end(self, grace_s: float) -> None:
        """End it, by force after the grace, and wait until it has ended."""
        self.state = "draining"
        if not self.pid:
            # Whoever starts it sees that it is not wanted any more.
            await self.gone.wait()
            return
        if grace_s > 0:
            if self.lives:
                # Cancels its session; SIGTERM would let that go on.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self.gone.wait()
        if not self.gone.is_set():
            signal_group(self.pid, self.id, signal.SIGKILL)
            await self.gone.wait()


def exit_reason(status: int | None, wanted: bool) -> str:
    """How a pod ended, in words.

    Args:
        status: its exit status, or minus the signal; None where nobody knows.
        wanted: whether it was asked to.
    """
    if wanted:
        return "ended on request"
    match status:
        case None:
            return "the pod ended, nobody knows how"
        case 0:
            return "ended by itself"
        case _ if status == EXIT_FAILED:
            return "the bot failed"
        case _ if status == EXIT_UNJOINED:
            return UNJOINED
        case _ if status < 0:
            with contextlib.suppress(ValueError):
                return f"the pod was killed ({signal.Signals(-status).name})"
            return f"the pod was killed (signal {-status})"
        case _:
            return f"the pod ended with status {status}"
