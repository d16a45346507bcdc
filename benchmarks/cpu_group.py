"""Holds a pod and all it starts to a share of CPU, and counts what it uses.

A cgroup where this process may make one (version 1 or 2, as root or delegated); it is what
containers get. Elsewhere a stand-in stops and continues the processes by the CPU time they used
in each period of 100 ms; it is told in `CpuGroup.name`, for its figures are only like a cgroup's.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

PERIOD_S = 0.1
"""Period of the quota, Linux's and Docker's default."""
CHECK_S = 0.004
"""How often the stand-in reads the CPU time."""
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Usage:
    """What a group has used since it was made.

    Attributes:
        cpu_s: seconds of CPU.
        periods: periods in which something ran.
        throttled: those of them in which the quota was used up.
        throttled_s: how long it was held then, its CPUs' times added up.
    """

    cpu_s: float
    periods: int
    throttled: int
    throttled_s: float

    def since(self, before: "Usage") -> "Usage":
        """What was used after an earlier reading."""
        return Usage(
            self.cpu_s - before.cpu_s,
            self.periods - before.periods,
            self.throttled - before.throttled,
            self.throttled_s - before.throttled_s,
        )


class CpuGroup(Protocol):
    """A group of processes that share a quota."""

    name: str

    def usage(self) -> Usage:
        """What it has used so far."""

    def close(self) -> None:
        """Let the processes go."""


@contextlib.contextmanager
def cpu_group(process: psutil.Process, cpus: float | None) -> Iterator[CpuGroup]:
    """Hold a process, its children and all that they will start to a share of CPU.

    Args:
        process: for example the pod's.
        cpus: seconds of CPU per second; None only counts.
    """
    group = _any_group(process, cpus)
    try:
        yield group
    finally:
        group.close()


def _any_group(process: psutil.Process, cpus: float | None) -> CpuGroup:
    for kind in (CgroupV2, CgroupV1):
        with contextlib.suppress(OSError):
            return kind(process, cpus)
    return DutyCycle(process, cpus)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants that live."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class _Cgroup:
    """Folders of the cgroup file system, made for one process and its family."""

    def __init__(self, process: psutil.Process, parents: list[Path], files: dict[str, str]) -> None:
        """Make the folders, write the files (by path below a folder's parent) and move in.

        Raises:
            OSError: this process may not.
        """
        self._folders = [parent / f"mouthpiece-{process.pid}" for parent in parents]
        try:
            for folder in self._folders:
                folder.mkdir(exist_ok=True)
                for name in files:
                    if (folder / name).exists():
                        (folder / name).write_text(files[name])
            self._move(family(process), self._folders)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Move the processes back and remove the folders."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                inside = (folder / "cgroup.procs").read_text().split()
                for pid in inside:
                    with contextlib.suppress(OSError):
                        (folder.parent / "cgroup.procs").write_text(pid)
                folder.rmdir()

    def _move(self, processes: list[psutil.Process], folders: list[Path]) -> None:
        for folder in folders:
            for process in processes:
                (folder / "cgroup.procs").write_text(str(process.pid))

    def _stat(self, folder: Path) -> dict[str, int]:
        lines = (folder / "cpu.stat").read_text().splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}


class CgroupV1(_Cgroup):
    """A cgroup of the controllers `cpu` and `cpuacct`."""

    name = "cgroup v1, cpu.cfs_quota_us"

    def __init__(self, process: psutil.Process, cpus: float | None) -> None:
        """See `cpu_group`."""
        period = round(PERIOD_S * 1e6)
        quota = -1 if cpus is None else round(cpus * period)
        files = {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)}
        super().__init__(process, [_own("cpu"), _own("cpuacct")], files)

    def usage(self) -> Usage:
        """What it has used so far."""
        stat = self._stat(self._folders[0])
        used_ns = int((self._folders[1] / "cpuacct.usage").read_text())
        throttled_s = stat["throttled_time"] / 1e9
        return Usage(used_ns / 1e9, stat["nr_periods"], stat["nr_throttled"], throttled_s)


class CgroupV2(_Cgroup):
    """A cgroup of the unified hierarchy."""

    name = "cgroup v2, cpu.max"

    def __init__(self, process: psutil.Process, cpus: float | None) -> None:
        """See `cpu_group`."""
        period = round(PERIOD_S * 1e6)
        quota = "max" if cpus is None else str(round(cpus * period))
        parent = _own("")
        if "cpu" not in (parent / "cgroup.controllers").read_text().split():
            raise OSError("the cpu controller is not in the unified hierarchy")
        (parent / "cgroup.subtree_control").write_text("+cpu")
        super().__init__(process, [parent], {"cpu.max": f"{quota} {period}"})

    def usage(self) -> Usage:
        """What it has used so far."""
        stat = self._stat(self._folders[0])
        periods, throttled = stat.get("nr_periods", 0), stat.get("nr_throttled", 0)
        throttled_s = stat.get("throttled_usec", 0) / 1e6
        return Usage(stat["usage_usec"] / 1e6, periods, throttled, throttled_s)


def _own(controller: str) -> Path:
    """This process's cgroup of a controller, or the root where it cannot be seen (containers)."""
    root = ROOT / controller
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (root / path.lstrip("/")).is_dir():
            return root / path.lstrip("/")
    if not root.is_dir():
        raise OSError(f"there is no {root}")
    return root


class DutyCycle:
    """The stand-in: SIGSTOP when a period's CPU is used up, SIGCONT when the next one begins.

    CPU times come in steps of 10 ms on Linux: what a period used too much, the next ones get less.
    """

    name = "a stand-in: no cgroup may be made here, so SIGSTOP and SIGCONT by CPU time used"

    def __init__(self, process: psutil.Process, cpus: float | None) -> None:
        """See `cpu_group`."""
        self._process = process
        self._quota_s = None if cpus is None else cpus * PERIOD_S
        self._begun_s = self._cpu_s()
        self._periods = self._throttled = 0
        self._throttled_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duty cycle", daemon=True)
        self._thread.start()

    def usage(self) -> Usage:
        """What it has used so far."""
        used_s = self._cpu_s() - self._begun_s
        return Usage(used_s, self._periods, self._throttled, self._throttled_s)

    def close(self) -> None:
        """Let the processes go."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        used_s, left_s = self._begun_s, 0.0
        while self._quota_s and not self._ended.is_set():
            ends_s = time.monotonic() + PERIOD_S
            left_s = min(left_s, 0.0) + self._quota_s
            self._periods += 1
            while (wait_s := ends_s - time.monotonic()) > 0 and not self._ended.is_set():
                now_s = self._cpu_s()
                left_s, used_s = left_s - max(0.0, now_s - used_s), now_s
                if left_s <= 0:
                    self._hold(wait_s)
                    break
                self._ended.wait(min(CHECK_S, wait_s))

    def _hold(self, seconds: float) -> None:
        stopped = family(self._process)
        self._throttled += 1
        self._throttled_s += seconds
        _signal(stopped, signal.SIGSTOP)
        try:
            self._ended.wait(seconds)
        finally:
            _signal(stopped, signal.SIGCONT)

    def _cpu_s(self) -> float:
        """CPU time of the family; what has ended counts through its parent."""
        total = 0.0
        for member in family(self._process):
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                total += times.user + times.system
        return total


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
