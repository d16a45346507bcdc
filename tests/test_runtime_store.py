"""The store: its versions, its transactions, and a disk that is full."""

import asyncio
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime import store as module
from runtime.errors import CannotStart
from runtime.migrations import MIGRATIONS
from runtime.store import Store, StoreFull, StoreTrouble

ADD = "INSERT INTO properties VALUES (?, ?)"


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def _properties(store: Store) -> dict[str, str]:
    return {row["name"]: row["value"] for row in await store.read("SELECT * FROM properties")}


# --- versions ------------------------------------------------------------------------------------


async def test_a_store_is_made_of_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    assert path.stat().st_mode & 0o777 == 0o600
    assert _version(path) == len(MIGRATIONS)
    await store.write((ADD, ("a", "1")))
    assert await _properties(store) == {"a": "1"}


async def test_a_file_of_version_0_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE of_an_earlier_try (a TEXT)")
    connection.commit()
    connection.close()
    assert _version(path) == 0
    store = Store(path)
    await store.write((ADD, ("a", "1")))
    store.close()
    assert _version(path) == len(MIGRATIONS)
    again = Store(path)
    assert await _properties(again) == {"a": "1"}
    again.close()


async def test_an_older_version_is_migrated_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    old = Store(path)
    await old.write((ADD, ("a", "1")))
    old.close()
    step = "ALTER TABLE properties ADD COLUMN more TEXT NOT NULL DEFAULT 'x';"
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, step))
    new = Store(path)
    rows = await new.read("SELECT * FROM properties")
    new.close()
    assert [tuple(row) for row in rows] == [("a", "1", "x")]
    assert _version(path) == len(MIGRATIONS) + 1


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    step = "CREATE TABLE half (a TEXT); INSERT INTO nowhere VALUES (1);"
    with monkeypatch.context() as patch:
        patch.setattr(module, "MIGRATIONS", (*MIGRATIONS, step))
        with pytest.raises(CannotStart, match="nowhere"):
            Store(path)
    assert _version(path) == len(MIGRATIONS)
    store = Store(path)
    tables = await store.read("SELECT name FROM sqlite_schema WHERE name = 'half'")
    store.close()
    assert tables == []


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CannotStart, match=f"version {len(MIGRATIONS) + 1}"):
        Store(path)
    assert path.read_bytes() == before


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder", "nowhere/store"):
        with pytest.raises(CannotStart, match="Cannot open the store"):
            Store(tmp_path / name)
    assert [thread.name for thread in threading.enumerate() if "store" in thread.name] == []


# --- transactions --------------------------------------------------------------------------------


async def test_changes_are_made_together_or_not_at_all(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await store.write((ADD, ("a", "1")), (ADD, ("b", "2")), (ADD, ("a", "3")))
    assert await _properties(store) == {}
    assert await store.write((ADD, ("a", "1")), (ADD, ("b", "2"))) == 1
    assert await store.write(("UPDATE properties SET value = ?", ("9",))) == 2
    assert await _properties(store) == {"a": "9", "b": "9"}


async def test_work_that_fails_is_undone(store: Store) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(ADD, ("a", "1"))
        raise KeyError("no")

    with pytest.raises(KeyError):
        await store.transact(work)
    assert await _properties(store) == {}
    assert not store.full


async def test_transactions_follow_one_another(store: Store) -> None:
    await store.write((ADD, ("count", "0")))

    def more(connection: sqlite3.Connection) -> None:
        (value,) = connection.execute("SELECT value FROM properties").fetchone()
        connection.execute("UPDATE properties SET value = ?", (str(int(value) + 1),))

    await asyncio.gather(*(store.transact(more) for _ in range(200)))
    assert await _properties(store) == {"count": "200"}


async def test_another_process_sees_what_was_written(store: Store, tmp_path: Path) -> None:
    await store.write((ADD, ("a", "1")))
    other = Store(tmp_path / "store.sqlite")
    assert await _properties(other) == {"a": "1"}
    await other.write((ADD, ("b", "2")))
    other.close()
    assert await _properties(store) == {"a": "1", "b": "2"}


async def test_a_killed_process_loses_nothing(store: Store, tmp_path: Path) -> None:
    await store.write((ADD, ("a", "1")))
    # What a killed process leaves: the file and its log, never closed.
    left = tmp_path / "left"
    left.mkdir()
    for name in ("store.sqlite", "store.sqlite-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    after = Store(left / "store.sqlite")
    assert await _properties(after) == {"a": "1"}
    after.close()


async def test_deleting_a_set_deletes_its_secrets(store: Store) -> None:
    await store.write(
        ("INSERT INTO secret_sets VALUES ('mine', 'secret', 'local', NULL, 0)", ()),
        ("INSERT INTO secrets VALUES ('mine', 'A', x'00')", ()),
    )
    await store.write(("DELETE FROM secret_sets", ()))
    assert await store.read("SELECT * FROM secrets") == []


# --- a full disk ---------------------------------------------------------------------------------


async def _limit(store: Store, pages: int) -> None:
    """Leave room for so many pages more than there are; SQLite then says that the disk is full."""

    def limited(connection: sqlite3.Connection) -> None:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + pages}")

    await store._run(limited)


async def test_a_full_disk_makes_the_store_read_only_until_there_is_room(store: Store) -> None:
    await store.write((ADD, ("a", "1")))
    await _limit(store, 2)
    with pytest.raises(StoreFull) as refused:
        await store.write((ADD, ("b", "2")), (ADD, ("large", "x" * 100_000)))
    assert (refused.value.status, refused.value.code) == (503, "DISK_FULL")
    assert refused.value.headers == {"retry-after": "30"}
    assert store.full
    # All or nothing holds here too, and reading goes on.
    assert await _properties(store) == {"a": "1"}
    await _limit(store, 1_000)
    await store.write((ADD, ("b", "2")))
    assert not store.full
    assert await _properties(store) == {"a": "1", "b": "2"}


async def test_a_change_that_needs_no_room_ends_the_read_only_mode(store: Store) -> None:
    await _limit(store, 0)
    with pytest.raises(StoreFull):
        await store.write((ADD, ("large", "x" * 100_000)))
    await store.write(("DELETE FROM properties WHERE 0", ()))
    assert not store.full


async def test_a_file_that_may_not_grow_is_a_full_disk_too(store: Store) -> None:
    """A quota: SQLite's own words for it are others than for a full device."""
    await store.write((ADD, ("a", "1")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreFull):
            await store.write((ADD, ("large", "x" * 500_000)))
        assert store.full
        assert await _properties(store) == {"a": "1"}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.write((ADD, ("b", "2")))
    assert not store.full
    assert await _properties(store) == {"a": "1", "b": "2"}


async def test_other_troubles_are_not_taken_for_a_full_disk(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await store.write(("INSERT INTO nowhere VALUES (1)", ()))
    assert not store.full


async def test_room_is_noticed_without_anybody_writing(store: Store) -> None:
    await _limit(store, 0)
    with pytest.raises(StoreFull):
        await store.write((ADD, ("large", "x" * 100_000)))
    await _limit(store, 1_000)
    await store.try_room()
    assert not store.full
    assert await _properties(store) == {}


async def test_a_store_that_others_lock_is_a_trouble_that_passes(
    tmp_path: Path, store: Store
) -> None:
    def patient(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    await store._run(patient)
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreTrouble) as refused:
        await store.write((ADD, ("a", "1")))
    assert (refused.value.status, refused.value.code) == (503, "STORE_BUSY")
    assert not store.full
    other.execute("ROLLBACK")
    other.close()
    await store.write((ADD, ("a", "1")))
