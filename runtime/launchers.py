"""How pods come to be on this machine: forked from a warm parent, or started one by one."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from loguru import logger

from runtime.pods import PodSpec, Unavailable
from runtime.processes import incarnation, signal_group

BUNDLE = Path(__file__).resolve().parent.parent
PREPARE_TIMEOUT_S = 120.0
"""For importing a bot.py and all that it needs."""
FORK_TIMEOUT_S = 10.0
STATUS_TIMEOUT_S = 2.0
CANNOT_FORK = 3
"""The parent's exit status where pods can only be started one by one."""
MAX_TOLD_CHARS = 500
MAX_STATUSES = 1_000
"""Exits that a parent has told and nobody has asked for yet."""


class Launcher(Protocol):
    """Starts the pods of one deployment."""

    pods: Mapping[int, Path]

    @property
    def alive(self) -> bool:
        """Whether it can start more."""

    async def launch(self, folder: Path, environment: Mapping[str, str]) -> int:
        """Start a pod; gives its process id.

        Args:
            folder: its own.
            environment: beside that of its deployment.

        Raises:
            Unavailable: it could not be started.
        """

    async def exit_status(self, pid: int) -> int | None:
        """How a pod that has ended did: its status, minus a signal, or None where unknown."""

    async def stop(self) -> None:
        """Start no more; the pods that there are go on."""

    async def leave(self) -> None:
        """Leave it to whoever comes after; it goes on for a while."""


async def launcher_of(spec: PodSpec, run: Path) -> Launcher:
    """The best launcher for a deployment: its parent that still lives, a new one, or none.

    Args:
        spec: the deployment.
        run: private folder for its socket and its output.

    Raises:
        Unavailable: the deployment's bot.py cannot be loaded; the message says why.
    """
    path = parent_socket(run, spec.deployment_id)
    with contextlib.suppress(OSError):
        return await Parent.met(path)
    output = path.with_suffix(".log")
    try:
        with output.open("wb") as log:
            process = await _run(spec, "pipecatcloud_system.preload", str(path), output=log)
    except OSError as error:
        raise Unavailable(f"bot.py cannot be loaded ({error.strerror}).", 30) from None
    ended = asyncio.create_task(process.wait())
    try:
        async with asyncio.timeout(PREPARE_TIMEOUT_S):
            while not ended.done():
                with contextlib.suppress(OSError):
                    return await Parent.met(path, ended)
                await asyncio.sleep(0.02)
    except BaseException as error:
        # Nobody would ever meet it.
        signal_group(process.pid, None, signal.SIGKILL)
        if not isinstance(error, TimeoutError):
            raise
        text = f"bot.py took longer than {PREPARE_TIMEOUT_S:g} s to load."
        raise Unavailable(text, 30) from None
    said = last_words(output)
    if process.returncode == CANNOT_FORK:
        logger.warning("Pods of {} are started one by one: {}", spec.agent, said)
        return Spawner(spec)
    raise Unavailable(f"bot.py cannot be loaded: {said}", 30)


