"""Pods as processes of this machine, each on a Unix socket in a folder of its own.

The folders are the engine's own record: a control plane that starts anew finds in them which pods
there are and what session each was claimed for. All pods run as the user who runs the control
plane and trust one another.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from loguru import logger

from runtime.launchers import Launcher, Parent, last_words, launcher_of, parent_socket
from runtime.pods import (
    NoCapacity,
    Pod,
    PodEvent,
    PodSpec,
    PodState,
    Snapshot,
    Unavailable,
)
from runtime.processes import ProcessWatch, incarnation, signal_group
from runtime.tails import LogLine, Tail
from runtime.tasks import Tasks

READY_TIMEOUT_S = 60.0
"""From a pod's start to its /readyz."""
PROBE_EVERY_S = (0.01, 0.25)
"""Between two looks at a starting pod: the first, and the longest, to which they grow."""
IDLE_BUFFER_S = 30.0
"""How long a pod that nobody has claimed is kept beyond those that are to be kept warm."""
PARENT_IDLE_S = 300.0
"""How long a deployment without pods stays loaded."""
BUSY_RETRY_S = 5.0
MAX_PAUSE_S = 60.0
"""Between two tries to start pods that fail."""
EVENTS_KEPT = 10_000
GRACE_S = 10.0
READ_LOGS_EVERY_S = 0.5
EXIT_FAILED = 70
"""A pod's exit status where its session failed."""

Lines = Callable[[Pod, "list[LogLine]"], None]
"""Takes what a pod has logged; must not block."""


@dataclass(eq=False)
class _Process:
    """A pod as it is kept here."""

    folder: Path
    deployment_id: str
    pid: int = 0
    id: str = ""
    """Its incarnation."""
    state: PodState = "starting"
    session_id: str | None = None
    cold: bool = False
    ready: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    since_s: float = 0.0
    """When it became ready, on the event loop's clock."""
    watch: ProcessWatch | None = None
    tail: Tail | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pod(self) -> Pod:
        return Pod(
            self.id,
            f"unix:{self.folder / 'sock'}",
            self.state,
            self.session_id,
            self.deployment_id,
            self.cold,
            self.pid,
        )


