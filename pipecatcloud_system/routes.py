"""The base image's routes: each turns a request into a session."""

import asyncio
import contextlib
from pathlib import Path

from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import JSONResponse
from pipecat.runner.types import WebSocketRunnerArguments
from starlette.websockets import WebSocketState

from pipecatcloud_system import openapi as described
from pipecatcloud_system.arguments import (
    FlowUnreadable,
    called_arguments,
    flow_file,
    query_body,
    read_start,
    start_body,
)
from pipecatcloud_system.errors import Failure, Refusal, error_body
from pipecatcloud_system.peers import PeerSlot
from pipecatcloud_system.session import Pod

WS_TRY_AGAIN = 1013
WS_BAD_DATA = 1007
WS_FAILED = 1011
MAX_REASON_CHARS = 120
"""A close frame has room for 123 bytes of reason."""


def session_routes(pod: Pod, slot: PeerSlot, session_files: Path | None = None) -> APIRouter:
    """The routes that start sessions.

    Args:
        pod: holds the sessions.
        slot: takes the WebRTC peers.
        session_files: folder of the files that X-Pcc-Flow-Config-File may name.
    """
    router = APIRouter()

    @router.post("/bot", openapi_extra=described.BOT)
    async def bot(request: Request) -> JSONResponse:
        """Run one session; answered when it has ended."""
        body, flow_config = start_body(await request.body(), request.headers)
        start = read_start(request.headers, flow_config)
        arguments = called_arguments(request.headers, body)
        if arguments is None:
            session = await slot.invite(start, body)
        else:
            session = await pod.begin(start.session_id, lambda: pod.converse(arguments, start))
        failure = await session.finished()
        if failure is not None:
            ended_by_pod = pod.draining and failure.error_id is None and not failure.unjoined
            status = 503 if ended_by_pod else 500
            return JSONResponse(error_body(status, failure.message, failure.error_id), status)
        return JSONResponse({})

    @router.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        """Run one session over this WebSocket."""
        await websocket.accept()
        try:
            body = query_body(websocket.query_params.get("body"))
            flow_name = websocket.headers.get("x-pcc-flow-config-file")
            flow_config = await asyncio.to_thread(flow_file, flow_name, session_files)
            start = read_start(websocket.headers, flow_config)
        except Refusal as refusal:
            await _close(websocket, WS_BAD_DATA, str(refusal))
            return
        except FlowUnreadable as error:
            await _close(websocket, WS_FAILED, str(error))
            return
        arguments = WebSocketRunnerArguments(websocket=websocket, body=body)
        try:
            session = await pod.begin(start.session_id, lambda: pod.converse(arguments, start))
        except Refusal as refusal:
            await _close(websocket, WS_TRY_AGAIN, str(refusal))
            return
        await _close(websocket, *_farewell(await session.finished()))

    @router.post("/api/offer", openapi_extra=described.OFFER)
    async def offer(request: Request) -> JSONResponse:
        """Answer a browser's offer and start, or go on with, its session."""
        try:
            return JSONResponse(await slot.offer(await request.body(), read_start(request.headers)))
        except Refusal as refusal:
            # Clients of the base image know 400, not 409, as "somebody else is connected".
            status = 400 if refusal.status == 409 else refusal.status
            raise Refusal(status, str(refusal)) from None

    @router.patch("/api/offer", openapi_extra=described.CANDIDATES)
    async def candidates(request: Request) -> JSONResponse:
        """Take further addresses of the browser that made the offer."""
        await slot.add_candidates(await request.body())
        return JSONResponse({"status": "success"})

    return router


def _farewell(failure: Failure | None) -> tuple[int, str]:
    return (1000, "") if failure is None else (WS_FAILED, failure.message)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close what may have been closed already."""
    if WebSocketState.DISCONNECTED in (websocket.client_state, websocket.application_state):
        return
    # The client may leave just now.
    with contextlib.suppress(RuntimeError):
        await websocket.close(code, reason[:MAX_REASON_CHARS])
