"""Tells the operator's own server of sessions: signed, stored until delivered, tried again.

Signed as the Standard Webhooks convention has it: webhook-id, webhook-timestamp, and
webhook-signature, which is v1, and base64 of HMAC-SHA256 over id.timestamp.body.
"""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from loguru import logger

from runtime.sessions import Session
from runtime.settings import WebhookSettings
from runtime.store import Change, Row, Store, StoreTrouble

Kind = Literal[
    "session.created", "session.started", "session.first_frame", "session.ended", "session.failed"
]
POST_TIMEOUT_S = 10.0
AT_ONCE = 8
"""Deliveries at the same time."""
BACKOFF_S = (1, 5, 30, 120, 600, 1800, 3600, 7200, 14400)
"""After each failed try; the last pause is kept up until GIVE_UP_S."""
GIVE_UP_S = 3 * 86400.0
"""A message older than this is kept, and not tried again."""
KEEP_S = 7 * 86400.0
"""How long delivered messages stay in the store."""
LOOK_EVERY_S = 30.0


class Webhooks:
    """Messages about sessions."""

    def __init__(self, store: Store, settings: WebhookSettings | None) -> None:
        self._store = store
        self._settings = settings
        self._woken = asyncio.Event()
        self._failing = False

    def message(self, kind: Kind, session: Session) -> list[Change]:
        """The change that stores a message, for the transaction of what it tells of."""
        if self._settings is None:
            return []
        now_s = time.time()
        message_id = f"msg_{uuid.uuid4().hex}"
        data: dict[str, object] = {
            "session_id": session.id,
            "agent": session.agent,
            "deployment_id": session.deployment_id,
            "transport": session.transport,
        }
        if session.ended:
            data |= {
                "end_state": session.end_state,
                "completion_status": session.completion,
                "reason": session.reason,
                "billable_seconds": round(session.billable_s, 3),
            }
        moment = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
        body = json.dumps({"type": kind, "timestamp": moment.isoformat(), "data": data})
        self._woken.set()
        return [
            (
                "INSERT INTO messages (id, kind, session_id, body, created_s, next_s) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (message_id, kind, session.id, body, now_s, now_s),
            )
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver within this context."""
        if self._settings is None:
            yield
            return
        delivering = asyncio.create_task(self._deliver_all(self._settings))
        try:
            yield
        finally:
            delivering.cancel()
            await asyncio.wait({delivering})

    async def _deliver_all(self, settings: WebhookSettings) -> None:
        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            while True:
                self._woken.clear()
                try:
                    if await self._deliver_due(client, settings):
                        continue
                    await self._pause()
                except StoreTrouble:
                    # What cannot be noted as delivered is delivered once more.
                    await asyncio.sleep(LOOK_EVERY_S)
                except sqlite3.Error as error:
                    logger.error("Webhooks wait: the store cannot be read ({})", error)
                    await asyncio.sleep(LOOK_EVERY_S)

    async def _deliver_due(self, client: aiohttp.ClientSession, settings: WebhookSettings) -> bool:
        """Try to deliver some of the messages whose time has come; False if there are none."""
        rows = await self._store.read(
            "SELECT * FROM messages WHERE delivered_s IS NULL AND next_s <= ? "
            "AND created_s > ? ORDER BY created_s LIMIT ?",
            (time.time(), time.time() - GIVE_UP_S, AT_ONCE),
        )
        results = [self._deliver(client, settings, row) for row in rows]
        if results:
            await self._store.write(*await asyncio.gather(*results))
        return bool(results)

    async def _pause(self) -> None:
        """Wait for the next message, or until one is due again."""
        rows = await self._store.read(
            "SELECT min(next_s) FROM messages WHERE delivered_s IS NULL AND created_s > ?",
            (time.time() - GIVE_UP_S,),
        )
        due_s = rows[0][0]
        pause_s = LOOK_EVERY_S if due_s is None else min(LOOK_EVERY_S, due_s - time.time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, pause_s)):
                await self._woken.wait()
                # What was stored with the transaction that is just being made.
                await asyncio.sleep(0.02)
            return
        await self._store.write(
            ("DELETE FROM messages WHERE delivered_s < ?", (time.time() - KEEP_S,))
        )

    async def _deliver(
        self, client: aiohttp.ClientSession, settings: WebhookSettings, row: Row
    ) -> Change:
        """Try to deliver a message; gives the change that notes how it went."""
        body = row["body"].encode()
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": row["id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(settings.secret, row["id"], timestamp, body),
        }
        try:
            # A redirect could lead to a host that the operator did not allow.
            async with client.post(
                settings.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                trouble = None if response.status < 300 else f"answered {response.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            trouble = f"cannot be reached ({type(error).__name__})"
        if trouble is not None and not self._failing:
            logger.warning("The webhook {}; messages wait", trouble)
        self._failing = trouble is not None
        if trouble is None:
            return (
                "UPDATE messages SET delivered_s = ?, attempts = attempts + 1 WHERE id = ?",
                (time.time(), row["id"]),
            )
        pause_s = BACKOFF_S[min(row["attempts"], len(BACKOFF_S) - 1)]
        return (
            "UPDATE messages SET attempts = attempts + 1, next_s = ?, failure = ? WHERE id = ?",
            (time.time() + pause_s, trouble, row["id"]),
        )


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header of a message."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
