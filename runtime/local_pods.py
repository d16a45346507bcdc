"""Pods as processes of this machine, each on a Unix socket in a folder of its own.

The folders are the engine's own record: a control plane that starts anew finds in them which pods
there are and what session each was claimed for. All pods run as the user who runs the control
plane and trust one another.
"""

import asyncio
import contextlib
import shutil
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from loguru import logger

from runtime.cgroups import ControlGroups
from runtime.launchers import Launchers, last_words
from runtime.local_process import LocalProcess, exit_reason
from runtime.pod_events import PodEvents
from runtime.pods import NoCapacity, Pod, PodEvent, PodSpec, Snapshot, Unavailable
from runtime.processes import ProcessWatch, incarnation, signal_group
from runtime.tails import LogLine
from runtime.tasks import Tasks

Lines = Callable[[Pod, list[LogLine]], None]
"""Takes what a pod has logged; must not block."""

IDLE_BUFFER_S = 30.0
"""How long a pod that nobody has claimed is kept beyond those that are to be kept warm."""
REPLACE_AFTER_S = 0.1
"""How long after a claim another pod is started in its place: both at once take longer."""
PARENT_IDLE_S = 300.0
"""How long a deployment without pods stays loaded."""
BUSY_RETRY_S = 5.0
MAX_PAUSE_S = 60.0
"""Between two tries to start pods that fail."""
GRACE_S = 10.0
READ_LOGS_EVERY_S = 0.5


