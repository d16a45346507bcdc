"""Keys: shown once, kept as hashes, revoked at once; and how fast they may be used."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.requests import Request

from runtime import keys as module
from runtime.access import COOKIE, Door
from runtime.errors import Refused
from runtime.keys import MAX_KEYS, Keys, Pace
from runtime.store import Store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _kept(folder: Path) -> bytes:
    """All that is on the disk."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_key_opens_and_nothing_else_does(store: Store) -> None:
    keys = Keys(store)
    public, public_text = await keys.create("public", "page")
    private, private_text = await keys.create("private", "mine")
    assert public_text.startswith("pk_")
    assert private_text.startswith("pcc_pat_")
    assert keys.check(public_text) == public
    assert keys.check(private_text) == private
    wrong = ("", "pk_", public_text[:-1], public_text + "x", public_text.upper(), "ü" * 40)
    assert [keys.check(text) for text in wrong] == [None] * len(wrong)
    assert keys.check(public_text + "x" * 1_000_000) is None


async def test_the_store_holds_no_key(store: Store, tmp_path: Path) -> None:
    key, text = await Keys(store).create("private", "mine")
    assert text.startswith(key.hint)
    assert len(key.hint) == len("pcc_pat_") + 4
    kept = _kept(tmp_path)
    assert key.id.encode() in kept
    assert text.encode() not in kept
    assert text.removeprefix(key.hint).encode() not in kept


async def test_keys_are_there_after_a_restart(store: Store) -> None:
    key, text = await Keys(store).create("public", "page")
    later = Keys(store)
    assert later.check(text) is None
    assert await later.load() == [key]
    assert later.check(text) == key


async def test_a_revoked_key_opens_nothing(store: Store) -> None:
    keys = Keys(store)
    key, text = await keys.create("public", "page")
    other, other_text = await keys.create("public", "other")
    assert not await keys.revoke(key.id, "private")
    assert keys.check(text) == key
    assert await keys.revoke(key.id)
    assert keys.check(text) is None
    assert keys.check(other_text) == other
    assert not await keys.revoke(key.id)
    assert not await keys.revoke("no such id")
    assert [each.revoked_s is None for each in await keys.load()] == [False, True]


async def test_there_are_only_so_many_of_a_kind(store: Store) -> None:
    keys = Keys(store)
    made = [await keys.create("public", str(number)) for number in range(MAX_KEYS)]
    with pytest.raises(Refused, match="revoke one"):
        await keys.create("public", "one more")
    await keys.create("private", "another kind")
    await keys.revoke(made[0][0].id)
    await keys.create("public", "in its place")


async def test_another_process_revokes(store: Store, tmp_path: Path) -> None:
    keys = Keys(store)
    _, text = await keys.create("private", "mine")
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("UPDATE keys SET revoked_s = 1")
    other.close()
    await keys.load()
    assert keys.check(text) is None


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock.monotonic)
    return clock


def test_a_burst_then_the_rate(clock: Clock) -> None:
    pace = Pace(8.0, burst_s=2.0)
    assert [pace.take("a") for _ in range(16)] == [0.0] * 16
    assert pace.take("a") == 0.125
    clock.now_s += 0.125
    assert pace.take("a") == 0.0
    assert pace.take("a") > 0


def test_who_is_refused_loses_nothing_by_it(clock: Clock) -> None:
    pace = Pace(1.0, burst_s=1.0)
    pace.take("a")
    waits = {pace.take("a") for _ in range(1_000)}
    assert waits == {1.0}
    clock.now_s += 1.0
    assert pace.take("a") == 0.0


def test_each_has_a_pace_of_his_own(clock: Clock) -> None:
    pace = Pace(1.0, burst_s=1.0)
    assert pace.take("a") == pace.take("b") == 0.0
    assert pace.take("a") > 0


def test_any_number_of_callers_is_forgotten_in_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 10)
    pace = Pace(1.0, burst_s=1.0)
    for number in range(1_000):
        pace.take(str(number))
    assert len(pace._paid_until_s) == 10
    assert pace.take("999") > 0


async def test_a_visit_ends_with_the_key_that_began_it(store: Store) -> None:
    keys = Keys(store)
    key, text = await keys.create("private", "mine")
    door = Door(keys, 100.0)
    scope = {"type": "http", "headers": [], "client": ("127.0.0.1", 1)}
    cookie = door.enter(Request(scope), text)
    visit = Request(scope | {"headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]})
    assert door.check(visit, "private").private
    await keys.revoke(key.id, "private")
    with pytest.raises(Refused) as refused:
        door.check(visit, "private")
    assert refused.value.status == 401
