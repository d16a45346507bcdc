"""What a control plane speaks with beside its pods, on loopback: a webhook that fails at random,
and a stand-in for Daily's rooms that fails at times.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

FAILING_SHARE = 0.2
"""Of webhook messages, at each of their first tries."""
FAILS_AT_MOST = 2
"""Tries of one message: the pauses after them add up to six seconds."""
ROOM_FAILING_SHARE = 0.03


@dataclass(frozen=True)
class Message:
    """What the webhook was told: by an id that is the same at each try."""

    id: str
    kind: str
    session_id: str
    end_state: str | None
    billable_s: float | None


@dataclass
class Outside:
    """The receiver and the rooms; `environment` has the control plane use them."""

    seed: int
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    taken: list[Message] = field(default_factory=list)
    """Every message at every delivery that this side has answered with 200, or meant to."""
    forged: list[str] = field(default_factory=list)
    """What came with a signature that is not right."""
    rooms: set[str] = field(default_factory=set)
    """Those that are there."""
    made: int = 0
    """How many rooms were made."""
    port: int = 0

    def __post_init__(self) -> None:
        self._tries: Counter[str] = Counter()
        self._numbers = random.Random(f"rooms {self.seed}")

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the control plane."""
        return {
            "RUNTIME_WEBHOOK_URL": f"http://127.0.0.1:{self.port}/webhook",
            "RUNTIME_WEBHOOK_HOSTS": "127.0.0.1",
            "RUNTIME_WEBHOOK_SECRET": "whsec_" + base64.b64encode(self.secret).decode(),
            "DAILY_API_URL": f"http://127.0.0.1:{self.port}/daily",
            "DAILY_API_KEY": "loopback",
        }

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve within this context."""
        app = web.Application()
        app.router.add_post("/webhook", self._webhook)
        app.router.add_post("/daily/rooms", self._make_room)
        app.router.add_post("/daily/meeting-tokens", self._make_token)
        app.router.add_delete("/daily/rooms/{name}", self._delete_room)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        assert runner.addresses
        self.port = int(runner.addresses[0][1])
        try:
            yield
        finally:
            await runner.cleanup()

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message_id = request.headers.get("webhook-id", "")
        signed = f"{message_id}.{request.headers.get('webhook-timestamp')}.".encode() + body
        digest = base64.b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode()
        if request.headers.get("webhook-signature") != f"v1,{digest}":
            self.forged.append(message_id)
            return web.Response(status=401)
        self._tries[message_id] += 1
        if self._tries[message_id] <= FAILS_AT_MOST:
            # By the message and the try: the order in which they come is not the seed's.
            chance = random.Random(f"{self.seed} {message_id} {self._tries[message_id]}")
            if chance.random() < FAILING_SHARE:
                return await self._fail(request, chance.randrange(4), body)
        self._take(message_id, body)
        return web.Response(status=200)

    async def _fail(self, request: web.Request, how: int, body: bytes) -> web.StreamResponse:
        if how == 0:
            return web.Response(status=500)
        if how == 1:
            await asyncio.sleep(0.3)
            return web.Response(status=503)
        if how == 2:
            # Taken, but its sender does not get to know: it has to come again, under the same id.
            self._take(request.headers["webhook-id"], body)
        if request.transport is not None:
            request.transport.abort()
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(0)
        return web.Response(status=500)

    def _take(self, message_id: str, body: bytes) -> None:
        told: dict[str, Any] = json.loads(body)
        data = told["data"]
        self.taken.append(
            Message(
                message_id,
                told["type"],
                data["session_id"],
                data.get("end_state"),
                data.get("billable_seconds"),
            )
        )

    async def _make_room(self, _: web.Request) -> web.Response:
        if self._numbers.random() < ROOM_FAILING_SHARE:
            return web.json_response({"info": "no room"}, status=500)
        self.made += 1
        name = f"room-{self.made}"
        self.rooms.add(name)
        return web.json_response({"name": name, "url": f"http://127.0.0.1:{self.port}/{name}"})

    async def _make_token(self, _: web.Request) -> web.Response:
        if self._numbers.random() < ROOM_FAILING_SHARE:
            return web.json_response({"info": "no token"}, status=500)
        return web.json_response({"token": "loopback"})

    async def _delete_room(self, request: web.Request) -> web.Response:
        self.rooms.discard(request.match_info["name"])
        return web.json_response({"deleted": True})