class LocalPods:
    """The pods of one agent on this machine."""

    def __init__(
        self,
        agent: str,
        run: Path,
        *,
        events_socket: Path | None = None,
        groups: ControlGroups | None = None,
        lines: Lines = lambda pod, lines: None,
        idle_buffer_s: float = IDLE_BUFFER_S,
        parent_idle_s: float = PARENT_IDLE_S,
    ) -> None:
        """Take over the pods of this agent that live.

        Args:
            agent: its name.
            run: private folder, mode 0700, for sockets and records; its path must be short.
            events_socket: where pods tell what happens to their sessions.
            groups: where their limits are set; None: they have none.
            lines: told what pods log.
            idle_buffer_s: see IDLE_BUFFER_S.
            parent_idle_s: see PARENT_IDLE_S.
        """
        self._agent = agent
        self._run = run
        self._events_socket = events_socket
        self._groups = groups
        self._lines = lines
        self._idle_buffer_s = idle_buffer_s
        self._parent_idle_s = parent_idle_s
        self._loop = asyncio.get_running_loop()
        self._spec: PodSpec | None = None
        self._specs: dict[str, PodSpec] = {}
        self._warm = 0
        self._limit = 0
        self._launchers = Launchers(run, self._end_strangers)
        self._processes: set[LocalProcess] = set()
        self._tasks = Tasks()
        self._ending = Tasks()
        self._events = PodEvents()
        self._gone: tuple[PodEvent, ...] = ()
        self._disturbed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._failures = 0
        self._not_before_s = 0.0
        self._used_s = self._loop.time()
        (run / "pods").mkdir(exist_ok=True)
        self._adopt()
        self._tending = self._tasks.spawn(self._tend())
        self._tasks.spawn(self._read_logs())

    # --- the interface -----------------------------------------------------------------------

    async def ensure(self, spec: PodSpec, warm: int, limit: int) -> None:
        """Have pods of this spec; see PodBackend."""
        if self._spec is None or self._spec.deployment_id != spec.deployment_id:
            if warm:
                await self._launchers.load(spec)
            self._failures, self._not_before_s = 0, 0.0
        self._spec, self._warm, self._limit = spec, warm, limit
        self._specs[spec.deployment_id] = spec
        self._disturbed.set()

    async def check(self, spec: PodSpec) -> None:
        """Load a spec's bot.py, to see whether pods can be made of it.

        Raises:
            Unavailable: they cannot; the message says why.
        """
        await self._launchers.load(spec)

    async def claim(self, session_id: str, deadline: float) -> Pod:
        """A ready pod for this session; see PodBackend."""
        for known in self._processes:
            if known.session_id == session_id:
                return await self._ready(known, deadline)
        spec = self._spec
        if spec is None:
            raise Unavailable(f"{self._agent} has no deployment.", BUSY_RETRY_S)
        # From here to where the claim is noted nothing waits: two claims never count the same.
        if self.claimed >= self._limit:
            raise NoCapacity(BUSY_RETRY_S)
        process = self._free(spec.deployment_id)
        if process is None:
            process = self._start(spec, cold=True)
        try:
            process.claim(session_id)
        except OSError as error:
            raise Unavailable(f"No pod can be claimed ({error.strerror}).", 5) from None
        if process.state == "warm":
            process.state = "claimed"
        self._used_s = self._loop.time()
        self._disturbed.set()
        return await self._ready(process, deadline)

    async def release(self, pod_id: str, grace_s: float) -> None:
        """End a pod; see PodBackend."""
        for process in self._processes:
            if process.id == pod_id:
                await process.end(grace_s)
                return

    async def list(self) -> Snapshot:
        """All pods there are; see PodBackend."""
        # One whose end is just being told is not there any more.
        pods = tuple(
            process.pod for process in self._processes if process.id and not process.gone.is_set()
        )
        return Snapshot(pods, self._events.cursor, self._gone)

    def watch(self, cursor: str) -> AsyncIterator[PodEvent]:
        """What happens from there on; see PodBackend."""
        return self._events.after(cursor)

    # --- besides -----------------------------------------------------------------------------

    @property
    def claimed(self) -> int:
        """How many pods are claimed."""
        return sum(
            each.session_id is not None and not each.gone.is_set() for each in self._processes
        )

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
        await self._ending.cancel()
        for process in self._processes:
            if process.watch is not None:
                process.watch.stop()
        await self._launchers.leave()

    async def close(self, grace_s: float) -> None:
        """End every pod, and the parents."""
        self._tending.cancel()
        await asyncio.gather(*(each.end(grace_s) for each in list(self._processes)))
        # Their ends are still being told.
        await self._ending.settle(GRACE_S)
        await self._launchers.stop()
        await self.leave()

    # --- pods --------------------------------------------------------------------------------

    def _free(self, deployment_id: str) -> LocalProcess | None:
        """The unclaimed pod of a deployment that is ready, or will be first."""
        free = [
            each for each in self._processes if each.free and each.deployment_id == deployment_id
        ]
        return min(free, key=lambda each: (each.state != "warm", each.since_s), default=None)

    async def _ready(self, process: LocalProcess, deadline: float) -> Pod:
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(process.ready)
        except TimeoutError:
            self._tasks.spawn(process.end(0.0))
            raise Unavailable("No pod was ready in time.", BUSY_RETRY_S) from None
        except asyncio.CancelledError:
            # Whoever claimed it has gone.
            self._tasks.spawn(process.end(0.0))
            raise
        if process.state == "draining" or process.gone.is_set():
            raise Unavailable("The pod ended before its session began.", BUSY_RETRY_S)
        return process.pod

    def _start(self, spec: PodSpec, cold: bool) -> LocalProcess:
        """Begin to start a pod; its record is there when this returns.

        Raises:
            Unavailable: not even that can be written.
        """
        process = LocalProcess(
            self._run / "pods" / uuid.uuid4().hex[:8],
            self._agent,
            spec.deployment_id,
            cold=cold,
            since_s=self._loop.time(),
        )
        try:
            process.folder.mkdir(mode=0o700)
            process.note()
        except OSError as error:
            process.forget()
            raise Unavailable(f"No pod can be started ({error.strerror}).", BUSY_RETRY_S) from None
        self._processes.add(process)
        self._tasks.spawn(self._bring_up(spec, process))
        return process

    async def _bring_up(self, spec: PodSpec, process: LocalProcess) -> None:
        """Start a pod's process and wait until it is ready."""
        environment = {
            "SOCKET": str(process.folder / "sock"),
            "PCC_LOG_DIR": str(process.folder),
            "SINGLE_SESSION": "true",
            # Only the control plane can reach it, and asks who is allowed to.
            "PIPECAT_ALLOWED_ORIGINS": "*",
        }
        if self._events_socket is not None:
            environment["PIPECAT_EVENT_PUBLISHER_ENDPOINT"] = f"unix:{self._events_socket}"
        try:
            launcher = await self._launchers.load(spec)
            process.pid = await launcher.launch(process.folder, environment)
            process.id = incarnation(process.pid) or ""
            if process.id:
                process.note()
        except (Unavailable, OSError) as error:
            if process.id:
                signal_group(process.pid, process.id, signal.SIGKILL)
            if isinstance(error, OSError):
                error = Unavailable(f"No pod can be started ({error.strerror}).", BUSY_RETRY_S)
            self._fail(process, error)
            self._forget(process)
            return
        if not process.id:
            await self._over(process, time.time())
            return
        process.watch = self._watched(process)
        if process.state == "draining":
            await process.end(0.0)
        else:
            await self._await_ready(process)

    async def _await_ready(self, process: LocalProcess) -> None:
        ready = await process.probe()
        if process.gone.is_set() or process.state == "draining":
            return
        if not ready:
            self._fail(process, Unavailable("The pod was not ready in time.", BUSY_RETRY_S))
            await process.end(0.0)
            return
        self._failures = 0
        if self._groups is not None and (spec := self._specs.get(process.deployment_id)):
            # Only now: its start need not be slow too.
            self._groups.hold(process.folder.name, process.pid, spec.cpu, spec.memory_bytes)
        process.since_s = self._loop.time()
        process.state = "warm" if process.session_id is None else "claimed"
        process.ready.set_result(None)
        self._events.add(PodEvent("ready", process.pod))
        self._disturbed.set()

    def _fail(self, process: LocalProcess, error: Unavailable) -> None:
        """A pod did not come to be ready."""
        logger.error("{}: a pod could not start: {}", self._agent, error)
        self._pause()
        if not process.ready.done():
            process.ready.set_exception(error)
        self._disturbed.set()

    def _pause(self) -> None:
        """Start the next warm pod later, and later still if that fails too."""
        self._failures += 1
        self._not_before_s = self._loop.time() + min(2.0**self._failures, MAX_PAUSE_S)

    def _watched(self, process: LocalProcess) -> ProcessWatch:
        def ended() -> None:
            self._ending.spawn(self._over(process, time.time()))

        return ProcessWatch(process.pid, ended)

    async def _exit(self, process: LocalProcess, at_s: float) -> tuple[int | None, float]:
        """A pod's exit status, and when it ended; we have seen it at a time."""
        told, left = None, process.status()
        if left is None and (launcher := await self._launchers.known(process.deployment_id)):
            told = await launcher.exit_status(process.pid)
            # It may have been told to a control plane that was just being killed.
            left = process.status()
        # Its parent was there when we, perhaps, were only just starting.
        return (told, at_s) if left is None else (left[0], min(left[1], at_s))

    async def _over(self, process: LocalProcess, at_s: float) -> None:
        """A pod's process has ended, at a time in seconds since the epoch."""
        if process.gone.is_set():
            return
        process.gone.set()
        # What it started, a voice for example, ends with it.
        signal_group(process.pid, None, signal.SIGKILL)
        status, at_s = await self._exit(process, at_s)
        wanted = process.state == "draining"
        reason = exit_reason(status, wanted)
        if self._groups is not None:
            if self._groups.ran_out(process.folder.name) and not wanted:
                reason = "the pod needed more memory than its profile has"
            self._groups.drop(process.folder.name)
        if not process.ready.done():
            said = last_words(process.folder / "output.log")
            error = Unavailable(f"The pod ended while it started: {said}", BUSY_RETRY_S)
            if wanted:
                process.ready.set_exception(error)
            else:
                self._fail(process, error)
        failed = status not in (0, None) and not wanted
        if process.state == "warm":
            # Nobody had claimed it or wanted its end.
            self._pause()
        self._events.add(PodEvent("gone", process.pod, reason, failed, at_s=at_s))
        await self._read(process, last=True)
        self._forget(process)
        self._disturbed.set()

    def _forget(self, process: LocalProcess) -> None:
        self._processes.discard(process)
        process.gone.set()
        process.forget()

    # --- tending -----------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Keep as many warm pods as are wanted, and no more."""
        # A parent that nobody speaks to ends after a while.
        for deployment_id in {each.deployment_id for each in self._processes}:
            await self._launchers.known(deployment_id)
        while True:
            try:
                pause_s = self._tend_once()
            except Unavailable as error:
                logger.error("{}: {}", self._agent, error)
                pause_s = BUSY_RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._disturbed.wait()
                # The session that has just been given a pod comes first.
                await asyncio.sleep(REPLACE_AFTER_S)
            self._disturbed.clear()

    def _tend_once(self) -> float:
        """Do what is to be done now; gives for how long nothing will be, unless disturbed."""
        now_s, pause_s = self._loop.time(), self._idle_buffer_s
        spec = self._spec
        free = [each for each in self._processes if each.free]
        for process in free:
            if spec is None or process.deployment_id != spec.deployment_id or not self._limit:
                self._tasks.spawn(process.end(GRACE_S))
        if spec is None:
            # Of an agent that is not deployed any more.
            self._retire_parents({each.deployment_id for each in self._processes})
            return pause_s
        current = [each for each in free if each.deployment_id == spec.deployment_id]
        taken = sum(not each.gone.is_set() for each in self._processes) - len(free)
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
                self._tasks.spawn(process.end(GRACE_S))
            else:
                pause_s = min(pause_s, max(left_s, 0.1))
        used = {each.deployment_id for each in self._processes}
        for deployment_id in set(self._specs) - used - {spec.deployment_id}:
            del self._specs[deployment_id]
        if self._warm or now_s - self._used_s <= self._parent_idle_s:
            used.add(spec.deployment_id)
        self._retire_parents(used)
        return pause_s

    def _retire_parents(self, used: set[str]) -> None:
        """Let go of the parents of other deployments than these."""
        for launcher in self._launchers.unused(used):
            self._tasks.spawn(launcher.stop())

    def _end_strangers(self, pods: Mapping[int, Path]) -> None:
        """End pods that were forked for a control plane that was no more when they were there."""
        known = {process.folder for process in self._processes}
        for pid, folder in pods.items():
            if folder not in known:
                signal_group(pid, incarnation(pid), signal.SIGKILL)

    # --- logs --------------------------------------------------------------------------------

    async def _read_logs(self) -> None:
        """Hand on what pods log, while they run."""
        while True:
            await asyncio.sleep(READ_LOGS_EVERY_S)
            running = [each for each in self._processes if each.id and not each.gone.is_set()]
            await self._read(*running)

    async def _read(self, *processes: LocalProcess, last: bool = False) -> None:
        """Hand on what these have logged since they were last asked; at the last, all of it."""
        # In one thread, one after the other: what two read at once is told twice.
        async with self._reading:
            told = await asyncio.to_thread(lambda: [each.tail.read(last) for each in processes])
        for process, lines in zip(processes, told, strict=True):
            if lines:
                self._lines(process.pod, lines)

    # --- those that were there ---------------------------------------------------------------

    def _adopt(self) -> None:
        """Find this agent's pods of an earlier control plane in their folders."""
        for folder in sorted((self._run / "pods").glob("*")):
            process = LocalProcess.noted(folder)
            if process is None:
                shutil.rmtree(folder, ignore_errors=True)
            if process is None or process.agent != self._agent:
                continue
            if not process.lives:
                # Ended meanwhile, or never begun.
                if process.session_id is not None and (left := process.status()) is not None:
                    status, at_s = left
                    reason = exit_reason(status, wanted=False)
                    self._gone += (PodEvent("gone", process.pod, reason, status != 0, at_s=at_s),)
                if lines := process.tail.read(last=True):
                    self._lines(process.pod, lines)
                self._forget(process)
                continue
            self._processes.add(process)
            process.watch = self._watched(process)
            if process.session_id is not None:
                process.state = "claimed"
                process.ready.set_result(None)
            else:
                self._tasks.spawn(self._await_ready(process))
