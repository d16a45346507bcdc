"""One log line for each request: method, path, status, milliseconds; nothing that may be secret."""

import time

from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by orchestrators; not worth a line."""
MAX_PATH_CHARS = 200


class AccessLog:
    """Logs requests and WebSockets when they end, without their query strings and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        status: int | str = "no answer"

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = "accepted"
            elif message["type"] == "websocket.close":
                status = f"closed {message.get('code', 1000)}"
            await send(message)

        began = time.monotonic()
        try:
            await self._app(scope, receive, observed)
        finally:
            milliseconds = (time.monotonic() - began) * 1000
            method = scope.get("method", "WS")
            logger.info("{} {} {} {:.0f} ms", method, _path(scope), status, milliseconds)


def _path(scope: Scope) -> str:
    """The path as it was sent, percent signs and all: decoded, it could hold a line break."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
    path = raw.partition(b"?")[0].decode("ascii", "backslashreplace")
    return path if len(path) <= MAX_PATH_CHARS else path[:MAX_PATH_CHARS] + "…"