async def _run(
    spec: PodSpec, *module: str, output: BinaryIO, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Run a module with its arguments as a process of a deployment, in a group of its own.

    Raises:
        OSError: it cannot be started.
    """
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module),
        cwd=spec.folder,
        env=environment_of(spec) | dict(environment or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def parent_socket(run: Path, deployment_id: str) -> Path:
    """Where a deployment's parent listens."""
    return run / f"parent-{deployment_id[:8]}"


def environment_of(spec: PodSpec) -> dict[str, str]:
    """The environment of a deployment's processes: the operator's, without our own settings."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RUNTIME_")}
    # The folder's own modules come first, since `-m` puts the working directory before these.
    paths = [str(BUNDLE), inherited.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return {**inherited, **spec.environment, "PYTHONPATH": path}


def last_words(output: Path) -> str:
    """The end of what a process printed."""
    try:
        lines = output.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return (lines[-1] if lines else "it said nothing")[-MAX_TOLD_CHARS:]


class Launchers:
    """The deployments of one agent that are loaded."""

    def __init__(self, run: Path, met: Callable[[Mapping[int, Path]], None]) -> None:
        """Know none yet.

        Args:
            run: private folder for their sockets and their output.
            met: told the pods that a parent has, by process id, whenever one is met.
        """
        self._run = run
        self._met = met
        self._of: dict[str, Launcher] = {}
        self._loading = asyncio.Lock()

    async def load(self, spec: PodSpec) -> Launcher:
        """A deployment's launcher, which takes seconds to make where there is none.

        Raises:
            Unavailable: the deployment's bot.py cannot be loaded; the message says why.
        """
        # One that is there does not wait for another that is being loaded.
        if (launcher := self._living(spec)) is None:
            async with self._loading:
                if (launcher := self._living(spec)) is None:
                    launcher = self._of[spec.deployment_id] = await launcher_of(spec, self._run)
                    self._met(launcher.pods)
        return launcher

    def _living(self, spec: PodSpec) -> Launcher | None:
        launcher = self._of.get(spec.deployment_id)
        return launcher if launcher is not None and launcher.alive else None

    async def known(self, deployment_id: str) -> Launcher | None:
        """A deployment's launcher, if it is there: one of an earlier control plane too."""
        if (launcher := self._of.get(deployment_id)) is not None:
            return launcher
        async with self._loading:
            if deployment_id not in self._of:
                # A second connection would take the parent from the first.
                with contextlib.suppress(OSError):
                    parent = await Parent.met(parent_socket(self._run, deployment_id))
                    self._of[deployment_id] = parent
                    self._met(parent.pods)
        return self._of.get(deployment_id)

    def unused(self, used: set[str]) -> list[Launcher]:
        """Those of other deployments than these, which are forgotten with this."""
        return [self._of.pop(each) for each in set(self._of) - used]

    async def leave(self) -> None:
        """Leave all to whoever comes after."""
        for launcher in self._of.values():
            await launcher.leave()

    async def stop(self) -> None:
        """Have all end once their last pods have."""
        for launcher in self.unused(set()):
            await launcher.stop()


class Parent:
    """A connection to a deployment's warm parent, which forks its pods."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ended: asyncio.Task[int] | None,
        pods: Mapping[int, Path],
    ) -> None:
        self.pods = pods
        """Those that it had when it was met, by process id."""
        self._writer = writer
        self._ended = ended
        self._forked: dict[str, asyncio.Future[int]] = {}
        self._statuses: dict[int, asyncio.Future[int]] = {}
        self._listening = asyncio.create_task(self._listen(reader))

    @classmethod
    async def met(cls, path: Path, ended: asyncio.Task[int] | None = None) -> "Parent":
        """Connect to a parent that listens.

        Raises:
            OSError: none does.
        """
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1_000_000)
        try:
            async with asyncio.timeout(FORK_TIMEOUT_S):
                greeting: dict[str, Any] = json.loads(await reader.readline())
        except (TimeoutError, ValueError) as error:
            writer.close()
            raise ConnectionError(f"It does not say that it is ready ({error!r}).") from None
        except BaseException:
            writer.close()
            raise
        pods = {int(pid): Path(folder) for pid, folder in greeting["pods"].items()}
        return cls(reader, writer, ended, pods)

    async def launch(self, folder: Path, environment: Mapping[str, str]) -> int:
        """Have a pod forked."""
        forked = self._forked[str(folder)] = asyncio.get_running_loop().create_future()
        order = {"fork": str(folder), "environment": dict(environment)}
        try:
            if self._listening.done():
                raise ConnectionResetError
            self._writer.write(json.dumps(order).encode() + b"\n")
            async with asyncio.timeout(FORK_TIMEOUT_S):
                await self._writer.drain()
                pid: int = await forked
                return pid
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"The pods' parent does not answer ({error!r}).", 5) from None
        finally:
            self._forked.pop(str(folder), None)

    async def exit_status(self, pid: int) -> int | None:
        """The status that the parent has heard of, which it may be about to tell."""
        told = self._status(pid)
        if not self._listening.done():
            await asyncio.wait({told}, timeout=STATUS_TIMEOUT_S)
        self._statuses.pop(pid, None)
        return told.result() if told.done() else None

    async def stop(self) -> None:
        """Let the parent end once its last pod has."""
        with contextlib.suppress(OSError):
            self._writer.write(b'{"retire": true}\n')
            await self._writer.drain()
        await self.leave()

    async def leave(self) -> None:
        """Close the connection; parent and pods go on."""
        self._listening.cancel()
        await asyncio.wait({self._listening})
        self._writer.close()

    @property
    def alive(self) -> bool:
        """Whether the parent can be asked for more."""
        return not self._listening.done()

    def _status(self, pid: int) -> "asyncio.Future[int]":
        if pid not in self._statuses:
            self._statuses[pid] = asyncio.get_running_loop().create_future()
        return self._statuses[pid]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            event: dict[str, Any] = json.loads(line)
            match event["event"]:
                case "forked":
                    forked = self._forked.get(event["folder"])
                    if forked is not None and not forked.done():
                        forked.set_result(event["pid"])
                    else:
                        # Whoever wanted it has given up waiting.
                        signal_group(event["pid"], incarnation(event["pid"]), signal.SIGKILL)
                case "exited":
                    told = self._status(event["pid"])
                    if not told.done():
                        told.set_result(event["status"])
                    # Of some nobody asks: they have left word in a file too.
                    while len(self._statuses) > MAX_STATUSES:
                        del self._statuses[next(iter(self._statuses))]


class Spawner:
    """Starts pods one by one, each with its own imports."""

    alive = True
    pods: Mapping[int, Path] = {}

    def __init__(self, spec: PodSpec) -> None:
        self._spec = spec
        self._ended: dict[int, asyncio.Task[int]] = {}

    async def launch(self, folder: Path, environment: Mapping[str, str]) -> int:
        """Start a pod."""
        try:
            with (folder / "output.log").open("ab") as output:
                process = await _run(
                    self._spec, "pipecatcloud_system", output=output, environment=environment
                )
        except OSError as error:
            raise Unavailable(f"A pod cannot be started ({error.strerror}).", 5) from None
        self._ended[process.pid] = asyncio.create_task(process.wait())
        return process.pid

    async def exit_status(self, pid: int) -> int | None:
        """The status of a pod that this process has started."""
        ended = self._ended.pop(pid, None)
        return None if ended is None else await ended

    async def stop(self) -> None:
        """Nothing to stop."""

    async def leave(self) -> None:
        """Nothing to leave."""
