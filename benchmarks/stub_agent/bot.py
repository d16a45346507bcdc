"""An agent without voice or face that does what it is told: pods of it test the control plane.

A session's body says how it goes: {"lasts_s": 3.0, "end": "return"}. POST /end {"how": HOW} ends it
earlier, over a WebSocket the text "end HOW" does. HOW is one of

    return   bot() comes to its end
    raise    it fails
    exit     it ends the interpreter, as far as it can
    cling    it lets no cancellation pass, once it is cancelled

With STUB_NOTES, a folder, it leaves there what shows from outside how pods are used: sessions.txt,
to which each session adds a line with its pod's process id and a name that no other pod has, and
hearts/PID, touched every 50 ms for as long as the pod's server runs.
"""

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.websockets import WebSocketDisconnect
from pipecat.runner.types import WebSocketRunnerArguments

from pipecatcloud_system import add_lifespan_to_app, app

HEARTBEAT_S = 0.05
CLING_S = 20.0
NOTES = Path(os.environ["STUB_NOTES"]) if os.environ.get("STUB_NOTES") else None


class Conversation:
    """What runs in this pod."""

    pod = ""
    session_id: str | None = None
    how: str = "return"
    told: asyncio.Event


@asynccontextmanager
async def beating(_: FastAPI) -> AsyncIterator[None]:
    """A sign of life for as long as the server runs."""
    Conversation.pod = uuid.uuid4().hex
    heart = asyncio.create_task(_beat(NOTES / "hearts" / str(os.getpid()))) if NOTES else None
    try:
        yield
    finally:
        if heart is not None:
            heart.cancel()


add_lifespan_to_app(beating)


async def _beat(heart: Path) -> None:
    while True:
        heart.touch()  # noqa: ASYNC240  a microsecond
        await asyncio.sleep(HEARTBEAT_S)


@app.get("/who")
async def who() -> dict[str, Any]:
    """The pod's process, and the session that bot() has."""
    return {"pid": os.getpid(), "session": Conversation.session_id}


@app.post("/echo")
async def echo(request: Request) -> Response:
    """The body, as it came."""
    return Response(await request.body(), media_type="application/octet-stream")


@app.get("/slow")
async def slow(seconds: float) -> dict[str, Any]:
    """An answer that takes its time."""
    await asyncio.sleep(min(seconds, 5.0))
    return await who()


@app.post("/end")
async def end(request: Request) -> JSONResponse:
    """End the session."""
    if Conversation.session_id is None:
        return JSONResponse({"error": "There is no session."}, 409)
    _tell((await request.json())["how"])
    return JSONResponse(await who())


def _tell(how: str) -> None:
    Conversation.how = how
    Conversation.told.set()


async def bot(args: Any) -> None:
    """One session, as its body has it."""
    if NOTES:
        noted = {"pid": os.getpid(), "pod": Conversation.pod, "session": args.session_id}
        line = json.dumps({**noted, "at_s": time.time()})
        # One write to a file opened for appending is never torn by another pod's.
        with (NOTES / "sessions.txt").open("ab", buffering=0) as notes:
            notes.write(line.encode() + b"\n")
    body = args.body if isinstance(args.body, dict) else {}
    Conversation.session_id, Conversation.told = args.session_id, asyncio.Event()
    Conversation.how = str(body.get("end", "return"))
    talk = None
    if isinstance(args, WebSocketRunnerArguments):
        talk = asyncio.create_task(_talk(args.websocket))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(body.get("lasts_s", 3600.0))):
                await Conversation.told.wait()
    except asyncio.CancelledError:
        if Conversation.how != "cling":
            raise
        await asyncio.sleep(CLING_S)
    finally:
        if talk is not None:
            talk.cancel()
    if Conversation.how == "raise":
        raise RuntimeError("told to fail")
    if Conversation.how == "exit":
        raise SystemExit(3)


async def _talk(websocket: Any) -> None:
    """Say again what is heard, until the client leaves."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            text = await websocket.receive_text()
            if text.startswith("end "):
                _tell(text.removeprefix("end "))
                return
            await websocket.send_text(text)
    _tell("return")
