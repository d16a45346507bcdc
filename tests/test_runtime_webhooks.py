"""Webhooks: signed, tried again, kept until delivered, and sent to no other host."""

import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from http_edge import http_edge
from pod_process import until

from runtime import webhooks as module
from runtime.sessions import Session
from runtime.settings import WebhookSettings
from runtime.store import Store
from runtime.webhooks import Webhooks

SECRET = bytes(range(32))
SESSION = Session(
    *("s", "agent", "agent-id", "deployment", "pod", "webrtc"),
    cold=False,
    limit_s=60.0,
    created_s=1_000.0,
    alive_s=1_000.0,
)


class Receiver:
    """The operator's server: answers with what it is told to, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        """For the next requests; after them, 204."""
        self.got: list[tuple[float, dict[str, str], bytes]] = []
        """When, headers and body."""
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.paths.append(request.path)
        self.got.append((time.monotonic(), dict(request.headers), body))
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", (0.2, 0.6))


async def _undelivered(store: Store) -> list[Any]:
    return await store.read("SELECT * FROM messages WHERE delivered_s IS NULL")


async def _all_delivered(store: Store) -> bool:
    return not await _undelivered(store)


@contextlib.asynccontextmanager
async def _delivering(store: Store, url: str) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(store, WebhookSettings(url, SECRET))
    async with webhooks.running():
        yield webhooks


async def test_a_message_is_signed_so_that_its_receiver_can_tell(store: Store) -> None:
    receiver = Receiver()
    async with http_edge(receiver.answer) as url, _delivering(store, f"{url}/hook") as webhooks:
        await store.write(*webhooks.message("session.created", SESSION))
        await until(lambda: _all_delivered(store))
    ((_, headers, body),) = receiver.got
    assert receiver.paths == ["/hook"]
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    # As the convention has it, put together here once more.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert told["type"] == "session.created"
    assert told["data"] == {
        "session_id": "s",
        "agent": "agent",
        "deployment_id": "deployment",
        "transport": "webrtc",
    }


async def test_an_end_tells_how_and_what_it_cost(store: Store) -> None:
    receiver = Receiver()
    ended = SESSION.with_end(1_012.5, "agent_error", None, "the bot failed")
    async with http_edge(receiver.answer) as url, _delivering(store, url) as webhooks:
        await store.write(*webhooks.message("session.failed", ended))
        await until(lambda: receiver.got)
    data = receiver.bodies[0]["data"]
    assert (data["end_state"], data["reason"]) == ("agent_error", "the bot failed")
    assert data["billable_seconds"] == 12.5


async def test_a_message_is_told_with_its_change_or_not_at_all(store: Store) -> None:
    receiver = Receiver()
    async with http_edge(receiver.answer) as url, _delivering(store, url) as webhooks:
        with pytest.raises(Exception, match="nowhere"):
            await store.write(
                *webhooks.message("session.created", SESSION),
                ("INSERT INTO nowhere VALUES (1)", ()),
            )
        await store.write(*webhooks.message("session.started", SESSION))
        await until(lambda: _all_delivered(store))
    assert [body["type"] for body in receiver.bodies] == ["session.started"]


async def test_what_fails_is_tried_again_after_longer_and_longer_pauses(store: Store) -> None:
    receiver = Receiver()
    receiver.answers = [web.Response(status=500), web.Response(status=429)]
    async with http_edge(receiver.answer) as url, _delivering(store, url) as webhooks:
        await store.write(*webhooks.message("session.created", SESSION))
        await until(lambda: _all_delivered(store))
    first, second, third = (at_s for at_s, _, _ in receiver.got)
    assert second - first >= 0.2
    assert third - second >= 0.6
    # The same message, by whose id its receiver knows that it has had it.
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    (row,) = await store.read("SELECT * FROM messages")
    assert (row["attempts"], row["failure"]) == (3, "answered 429")


async def test_a_receiver_that_is_not_there_yet_is_waited_for(store: Store) -> None:
    receiver = Receiver()
    async with http_edge(receiver.answer) as url:
        pass
    async with _delivering(store, url) as webhooks:
        await store.write(*webhooks.message("session.created", SESSION))

        async def has_failed() -> bool:
            (row,) = await store.read("SELECT * FROM messages")
            return bool(row["attempts"])

        await until(has_failed)
    (row,) = await _undelivered(store)
    assert row["failure"] == "cannot be reached (ClientConnectorError)"


async def test_messages_outlive_a_restart(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    first = Store(path)
    # Stored, and the process ended before anything was sent.
    webhooks = Webhooks(first, WebhookSettings("http://127.0.0.1:1/", SECRET))
    for kind in ("session.created", "session.started", "session.ended"):
        await first.write(*webhooks.message(kind, SESSION))
    first.close()
    receiver, second = Receiver(), Store(path)
    async with http_edge(receiver.answer) as url, _delivering(second, url):
        await until(lambda: _all_delivered(second))
    second.close()
    kinds = {body["type"] for body in receiver.bodies}
    assert kinds == {"session.created", "session.started", "session.ended"}
    assert len(receiver.got) == 3


async def test_no_redirect_is_followed(store: Store) -> None:
    elsewhere, receiver = Receiver(), Receiver()
    async with http_edge(elsewhere.answer) as other, http_edge(receiver.answer) as url:
        receiver.answers = [
            web.Response(status=status, headers={"location": f"{other}/stolen"})
            for status in (302, 307, 308)
        ]
        async with _delivering(store, url) as webhooks:
            await store.write(*webhooks.message("session.created", SESSION))
            await until(lambda: _all_delivered(store))
    assert len(receiver.got) == 4
    assert elsewhere.got == []


async def test_one_message_that_fails_does_not_hold_up_the_others(store: Store) -> None:
    receiver = Receiver()

    async def answer(request: web.Request) -> web.StreamResponse:
        reply = await receiver.answer(request)
        failing = receiver.bodies[-1]["type"] == "session.created"
        return web.Response(status=500) if failing else reply

    async with http_edge(answer) as url, _delivering(store, url) as webhooks:
        await store.write(*webhooks.message("session.created", SESSION))
        for _ in range(30):
            await store.write(*webhooks.message("session.started", SESSION))

        async def only_one_left() -> bool:
            return len(await _undelivered(store)) == 1

        await until(only_one_left)
    (row,) = await _undelivered(store)
    assert row["kind"] == "session.created"


async def test_old_messages_are_given_up_and_delivered_ones_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.1)
    webhooks = Webhooks(store, WebhookSettings("http://127.0.0.1:1/", SECRET))
    for kind in ("session.created", "session.started", "session.ended"):
        await store.write(*webhooks.message(kind, SESSION))
    long_ago = "WHERE kind = ?", time.time() - 8 * 86400
    for column, kind in (
        ("created_s", "session.created"),
        ("delivered_s", "session.started"),
    ):
        await store.write((f"UPDATE messages SET {column} = ? {long_ago[0]}", (long_ago[1], kind)))
    receiver = Receiver()
    async with http_edge(receiver.answer) as url, _delivering(store, url):

        async def is_pruned() -> bool:
            rows = await store.read("SELECT kind FROM messages ORDER BY kind")
            return [row["kind"] for row in rows] == ["session.created", "session.ended"]

        await until(is_pruned)
    assert [body["type"] for body in receiver.bodies] == ["session.ended"]


async def test_without_an_endpoint_nothing_is_stored(store: Store) -> None:
    webhooks = Webhooks(store, None)
    assert webhooks.message("session.created", SESSION) == []
    async with webhooks.running():
        pass
