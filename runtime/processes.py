"""Processes on this machine: which one a number names, and when it has ended."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

POLL_S = 0.2
"""How often a process is looked at where the system cannot tell of its end."""


def incarnation(pid: int) -> str | None:
    """Names this process and no other that had or will have its number; None if it has ended."""
    try:
        if sys.platform == "linux":
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # The command's name, in parentheses, may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, started = fields[0], fields[19]
        else:
            process = psutil.Process(pid)
            boot = f"{psutil.boot_time():.0f}"
            state = "Z" if process.status() == psutil.STATUS_ZOMBIE else ""
            started = f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return None
    return None if state in ("Z", "X") else f"{boot[:8]}-{pid}-{started}"


class ProcessWatch:
    """Tells when a process has ended, be it a child of ours or not."""

    def __init__(self, pid: int, ended: Callable[[], None]) -> None:
        """Watch from now on.

        Args:
            pid: of a process whose incarnation has been checked.
            ended: called on the event loop, once.
        """
        self._pid = pid
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._name = incarnation(pid)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._over)
        else:
            self._poll()

    def _poll(self) -> None:
        if self._name is None or incarnation(self._pid) != self._name:
            self._loop.call_soon(self._over)
        else:
            self._timer = self._loop.call_later(POLL_S, self._poll)

    def _over(self) -> None:
        self.stop()
        self._ended()

    def stop(self) -> None:
        """Watch no longer."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def signal_group(pid: int, name: str | None, number: signal.Signals) -> None:
    """Send a signal to a pod's whole process group, if it is still that incarnation.

    A group outlives its first process: what a pod has left behind is reached by SIGKILL after its
    end too, where `name` is None.
    """
    if name is not None and incarnation(pid) != name:
        return
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        if name is not None:
            # It has not got as far as to lead a group.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
