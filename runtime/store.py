"""The store: one SQLite file, written by one thread, every change a transaction."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from runtime.errors import CannotStart, Refused
from runtime.migrations import MIGRATIONS

T = TypeVar("T")
Row = sqlite3.Row
Change = tuple[str, Sequence[Any]]
"""A statement and its values."""

BUSY_TIMEOUT_S = 5.0
FULL_RETRY_S = 30.0


class StoreTrouble(Refused):
    """The store cannot be used now; later it may be."""


class StoreFull(StoreTrouble):
    """The disk takes no more; what is running goes on, nothing new is begun."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "The control plane's disk is full: it can be read, and running sessions go on, "
            "but nothing can be changed until there is room.",
            "DISK_FULL",
            FULL_RETRY_S,
        )


class Store:
    """Reads and writes, off the event loop."""

    def __init__(self, path: Path) -> None:
        """Open the file, and bring an older one to the newest version.

        Raises:
            CannotStart: it cannot be opened, or is of a newer version than this code.
        """
        self.full = False
        """Whether the last write found no room."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        try:
            # Its owner alone: it holds what sessions said of themselves.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = self._thread.submit(_opened, path).result()
        except (OSError, sqlite3.Error) as error:
            self._thread.shutdown()
            raise CannotStart(f"Cannot open the store {path}: {error}.") from None
        except CannotStart:
            self._thread.shutdown()
            raise

    async def read(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows that a SELECT gives.

        Raises:
            StoreTrouble: it cannot be read now.
        """
        return await self._run(lambda c: c.execute(statement, values).fetchall())

    async def write(self, *changes: Change) -> int:
        """Make changes, all of them or none; gives the rows that the last one touched.

        Raises:
            StoreFull: there is no room.
            StoreTrouble: it cannot be written now.
        """

        def changed(connection: sqlite3.Connection) -> int:
            count = 0
            for statement, values in changes:
                count = connection.execute(statement, values).rowcount
            return count

        return await self.transact(changed)

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in a transaction, in the store's thread.

        Raises:
            StoreFull: there is no room.
            StoreTrouble: it cannot be written now.
        """

        def transacted(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            return result

        try:
            result = await self._run(transacted)
        except StoreFull:
            self.full = True
            raise
        if self.full:
            logger.info("The store can be written again")
        self.full = False
        return result

    async def try_room(self) -> None:
        """Look whether there is room again, if there was none; nothing is changed."""
        if self.full:
            with contextlib.suppress(StoreTrouble):
                await self.write(
                    ("INSERT INTO properties VALUES ('room', '')", ()),
                    ("DELETE FROM properties WHERE name = 'room'", ()),
                )

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work, self._connection)
        except sqlite3.OperationalError as error:
            # The lower byte is the kind; the rest tells more, such as which call failed.
            kind = error.sqlite_errorcode & 0xFF
            if kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                if not self.full:
                    logger.error("The store cannot be written: {}", error)
                raise StoreFull from None
            if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY):
                logger.warning("The store cannot be used now: {}", error)
                text = f"The store cannot be used now ({error})."
                raise StoreTrouble(503, text, "STORE_BUSY", BUSY_TIMEOUT_S) from None
            raise

    def close(self) -> None:
        """Close the file."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()


def _opened(path: Path) -> sqlite3.Connection:
    # Transactions are begun and ended by hand.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # A killed process loses nothing by it; a machine without power loses the last moments.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise CannotStart(
            f"The store {path} is of version {version}; this control plane knows versions up to "
            f"{len(MIGRATIONS)}. Use a newer one."
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")
    return connection
