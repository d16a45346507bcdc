"""Answers at /echo with what it was asked; over a WebSocket it says what it hears."""

import hashlib
import os

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.websockets import WebSocketDisconnect
from pipecat.runner.types import WebSocketRunnerArguments

from pipecatcloud_system import app

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]


@app.api_route("/echo/{rest:path}", methods=METHODS)
async def echo(rest: str, request: Request) -> JSONResponse:
    body = await request.body()
    told = {
        "method": request.method,
        "raw_path": request.scope["raw_path"].decode(),
        "query": request.url.query,
        "headers": dict(request.headers),
        "sha256": hashlib.sha256(body).hexdigest(),
        "pid": os.getpid(),
        "secret": os.environ.get("STUB_SECRET", ""),
    }
    headers = {"set-cookie": "a=b", "x-stub": "yes", "server": "stub", "refresh": "0; url=/x"}
    return JSONResponse(told, 201 if request.method == "PUT" else 200, headers)


@app.get("/large")
async def large(pieces: int) -> StreamingResponse:
    async def made():
        for _ in range(pieces):
            yield bytes(100_000)

    return StreamingResponse(made(), media_type="application/octet-stream")


@app.get("/go")
async def go(to: str) -> RedirectResponse:
    return RedirectResponse(to, 307)


@app.get("/page")
async def page() -> HTMLResponse:
    return HTMLResponse("<p>stub</p>", headers={"content-security-policy": "default-src *"})


async def bot(args) -> None:
    if isinstance(args, WebSocketRunnerArguments):
        await args.websocket.send_json({"body": args.body, "session": args.session_id})
        try:
            while True:
                heard = await args.websocket.receive()
                if heard["type"] == "websocket.disconnect":
                    return
                if heard.get("text") == "fail":
                    raise RuntimeError("told to fail")
                if heard.get("text") == "bye":
                    return
                if heard.get("text") is not None:
                    await args.websocket.send_text(heard["text"])
                else:
                    await args.websocket.send_bytes(heard["bytes"])
        except WebSocketDisconnect:
            return
