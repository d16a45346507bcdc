"""What a pod may use of this machine, where the system's control groups let us say so."""

import contextlib
import os
from pathlib import Path

from loguru import logger

ROOT = Path("/sys/fs/cgroup")
OURS = "mouthpiece"
PERIOD_US = 100_000


class ControlGroups:
    """A group for each pod, with its share of CPU and its limit of memory.

    Version 2 needs a group that was delegated to us (systemd: Delegate=yes), version 1 one that we
    may write to. Elsewhere pods use what there is; their operator is told once.
    """

    def __init__(self) -> None:
        self._cpu: Path | None = None
        self._memory: Path | None = None
        self._left: set[Path] = set()
        self._unified = (ROOT / "cgroup.controllers").is_file()
        try:
            paths = _own_groups()
            if self._unified:
                self._cpu = self._memory = _delegated(ROOT / paths[""].lstrip("/"))
            else:
                self._cpu = _made(ROOT / "cpu" / paths["cpu"].lstrip("/") / OURS)
                self._memory = _made(ROOT / "memory" / paths["memory"].lstrip("/") / OURS)
        except (OSError, KeyError) as error:
            logger.info("Pods have no limits of CPU and memory here ({})", error)

    @property
    def limit(self) -> bool:
        """Whether limits can be set."""
        return self._cpu is not None and self._memory is not None

    def hold(self, name: str, pid: int, cpu: float | None, memory_bytes: int | None) -> None:
        """Put a process, and all that it will start, under limits.

        Args:
            name: of its group.
            pid: the process.
            cpu: CPUs; None: no limit.
            memory_bytes: None: no limit.
        """
        if self._cpu is None or self._memory is None:
            return
        quota = -1 if cpu is None else round(cpu * PERIOD_US)
        try:
            for group in {self._cpu / name, self._memory / name}:
                group.mkdir(exist_ok=True)
            if self._unified:
                group = self._cpu / name
                most = "max" if quota < 0 else str(quota)
                (group / "cpu.max").write_text(f"{most} {PERIOD_US}")
                (group / "memory.max").write_text(str(memory_bytes or "max"))
            else:
                (self._cpu / name / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self._cpu / name / "cpu.cfs_quota_us").write_text(str(quota))
                limit = self._memory / name / "memory.limit_in_bytes"
                limit.write_text(str(memory_bytes or -1))
            for group in {self._cpu / name, self._memory / name}:
                (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            logger.warning("The pod {} has no limits ({})", name, error)

    def ran_out(self, name: str) -> bool:
        """Whether a process of the group was killed for want of memory."""
        if self._memory is None:
            return False
        file = "memory.events" if self._unified else "memory.oom_control"
        with contextlib.suppress(OSError, ValueError):
            for line in (self._memory / name / file).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def drop(self, name: str) -> None:
        """Remove a group whose processes have ended."""
        self._left |= {parent / name for parent in (self._cpu, self._memory) if parent is not None}
        for group in list(self._left):
            # One whose last process is only just ending is removed with the next pod's.
            with contextlib.suppress(OSError):
                group.rmdir()
            if not group.is_dir():
                self._left.discard(group)


def _own_groups() -> dict[str, str]:
    """Our own group's path by controller; "" for version 2."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _made(group: Path) -> Path:
    group.mkdir(exist_ok=True)
    return group


def _delegated(own: Path) -> Path:
    """The group in which pods' groups can be made; our processes move to a leaf beside it."""
    leaf, pods = _made(own / f"{OURS}-control"), _made(own / OURS)
    for pid in (own / "cgroup.procs").read_text().split():
        if int(pid) == os.getpid():
            (leaf / "cgroup.procs").write_text(pid)
    for group in (own, pods):
        (group / "cgroup.subtree_control").write_text("+cpu +memory")
    return pods
