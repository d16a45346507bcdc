"""The base image's routes: each turns a request into bot()'s arguments."""

import base64
import binascii
import contextlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import JSONResponse
from pipecat.runner.types import DailyRunnerArguments, WebSocketRunnerArguments
from starlette.websockets import WebSocketState

from pipecatcloud_system.errors import Failure, Refusal, error_body
from pipecatcloud_system.peers import PeerSlot
from pipecatcloud_system.session import Pod, Session, run_session

NO_TRANSPORT = (
    "Say where the session takes place: headers x-daily-room-url and x-daily-room-token for a "
    "Daily room, or x-daily-transport-type: webrtc to wait for an offer at /api/offer."
)

WS_TRY_AGAIN = 1013
WS_BAD_DATA = 1007
WS_BOT_FAILED = 1011
MAX_REASON_CHARS = 120
"""A close frame has room for 123 bytes of reason."""


async def refused(_: Request, refusal: Exception) -> JSONResponse:
    """The answer to a request that was refused."""
    status = refusal.status if isinstance(refusal, Refusal) else 500
    return JSONResponse(error_body(status, str(refusal)), status)


def session_routes(pod: Pod, slot: PeerSlot) -> APIRouter:
    """The routes that start sessions."""
    router = APIRouter()

    @router.post("/bot")
    async def bot(request: Request) -> JSONResponse:
        """Run one session; answered when it has ended."""
        body = _json_object(await request.body())
        session = await _start_named(pod, slot, request.headers, body)
        failure = await session.finished()
        if failure is not None:
            status = 503 if pod.draining and failure.error_id is None else 500
            return JSONResponse(error_body(status, failure.message, failure.error_id), status)
        return JSONResponse({})

    @router.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        """Run one session over this WebSocket."""
        await websocket.accept()
        try:
            body = _query_body(websocket.query_params.get("body"))
        except ValueError as error:
            await websocket.close(WS_BAD_DATA, str(error))
            return
        arguments = WebSocketRunnerArguments(
            websocket=websocket, session_id=_session_id(websocket.headers), body=body
        )
        try:
            session = await pod.begin(
                str(arguments.session_id), lambda: run_session(pod.bot, arguments)
            )
        except Refusal as refusal:
            await websocket.close(WS_TRY_AGAIN, str(refusal))
            return
        await _close(websocket, await session.finished())

    @router.post("/api/offer")
    async def offer(request: Request) -> JSONResponse:
        """Answer a browser's offer and start, or go on with, its session."""
        session_id = request.headers.get("x-daily-session-id")
        try:
            return JSONResponse(await slot.offer(await request.body(), session_id))
        except Refusal as refusal:
            # Clients of the base image know 400, not 409, as "somebody else is connected".
            status = 400 if refusal.status == 409 else refusal.status
            raise Refusal(status, str(refusal)) from None

    @router.patch("/api/offer")
    async def candidates(request: Request) -> JSONResponse:
        """Take further addresses of the browser that made the offer."""
        await slot.add_candidates(await request.body())
        return JSONResponse({"status": "success"})

    return router


async def _start_named(
    pod: Pod, slot: PeerSlot, headers: Mapping[str, str], body: dict[str, Any]
) -> Session:
    """Start the session that the headers of POST /bot name."""
    session_id = _session_id(headers)
    room_url, token = headers.get("x-daily-room-url"), headers.get("x-daily-room-token")
    transport = headers.get("x-daily-transport-type")
    if room_url and token:
        arguments = DailyRunnerArguments(
            room_url=room_url, token=token, session_id=session_id, body=body
        )
        return await pod.begin(session_id, lambda: run_session(pod.bot, arguments))
    if transport == "webrtc":
        return await slot.invite(session_id, body)
    if transport and transport != "daily":
        raise Refusal(400, f"x-daily-transport-type: {transport!r} is not served. {NO_TRANSPORT}")
    if room_url or token:
        given, lacking = ("url", "token") if room_url else ("token", "url")
        raise Refusal(400, f"x-daily-room-{given} came without x-daily-room-{lacking}.")
    raise Refusal(400, NO_TRANSPORT)


def _session_id(headers: Mapping[str, str]) -> str:
    return headers.get("x-daily-session-id") or str(uuid.uuid4())


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body: is not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise Refusal(400, "body: must be a JSON object.")
    return value


def _query_body(text: str | None) -> Any:
    """The bot's body from ?body=, base64 of JSON.

    Raises:
        ValueError: it is not that.
    """
    if not text:
        return {}
    # "+" arrives as a blank where it was not escaped.
    text = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("The body parameter is not base64 of JSON.") from None


async def _close(websocket: WebSocket, failure: Failure | None) -> None:
    """Close what bot() left open, saying why if it failed."""
    if WebSocketState.DISCONNECTED in (websocket.client_state, websocket.application_state):
        return
    code, reason = (1000, "") if failure is None else (WS_BOT_FAILED, failure.message)
    # The client may leave just now.
    with contextlib.suppress(RuntimeError):
        await websocket.close(code, reason[:MAX_REASON_CHARS])
