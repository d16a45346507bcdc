"""What pods use of this machine: CPU and memory, with all that they have started."""

import contextlib
import os
import time
from collections.abc import Mapping

import psutil

from runtime.records import Reading, Sample


class Meter:
    """Reads what sessions' pods use; CPU from one reading to the next."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}
        """Of each session: when it was read last, and the CPU seconds it had used by then."""

    def read(self, pods: Mapping[str, int]) -> Reading:
        """What each uses now; of one that is read for the first time, only that it lives.

        Takes milliseconds.

        Args:
            pods: by session, the process that leads the pod's group.
        """
        groups: dict[int, list[int]] = {}
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                groups.setdefault(os.getpgid(pid), []).append(pid)
        now_s, before, samples = time.time(), self._before, []
        self._before = {}
        for session_id, leader in pods.items():
            cpu_s, memory = _used(groups.get(leader, []))
            if not memory:
                continue
            self._before[session_id] = (now_s, cpu_s)
            if session_id in before:
                then_s, used_s = before[session_id]
                share = max(0.0, cpu_s - used_s) / max(now_s - then_s, 0.001)
                samples.append(Sample(session_id, now_s, round(share * 1000), memory))
        return Reading(now_s, frozenset(self._before), tuple(samples))


def _used(pids: list[int]) -> tuple[float, int]:
    """CPU seconds and resident bytes of processes, those aside that end just now."""
    cpu_s, memory = 0.0, 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            cpu_s += times.user + times.system
            memory += process.memory_info().rss
    return cpu_s, memory
