"""What shows from outside how a control plane treats its pods: the process table, the pods'
folders, the store, read only, and what the stub's pods have noted themselves.
"""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.processes import incarnation


@dataclass(frozen=True)
class FoundPod:
    """A pod's folder whose process lives."""

    folder: str
    pid: int
    session_id: str | None
    """Of the session that it was claimed for."""


def living_pods(run: Path) -> list[FoundPod]:
    """The pods that folders tell of and whose processes live.

    Args:
        run: the control plane's private folder.
    """
    found = []
    for folder in (run / "pods").glob("*"):
        # One that is just being removed tells nothing any more.
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((folder / "pod.json").read_text())
            claim = folder / "claim"
            session_id = claim.read_text() if claim.is_file() else None
            if record["id"] and incarnation(record["pid"]) == record["id"]:
                found.append(FoundPod(folder.name, record["pid"], session_id))
    return found


@dataclass(frozen=True)
class Row:
    """A session as the store has it; times in seconds since the epoch."""

    id: str
    pod_id: str
    transport: str
    created_s: float
    ended_s: float | None
    end_state: str | None
    reason: str | None
    billable_s: float | None

    @property
    def pid(self) -> int:
        """The process of its pod, whose id is boot, process and start."""
        return int(self.pod_id.split("-")[1])


class Book:
    """The store, opened read only."""

    def __init__(self, data: Path) -> None:
        self._address = f"file:{data / 'store.sqlite'}?mode=ro"

    def sessions(self) -> dict[str, Row]:
        """All sessions, by id."""
        rows = self._read(
            "SELECT id, pod_id, transport, created_s, ended_s, end_state, reason, billable_s "
            "FROM sessions"
        )
        return {row[0]: Row(*row) for row in rows}

    def waiting(self) -> int:
        """How many messages have not been delivered yet."""
        count: int = self._read("SELECT count(*) FROM messages WHERE delivered_s IS NULL")[0][0]
        return count

    def messages(self) -> list[tuple[str, str, str]]:
        """Id, kind and session of every message, delivered or not."""
        return self._read("SELECT id, kind, session_id FROM messages")

    def _read(self, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self._address, uri=True, timeout=10)) as store:
            return store.execute(statement).fetchall()


class Notes:
    """What the stub's pods have noted themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "hearts").mkdir(parents=True, exist_ok=True)

    def sessions(self) -> list[tuple[str, str]]:
        """The pod, by its own name, and the session of each time that bot() was called."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.folder / "sessions.txt").read_text().splitlines()
            return [
                (f"{note['pod']} ({note['pid']})", note["session"])
                for note in map(json.loads, lines)
            ]
        return []

    def last_beat_s(self, pid: int) -> float | None:
        """When a pod's server ran for certain, in seconds since the epoch."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "hearts" / str(pid)).stat().st_mtime
        return None


def shared_pods(notes: Notes, rows: dict[str, Row], pods: list[FoundPod]) -> Iterator[str]:
    """Pods that have, or have had, more than one session, in words; and sessions in two pods."""
    noted = set(notes.sessions())
    for pod, count in Counter(pod for pod, _ in noted).items():
        if count > 1:
            yield f"the pod {pod} noted {count} sessions"
    for session_id, count in Counter(session_id for _, session_id in noted).items():
        if count > 1:
            yield f"the session {session_id} was noted by {count} pods"
    for pod_id, count in Counter(row.pod_id for row in rows.values()).items():
        if count > 1:
            yield f"the store has {count} sessions in the pod {pod_id}"
    for claim, count in Counter(pod.session_id for pod in pods if pod.session_id).items():
        if count > 1:
            yield f"{count} living pods are claimed for the session {claim}"
