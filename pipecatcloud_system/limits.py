"""Limits around every route, bot.py's own too: size and time of bodies, pace of WebSockets."""

import asyncio
import contextlib
import time

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipecatcloud_system.errors import error_body

MAX_BODY_BYTES = 1_000_000
BODY_TIMEOUT_S = 30.0
"""From a request's head to the end of its body."""
LINGER_S = 1.0
"""How long the rest of a body is read on that has been refused."""
WS_MESSAGES_PER_S = 200.0
"""Four times what sound in packets of 20 ms takes."""
WS_BURST = 400.0


class BodyLimit:
    """Refuses a request body above 1 MB with 413, announced or not, and a slow one with 408.

    The body is read whole before the route is called, so that no route ever sees half of one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        body: bytes | None = b""
        # int() refuses to read more than a few thousand digits.
        if announced.isdigit() and (len(announced) > 15 or int(announced) > MAX_BODY_BYTES):
            await _refuse(413, _TOO_LARGE, scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _body(receive)
        except TimeoutError:
            message = f"The request body took longer than {BODY_TIMEOUT_S:g} s."
            await _refuse(408, message, scope, receive, send)
            return
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:

            async def lingering(message: Message) -> None:
                if message["type"] != "http.response.body":
                    await send(message)
                    return
                await send({**message, "more_body": True})
                # Closed with a part of the body unread, the connection would lose the answer.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_S):
                        while (await receive()).get("more_body", False):
                            pass
                await send({"type": "http.response.body", "body": b""})

            await _refuse(413, _TOO_LARGE, scope, receive, lingering)
            return

        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


_TOO_LARGE = f"The request body is larger than {MAX_BODY_BYTES:,} bytes."


async def _body(receive: Receive) -> bytes | None:
    """The body, read no further than to the first byte too many; None if the client left."""
    body = bytearray()
    more = True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def _refuse(status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
    response = JSONResponse(error_body(status, message), status, {"connection": "close"})
    await response(scope, receive, send)


class WebSocketPace:
    """Takes messages of a WebSocket no faster than a voice could need.

    The rest waits at the sender: nothing is lost, and nothing piles up here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        paid_until_s = 0.0

        async def paced() -> Message:
            nonlocal paid_until_s
            message = await receive()
            now = time.monotonic()
            earliest = now - WS_BURST / WS_MESSAGES_PER_S
            paid_until_s = max(paid_until_s, earliest) + 1 / WS_MESSAGES_PER_S
            if paid_until_s > now:
                await asyncio.sleep(paid_until_s - now)
            return message

        await self._app(scope, paced, send)
