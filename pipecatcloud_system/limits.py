"""Guards around every route, bot.py's own too: body size, and other sites' pages."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipecatcloud_system.errors import error_body

MAX_BODY_BYTES = 1_000_000


class BodyLimit:
    """Refuses a request body above 1 MB with 413, whether its length is announced or not.

    The body is read whole before the route is called, so that no route ever sees half of one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            await self._refuse(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                await self._refuse(scope, receive, send)
                return

        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"The request body is larger than {MAX_BODY_BYTES:,} bytes."
        response = JSONResponse(error_body(413, message), 413, {"connection": "close"})
        await response(scope, receive, send)


class SiteGuard:
    """Refuses what a browser sends for a page of another site, unless its origin is allowed.

    Browsers mark such requests with Sec-Fetch-Site. Reading is left to CORS; this covers what
    CORS lets through unasked: plain posts, and WebSocket connections.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Iterable[str]) -> None:
        self._app = app
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not self._foreign(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "origin not allowed"})
        else:
            message = "Pages of other sites may not use this pod; see PIPECAT_ALLOWED_ORIGINS."
            await JSONResponse(error_body(403, message), 403)(scope, receive, send)

    def _foreign(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return False
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
            return False
        return not self._allowed_origins & {"*", headers.get("origin", "")}
