"""Sessions, their measurements and their logs, as rows of the store."""

from dataclasses import dataclass

from runtime.sessions import Session
from runtime.store import Change, Row, Store
from runtime.tails import LogLine

MAX_LOG_LINES = 200_000
"""Kept in all; the oldest go first."""
PRUNE_EVERY = 5_000
COLUMNS = (
    "id, agent, agent_id, deployment_id, pod_id, transport, cold, limit_s, created_s, alive_s, "
    "started_s, first_frame_s, ended_s, end_state, completion, reason, room"
)


@dataclass(frozen=True)
class Reading:
    """What was found of sessions' pods at one moment."""

    at_s: float
    alive: frozenset[str]
    """The sessions whose pods were seen."""
    samples: tuple["Sample", ...]


@dataclass(frozen=True)
class Sample:
    """What a session's pod used at one moment."""

    session_id: str
    at_s: float
    cpu_millicores: int
    memory_bytes: int


def insert(session: Session) -> Change:
    """The change that adds a session; a second of the same id is refused by the store."""
    values = (
        session.id,
        session.agent,
        session.agent_id,
        session.deployment_id,
        session.pod_id,
        session.transport,
        int(session.cold),
        session.limit_s,
        session.created_s,
        session.alive_s,
        session.started_s,
        session.room,
    )
    return (
        "INSERT INTO sessions (id, agent, agent_id, deployment_id, pod_id, transport, cold, "
        "limit_s, created_s, alive_s, started_s, room) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )


def update(session: Session) -> Change:
    """The change that brings a running session's row up to date, its end included.

    A row that has an end keeps it.
    """
    return (
        "UPDATE sessions SET alive_s = ?, started_s = ?, first_frame_s = ?, ended_s = ?, "
        "end_state = ?, completion = ?, reason = ?, billable_s = ? "
        "WHERE id = ? AND ended_s IS NULL",
        (
            session.alive_s,
            session.started_s,
            session.first_frame_s,
            session.ended_s,
            session.end_state,
            session.completion,
            session.reason,
            session.billable_s if session.ended else None,
            session.id,
        ),
    )


def _session(row: Row) -> Session:
    return Session(
        **{**{name: row[name] for name in COLUMNS.split(", ")}, "cold": bool(row["cold"])}
    )


class Records:
    """Reads what was recorded, and adds to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lines_since = 0

    async def session(self, session_id: str) -> Session | None:
        """A session, running or ended; None if there never was one of that id."""
        rows = await self._store.read(f"SELECT {COLUMNS} FROM sessions WHERE id = ?", (session_id,))
        return _session(rows[0]) if rows else None

    async def unended(self) -> list[Session]:
        """The sessions that have no end yet."""
        rows = await self._store.read(f"SELECT {COLUMNS} FROM sessions WHERE ended_s IS NULL")
        return [_session(row) for row in rows]

    async def of_agent(
        self,
        agent: str,
        end_state: str | None = None,
        deployment_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Session], int]:
        """An agent's sessions, the newest first, and how many there are in all."""
        where: list[Change] = [("agent = ?", [agent])]
        if end_state == "active":
            where.append(("ended_s IS NULL", []))
        elif end_state is not None:
            where.append(("end_state = ?", [end_state]))
        if deployment_id is not None:
            where.append(("deployment_id = ?", [deployment_id]))
        rows, count = await self._page("sessions", where, "created_s", limit, offset)
        return [_session(row) for row in rows], count

    async def _page(
        self, table: str, where: list[Change], newest: str, limit: int, offset: int
    ) -> tuple[list[Row], int]:
        """Rows for which all conditions hold, the newest first, and how many there are in all."""
        held = " AND ".join(condition for condition, _ in where)
        values = [value for _, values in where for value in values]
        count = await self._store.read(f"SELECT count(*) FROM {table} WHERE {held}", values)
        rows = await self._store.read(
            f"SELECT * FROM {table} WHERE {held} ORDER BY {newest} DESC LIMIT ? OFFSET ?",
            (*values, limit, offset),
        )
        return rows, count[0][0]

    # --- measurements ------------------------------------------------------------------------

    async def add_reading(self, reading: Reading) -> None:
        """Record what pods use, and that they live."""
        changes: list[Change] = [
            (
                "INSERT INTO samples VALUES (?, ?, ?, ?)",
                (each.session_id, each.at_s, each.cpu_millicores, each.memory_bytes),
            )
            for each in reading.samples
        ]
        changes += [
            (
                "UPDATE sessions SET alive_s = max(alive_s, ?) WHERE id = ? AND ended_s IS NULL",
                (reading.at_s, session_id),
            )
            for session_id in reading.alive
        ]
        if changes:
            await self._store.write(*changes)

    async def forget_samples(self, before_s: float) -> None:
        """Drop what was measured before this moment."""
        await self._store.write(("DELETE FROM samples WHERE at_s < ?", (before_s,)))

    async def samples(self, session_id: str) -> list[Sample]:
        """A session's measurements, the oldest first."""
        rows = await self._store.read(
            "SELECT * FROM samples WHERE session_id = ? ORDER BY at_s", (session_id,)
        )
        return [Sample(**dict(row)) for row in rows]

    # --- logs --------------------------------------------------------------------------------

    async def add_lines(
        self, agent: str, deployment_id: str, session_id: str | None, lines: list[LogLine]
    ) -> None:
        """Record what a pod has logged; lines that name no session belong to the pod's."""
        changes: list[Change] = [
            (
                "INSERT INTO log_lines (agent, deployment_id, session_id, at, level, text) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    agent,
                    deployment_id,
                    line.session_id or session_id,
                    line.timestamp,
                    line.level,
                    line.text.encode("utf-8", "replace").decode(),
                ),
            )
            for line in lines
        ]
        self._lines_since += len(lines)
        if self._lines_since > PRUNE_EVERY:
            self._lines_since = 0
            changes.append(
                (
                    "DELETE FROM log_lines WHERE id <= (SELECT max(id) FROM log_lines) - ?",
                    (MAX_LOG_LINES,),
                )
            )
        await self._store.write(*changes)

    async def lines(
        self,
        agent: str,
        deployment_id: str | None = None,
        session_id: str | None = None,
        text: str | None = None,
        limit: int = 100,
        offset: int = 0,
        after: int | None = None,
    ) -> tuple[list[Row], int]:
        """Log lines, the newest first, and how many there are in all.

        Args:
            agent: whose.
            deployment_id: of this deployment only.
            session_id: of this session only.
            text: only lines in which this stands.
            limit: how many.
            offset: how many of the newest to leave out.
            after: only lines with a higher id, for whoever follows the log.
        """
        where: list[Change] = [("agent = ?", [agent])]
        for column, value in (("deployment_id", deployment_id), ("session_id", session_id)):
            if value is not None:
                where.append((f"{column} = ?", [value]))
        if text:
            where.append(("instr(text, ?) > 0", [text]))
        if after is not None:
            where.append(("id > ?", [after]))
        return await self._page("log_lines", where, "id", limit, offset)
