"""Every error answer in one form: no trace, no values, and nothing of the request repeated."""

import contextlib
import uuid
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipecatcloud_system.errors import Refusal, error_body

MAX_COMPLAINTS = 10
"""How many of the things wrong with a body are told."""
MAX_TEXT_CHARS = 200
BODILESS = (204, 304)
WS_INTERNAL_ERROR = 1011


def install_replies(app: FastAPI) -> None:
    """Have an application answer what goes wrong in this form."""
    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_middleware(FailureGuard)


async def refused(_: Request, refusal: Exception) -> JSONResponse:
    """The answer to a request that was refused."""
    status = refusal.status if isinstance(refusal, Refusal) else 500
    return JSONResponse(error_body(status, str(refusal)), status)


async def http_error(_: Request, error: Exception) -> Response:
    """The answer where a route or the routing raised HTTPException: 404 and 405 among them."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code < 200 or error.status_code in BODILESS:
        return Response(status_code=error.status_code, headers=error.headers)
    body: dict[str, Any] = error_body(error.status_code, str(error.detail))
    # bot.py may have given more than text.
    body["detail"] = error.detail
    return JSONResponse(body, error.status_code, error.headers)


async def invalid(_: Request, error: Exception) -> JSONResponse:
    """The answer to a body or parameter that a route of bot.py declares otherwise.

    As FastAPI's, "detail" lists what is wrong and where; what was sent is not repeated.
    """
    if not isinstance(error, RequestValidationError):
        raise error
    detail = [
        {
            "type": each["type"],
            "loc": [part if isinstance(part, int) else _short(part) for part in each["loc"]],
            "msg": _short(each["msg"]),
        }
        for each in error.errors()[:MAX_COMPLAINTS]
    ]
    first = detail[0]
    place = ".".join(str(part) for part in first["loc"])
    return JSONResponse(error_body(422, f"{place}: {first['msg']}") | {"detail": detail}, 422)


def _short(text: object) -> str:
    """Text that is not long, and can be sent: keys in JSON may hold half a character."""
    whole = str(text)
    cut = whole if len(whole) <= MAX_TEXT_CHARS else whole[:MAX_TEXT_CHARS] + "…"
    return cut.encode("utf-8", "backslashreplace").decode()


class FailureGuard:
    """Answers for routes that raise: 500 with an error id, under which the log holds the story."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun = False

        async def observed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, observed)
        # Whatever a route raises: its caller gets an answer, and the log its trace.
        except Exception as error:
            error_id = uuid.uuid4().hex[:12]
            what = f"{scope.get('method', 'WS')} {_short(scope['path'])!r}"
            logger.opt(exception=error).error("{} failed; error id {}", what, error_id)
            message = f"The request failed. The pod's log says more: {error_id}."
            if scope["type"] == "websocket":
                # It may have been closed already.
                with contextlib.suppress(RuntimeError):
                    close = {"type": "websocket.close", "code": WS_INTERNAL_ERROR}
                    await send(close | {"reason": message})
            elif begun:
                # Half an answer: the server cuts the connection.
                raise
            else:
                answer = JSONResponse(error_body(500, message, error_id), 500)
                await answer(scope, receive, send)
