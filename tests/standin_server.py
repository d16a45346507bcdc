"""A stand-in for another server that runs our bot.py, in the order that Pipecat Cloud's does.

bot.py is imported first; then `app` is taken from pipecatcloud_system, and the server's own routes
are hung on it. Sessions are of classes of its own, which have Pipecat's for a base.
"""

import base64
import inspect
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.websockets import WebSocketState
from pipecat.runner.types import (
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.smallwebrtc.request_handler import (
    ConnectionMode,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

import bot as bot_module
from bot import bot
from pipecatcloud_system import add_lifespan_to_app, app


@dataclass
class PlainSession(RunnerArguments):
    """A session without a transport."""


@dataclass
class SocketSession(WebSocketRunnerArguments):
    """A session over a WebSocket."""


@dataclass
class PeerSession(SmallWebRTCRunnerArguments):
    """A session over WebRTC."""


routes_of_bot_py = len(app.routes)
handler = SmallWebRTCRequestHandler(connection_mode=ConnectionMode.SINGLE)
handler._ice_servers = []
lifespans: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    lifespans.append("entered")
    yield


add_lifespan_to_app(lifespan)


@app.get("/readyz")
async def readyz() -> JSONResponse:
    told = bot_module.readyz()
    told = await told if inspect.isawaitable(told) else told
    ready = told if isinstance(told, bool) else told["ready"]
    return JSONResponse({"lifespans": lifespans, "routes": routes_of_bot_py}, 200 if ready else 503)


@app.get("/status")
async def status() -> dict[str, str]:
    return {"by": "the server: bot.py's own route should have come first"}


@app.post("/bot")
async def start(body: dict[str, Any]) -> dict[str, Any]:
    try:
        await bot(PlainSession(session_id="plain", body=body))
    except ValueError as error:
        return {"refused": str(error)}
    return {}


@app.websocket("/ws")
async def ws(websocket: WebSocket, body: str) -> None:
    await websocket.accept()
    decoded = json.loads(base64.b64decode(body))
    await bot(SocketSession(websocket=websocket, session_id="socket", body=decoded))
    if websocket.state == WebSocketState.CONNECTED:
        await websocket.close()


@app.post("/api/offer")
async def offer(request: Request, tasks: BackgroundTasks) -> Any:
    wanted = SmallWebRTCRequest.from_dict(await request.json())

    async def begin(connection: Any) -> None:
        session = PeerSession(webrtc_connection=connection, session_id="peer", body=None)
        tasks.add_task(bot, session)

    return await handler.handle_web_request(wanted, begin)


@app.patch("/api/offer")
async def candidates(patch: SmallWebRTCPatchRequest) -> dict[str, str]:
    await handler.handle_patch_request(patch)
    return {"status": "success"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
