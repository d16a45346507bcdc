"""Request bodies: their limits, and JSON as clients of the control plane send it."""

import asyncio
import json
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import Refused

MAX_BODY_BYTES = 2_000_000
"""Of a request to the control plane itself; what goes on to pods is streamed without limit."""
BODY_TIMEOUT_S = 30.0
"""From one piece of such a body to the next."""


class BodyLimit:
    """Refuses larger bodies with 413, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        too_much = len(announced) > 15 or (announced.isdigit() and int(announced) > MAX_BODY_BYTES)
        count, whole = 0, False

        async def counted() -> Message:
            nonlocal count, whole
            if not too_much:
                message = await (receive() if whole else received(receive))
                whole = whole or not message.get("more_body", False)
                count += len(message.get("body", b""))
            if too_much or count > MAX_BODY_BYTES:
                text = f"The request body is larger than {MAX_BODY_BYTES:,} bytes."
                raise HTTPException(413, text, {"connection": "close"})
            return message

        await self._app(scope, counted, send)


async def received(receive: Receive) -> Message:
    """The next piece of a body.

    Raises:
        HTTPException: 408, it has not come in time.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await receive()
    except TimeoutError:
        text = f"The request body paused for more than {BODY_TIMEOUT_S:g} s."
        raise HTTPException(408, text, {"connection": "close"}) from None


def streamed(path: str) -> bool:
    """Whether a request of this path goes on to a pod, its body piece by piece."""
    # An agent may be called sessions.
    parts = path.split("/", 6)
    return len(parts) == 7 and (parts[1], parts[2], parts[4]) == ("v1", "public", "sessions")


async def json_object(request: Request) -> dict[str, Any]:
    """A request's body.

    Raises:
        Refused: it is no JSON object.
    """
    content = await request.body()
    if not content:
        return {}
    try:
        value = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"body: is not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise Refused(400, "body: must be a JSON object.")
    return value


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON's")
