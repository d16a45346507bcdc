"""What every request passes before any route sees it: a name, an eye on its answer, its key."""

import time
import uuid

from fastapi import Request
from fastapi.responses import JSONResponse
from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.access import Door
from runtime.bodies import streamed
from runtime.errors import Refused, error_body
from runtime.metrics import Metrics
from runtime.proxy import has_body

MAX_PATH_CHARS = 200


class KeyFirst:
    """Refuses strangers before their bodies are read: a route reads the body before it asks."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._reads(scope):
            request = Request(scope)
            if not self._door.knows(request):
                try:
                    self._door.check(request, "public")
                except Refused as refused:
                    answer = JSONResponse(refused.body, refused.status, refused.headers)
                    await answer(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    @staticmethod
    def _reads(scope: Scope) -> bool:
        """Whether the route would."""
        path = scope["path"]
        return path.startswith("/v1/") and not streamed(path) and has_body(scope)


COUNTED_AS: dict[int | str, str] = {"no answer": "none", "accepted": "101"}
"""What the log says of a request without a status, as /metrics has it."""


class Requests:
    """Names each request, in its answer and in the log, counts it, and answers for what fails."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex[:16]
        name = (b"x-request-id", request_id.encode())
        status: int | str = "no answer"
        begun = False

        async def observed(message: Message) -> None:
            nonlocal status, begun
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                begun = True
                status = message["status"]
                headers = list(message.get("headers", []))
                if not any(key == b"content-security-policy" for key, _ in headers):
                    headers.append((b"content-security-policy", POLICY))
                headers += [name, (b"x-content-type-options", b"nosniff")]
                headers.append((b"referrer-policy", b"no-referrer"))
                message = {**message, "headers": _once(headers)}
            elif message["type"] == "websocket.accept":
                begun, status = True, "accepted"
                message = {**message, "headers": [*message.get("headers", []), name]}
            await send(message)

        began_s = time.monotonic()
        with logger.contextualize(request_id=request_id):
            try:
                await self._app(scope, receive, observed)
            except ConnectionResetError:
                # Its client, or its pod, has left in the middle of the answer.
                if begun:
                    raise
            except Exception as error:
                logger.opt(exception=error).error("A request failed")
                if begun:
                    raise
                message = f"The request failed. The log says more: {request_id}."
                if scope["type"] == "http":
                    answer = JSONResponse(error_body(500, message), 500)
                    await answer(scope, receive, observed)
            finally:
                took_ms = (time.monotonic() - began_s) * 1000
                method = scope.get("method", "WS")
                logger.info("{} {} {} {:.0f} ms", method, _shown(scope["path"]), status, took_ms)
                self._metrics.count(scope, COUNTED_AS.get(status, str(status)))


POLICY = (
    b"default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)


ONCE = frozenset({b"x-content-type-options", b"referrer-policy"})
"""Headers that a pod may have set as well."""


def _once(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    seen: set[bytes] = set()
    kept = []
    for key, value in headers:
        if key in ONCE and key in seen:
            continue
        seen.add(key)
        kept.append((key, value))
    return kept


def _shown(path: str) -> str:
    """A path for the log: no ticket, no line break, not too long."""
    if path.startswith("/ws/generic/"):
        path = "/".join(path.split("/")[:4])
    return path.encode("unicode_escape").decode()[:MAX_PATH_CHARS]