class LocalPods:
    """The pods of one agent on this machine."""

    def __init__(
        self,
        agent: str,
        run: Path,
        *,
        events_socket: Path | None = None,
        lines: Lines = lambda pod, lines: None,
        idle_buffer_s: float = IDLE_BUFFER_S,
        parent_idle_s: float = PARENT_IDLE_S,
    ) -> None:
        """Take over the pods of this agent that live.

        Args:
            agent: its name.
            run: private folder, mode 0700, for sockets and records; its path must be short.
            events_socket: where pods tell what happens to their sessions.
            lines: told what pods log.
            idle_buffer_s: see IDLE_BUFFER_S.
            parent_idle_s: see PARENT_IDLE_S.
        """
        self._agent = agent
        self._run = run
        self._events_socket = events_socket
        self._lines = lines
        self._idle_buffer_s = idle_buffer_s
        self._parent_idle_s = parent_idle_s
        self._loop = asyncio.get_running_loop()
        self._spec: PodSpec | None = None
        self._warm = 0
        self._limit = 0
        self._launchers: dict[str, Launcher] = {}
        self._loading = asyncio.Lock()
        self._processes: set[_Process] = set()
        self._tasks = Tasks()
        self._events: deque[tuple[int, PodEvent]] = deque(maxlen=EVENTS_KEPT)
        self._last_event = 0
        self._happened = asyncio.Event()
        self._disturbed = asyncio.Event()
        self._failures = 0
        self._not_before_s = 0.0
        self._used_s = self._loop.time()
        self._adopt()
        self._tending = self._tasks.spawn(self._tend())
        self._tasks.spawn(self._read_logs())

    # --- the interface -----------------------------------------------------------------------

    async def ensure(self, spec: PodSpec, warm: int, limit: int) -> None:
        """Have pods of this spec; see PodBackend."""
        if self._spec is None or self._spec.deployment_id != spec.deployment_id:
            if warm:
                await self._launcher(spec)
            self._failures, self._not_before_s = 0, 0.0
        self._spec, self._warm, self._limit = spec, warm, limit
        self._disturbed.set()

    async def check(self, spec: PodSpec) -> None:
        """Load a spec's bot.py, to see whether pods can be made of it.

        Raises:
            Unavailable: they cannot; the message says why.
        """
        await self._launcher(spec)
        self._disturbed.set()

    async def claim(self, session_id: str, deadline: float) -> Pod:
        """A ready pod for this session; see PodBackend."""
        for known in self._processes:
            if known.session_id == session_id:
                return await self._ready(known, deadline)
        spec = self._spec
        if spec is None:
            raise Unavailable(f"{self._agent} has no deployment.", BUSY_RETRY_S)
        # From here to where the claim is noted nothing waits: two claims never count the same.
        if sum(each.session_id is not None for each in self._processes) >= self._limit:
            raise NoCapacity(BUSY_RETRY_S)
        process = self._free(spec.deployment_id)
        if process is None:
            process = self._start(spec, cold=True)
        process.session_id = session_id
        (process.folder / "claim").write_text(session_id)
        self._used_s = self._loop.time()
        self._disturbed.set()
        return await self._ready(process, deadline)

    async def release(self, pod_id: str, grace_s: float) -> None:
        """End a pod; see PodBackend."""
        for process in self._processes:
            if process.id == pod_id:
                await self._end(process, grace_s)
                return

    async def list(self) -> Snapshot:
        """All pods there are; see PodBackend."""
        pods = tuple(process.pod for process in self._processes if process.id)
        return Snapshot(pods, str(self._last_event))

    async def watch(self, cursor: str) -> AsyncIterator[PodEvent]:
        """What happens from there on; see PodBackend."""
        seen = int(cursor)
        while True:
            happened = self._happened
            if self._events and self._events[0][0] > seen + 1:
                seen = self._last_event
                yield PodEvent("resync", cursor=str(seen))
            for number, event in list(self._events):
                if number > seen:
                    seen = number
                    yield event
            if seen == self._last_event:
                await happened.wait()

    # --- besides -----------------------------------------------------------------------------

    @property
    def claimed(self) -> int:
        """How many pods are claimed."""
        return sum(process.session_id is not None for process in self._processes)

    @property
    def failing(self) -> bool:
        """Whether pods could not be started of late."""
        return self._failures > 0

    async def close_door(self) -> None:
        """Take no more claims and end what nobody has claimed; sessions go on."""
        self._limit = self._warm = 0
        self._disturbed.set()

    async def leave(self) -> None:
        """Stop tending; the pods go on, for a control plane that comes after."""
        await self._tasks.cancel()
        for process in self._processes:
            if process.watch is not None:
                process.watch.stop()
        for launcher in self._launchers.values():
            await launcher.leave()

    async def close(self, grace_s: float) -> None:
        """End every pod, and the parents."""
        self._tending.cancel()
        await asyncio.gather(*(self._end(each, grace_s) for each in list(self._processes)))
        for launcher in self._launchers.values():
            await launcher.stop()
        self._launchers.clear()
        await self.leave()

    # --- pods --------------------------------------------------------------------------------

    def _free(self, deployment_id: str) -> _Process | None:
        """The unclaimed pod of a deployment that is ready, or will be first."""
        free = [
            each
            for each in self._processes
            if each.session_id is None
            and each.state in ("starting", "warm")
            and each.deployment_id == deployment_id
        ]
        return min(free, key=lambda each: (each.state != "warm", each.since_s), default=None)

    async def _ready(self, process: _Process, deadline: float) -> Pod:
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(process.ready)
        except TimeoutError:
            self._tasks.spawn(self._end(process, 0.0))
            raise Unavailable("No pod was ready in time.", BUSY_RETRY_S) from None
        except asyncio.CancelledError:
            # Whoever claimed it has gone.
            self._tasks.spawn(self._end(process, 0.0))
            raise
        if process.state == "draining" or process.gone.is_set():
            raise Unavailable("The pod ended before its session began.", BUSY_RETRY_S)
        process.state = "claimed"
        return process.pod

    def _start(self, spec: PodSpec, cold: bool) -> _Process:
        """Begin to start a pod; its record is there when this returns."""
        folder = self._run / "pods" / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True, mode=0o700)
        process = _Process(folder, spec.deployment_id, cold=cold, since_s=self._loop.time())
        # Nobody need ask how it went.
        process.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._processes.add(process)
        self._note(process)
        self._tasks.spawn(self._bring_up(spec, process))
        return process

    def _note(self, process: _Process) -> None:
        """Leave what a later control plane must know of a pod."""
        record = {
            "agent": self._agent,
            "deployment": process.deployment_id,
            "pid": process.pid,
            "id": process.id,
        }
        draft = process.folder / "pod.new"
        draft.write_text(json.dumps(record))
        draft.replace(process.folder / "pod.json")

    async def _bring_up(self, spec: PodSpec, process: _Process) -> None:
        """Start a pod's process and wait until it is ready."""
        environment = {
            "SOCKET": str(process.folder / "sock"),
            "PCC_LOG_DIR": str(process.folder),
            "SINGLE_SESSION": "true",
            "PIPECAT_ALLOWED_ORIGINS": "*",
        }
        if self._events_socket is not None:
            environment["PIPECAT_EVENT_PUBLISHER_ENDPOINT"] = f"unix:{self._events_socket}"
        try:
            launcher = await self._launcher(spec)
            process.pid = await launcher.launch(process.folder, environment)
        except Unavailable as error:
            self._fail(process, error)
            return
        if (name := incarnation(process.pid)) is None:
            await self._over(process)
            return
        process.id = name
        self._note(process)
        self._mind(process)
        await self._probe(process)

    def _mind(self, process: _Process) -> None:
        process.watch = ProcessWatch(process.pid, lambda: self._gone(process))

    def _gone(self, process: _Process) -> None:
        self._tasks.spawn(self._over(process))

    async def _probe(self, process: _Process) -> None:
        """Wait until a pod says that it is ready."""
        pause_s, longest_s = PROBE_EVERY_S
        connector = aiohttp.UnixConnector(str(process.folder / "sock"))
        try:
            async with (
                asyncio.timeout(READY_TIMEOUT_S),
                aiohttp.ClientSession(connector=connector) as client,
            ):
                while not process.gone.is_set():
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with client.get("http://localhost/readyz") as response:
                            if response.status == 200:
                                break
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 1.1, longest_s)
        except TimeoutError:
            self._fail(process, Unavailable("The pod was not ready in time.", BUSY_RETRY_S))
            await self._end(process, 0.0)
            return
        if process.gone.is_set() or process.ready.done() or process.state == "draining":
            return
        self._failures = 0
        process.since_s = self._loop.time()
        process.state = "claimed" if process.session_id is not None else "warm"
        process.ready.set_result(None)
        self._tell(PodEvent("ready", process.pod))
        self._disturbed.set()

    def _fail(self, process: _Process, error: Unavailable) -> None:
        """A pod did not come to be ready."""
        logger.error("{}: a pod could not start: {}", self._agent, error)
        self._failures += 1
        self._not_before_s = self._loop.time() + min(2.0**self._failures, MAX_PAUSE_S)
        if not process.ready.done():
            process.ready.set_exception(error)
        if not process.id:
            self._forget(process)
        self._disturbed.set()

    async def _end(self, process: _Process, grace_s: float) -> None:
        """End a pod, and wait until it has ended."""
        if not process.id:
            # It is being started: its start sees that it is not wanted any more.
            process.state = "draining"
            await asyncio.wait({process.ready}, timeout=READY_TIMEOUT_S)
            if not process.id:
                return
        process.state = "draining"
        if grace_s > 0:
            # Cancels its session; SIGTERM would let that go on.
            with contextlib.suppress(ProcessLookupError):
                if incarnation(process.pid) == process.id:
                    os.kill(process.pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.gone.wait()
        if not process.gone.is_set():
            signal_group(process.pid, process.id, signal.SIGKILL)
            await process.gone.wait()

    async def _over(self, process: _Process) -> None:
        """A pod's process has ended."""
        if process.gone.is_set():
            return
        process.gone.set()
        # What it started, a voice for example, ends with it.
        signal_group(process.pid, None, signal.SIGKILL)
        launcher = await self._known_launcher(process.deployment_id)
        status = None if launcher is None else await launcher.exit_status(process.pid)
        wanted = process.state == "draining"
        reason = _reason(status, wanted)
        failed = status not in (0, None) and not wanted
        if not process.ready.done():
            said = last_words(process.folder / "output.log")
            self._fail(process, Unavailable(f"The pod ended while it started: {said}", 5))
        self._tell(PodEvent("gone", process.pod, reason, failed))
        await self._read_log(process, last=True)
        self._forget(process)
        self._disturbed.set()

    def _forget(self, process: _Process) -> None:
        self._processes.discard(process)
        process.gone.set()
        shutil.rmtree(process.folder, ignore_errors=True)

    def _tell(self, event: PodEvent) -> None:
        self._last_event += 1
        numbered = PodEvent(
            event.kind, event.pod, event.reason, event.failed, str(self._last_event)
        )
        self._events.append((self._last_event, numbered))
        happened, self._happened = self._happened, asyncio.Event()
        happened.set()

    # --- tending -----------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Keep as many warm pods as are wanted, and no more."""
        # A parent that nobody speaks to ends after a while.
        for deployment_id in {each.deployment_id for each in self._processes}:
            await self._known_launcher(deployment_id)
        while True:
            pause_s = self._tend_once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._disturbed.wait()
            self._disturbed.clear()

    def _tend_once(self) -> float:
        """Do what is to be done now; gives for how long nothing will be, unless disturbed."""
        now_s, pause_s = self._loop.time(), self._idle_buffer_s
        spec = self._spec
        if spec is None:
            return pause_s
        free = [
            each
            for each in self._processes
            if each.session_id is None and each.state in ("starting", "warm")
        ]
        for process in free:
            if process.deployment_id != spec.deployment_id or not self._limit:
                self._tasks.spawn(self._end(process, GRACE_S))
        current = [each for each in free if each.deployment_id == spec.deployment_id]
        taken = len(self._processes) - len(free)
        wanted = max(0, min(self._warm, self._limit - taken))
        if len(current) < wanted:
            if now_s >= self._not_before_s:
                for _ in range(wanted - len(current)):
                    self._start(spec, cold=False)
            else:
                pause_s = min(pause_s, self._not_before_s - now_s)
        for process in sorted(current, key=lambda each: each.since_s)[: len(current) - wanted]:
            left_s = process.since_s + self._idle_buffer_s - now_s
            if left_s <= 0 and process.state == "warm":
                self._tasks.spawn(self._end(process, GRACE_S))
            else:
                pause_s = min(pause_s, max(left_s, 0.1))
        self._retire_parents(spec, now_s)
        return pause_s

    def _retire_parents(self, spec: PodSpec, now_s: float) -> None:
        """Let go of the parents of older deployments, and of one that is not used."""
        idle = not self._warm and now_s - self._used_s > self._parent_idle_s
        for deployment_id, launcher in list(self._launchers.items()):
            used = any(each.deployment_id == deployment_id for each in self._processes)
            if not used and (deployment_id != spec.deployment_id or idle):
                del self._launchers[deployment_id]
                self._tasks.spawn(launcher.stop())

    async def _launcher(self, spec: PodSpec) -> Launcher:
        async with self._loading:
            launcher = self._launchers.get(spec.deployment_id)
            if launcher is None or not launcher.alive:
                launcher = await launcher_of(spec, self._run)
                self._launchers[spec.deployment_id] = launcher
                self._used_s = self._loop.time()
        return launcher

    async def _known_launcher(self, deployment_id: str) -> Launcher | None:
        """The launcher that knows of a deployment's pods, if it lives."""
        if deployment_id not in self._launchers:
            with contextlib.suppress(OSError):
                parent = await Parent.met(parent_socket(self._run, deployment_id))
                self._launchers.setdefault(deployment_id, parent)
        return self._launchers.get(deployment_id)

    # --- logs --------------------------------------------------------------------------------

    async def _read_logs(self) -> None:
        """Hand on what pods log, while they run."""
        while True:
            await asyncio.sleep(READ_LOGS_EVERY_S)
            for process in list(self._processes):
                if process.id and not process.gone.is_set():
                    await self._read_log(process)

    async def _read_log(self, process: _Process, last: bool = False) -> None:
        if process.tail is None:
            process.tail = Tail(process.folder)
        lines = await asyncio.to_thread(process.tail.read, last)
        if lines:
            self._lines(process.pod, lines)

    # --- those that were there ---------------------------------------------------------------

    def _adopt(self) -> None:
        """Find this agent's pods of an earlier control plane in their folders."""
        for folder in sorted((self._run / "pods").glob("*")):
            try:
                record = json.loads((folder / "pod.json").read_text())
            except (OSError, ValueError):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if record["agent"] != self._agent:
                continue
            claim = folder / "claim"
            process = _Process(folder, record["deployment"], record["pid"], record["id"])
            process.session_id = claim.read_text() if claim.is_file() else None
            if not process.id or incarnation(process.pid) != process.id:
                # Ended meanwhile, or never begun.
                self._lines(process.pod, Tail(folder).read(last=True))
                self._forget(process)
                continue
            self._processes.add(process)
            self._mind(process)
            if process.session_id is not None:
                process.state = "claimed"
                process.ready.set_result(None)
            else:
                self._tasks.spawn(self._probe(process))


def _reason(status: int | None, wanted: bool) -> str:
    """How a pod ended, in words."""
    if wanted:
        return "ended on request"
    match status:
        case None:
            return "the pod ended, nobody knows how"
        case 0:
            return "ended by itself"
        case _ if status == EXIT_FAILED:
            return "the bot failed"
        case _ if status < 0:
            with contextlib.suppress(ValueError):
                return f"the pod was killed ({signal.Signals(-status).name})"
            return f"the pod was killed (signal {-status})"
        case _:
            return f"the pod ended with status {status}"
