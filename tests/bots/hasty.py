"""A bot.py whose pod has little patience, with routes that fail in their own ways."""

import asyncio
from typing import Any

from fastapi import HTTPException, Request, WebSocket
from pydantic import BaseModel, ConfigDict, Field

from pipecatcloud_system import app, limits, protocol

protocol.HEAD_TIMEOUT_S = limits.BODY_TIMEOUT_S = 0.5


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int
    names: dict[str, int] = Field({}, max_length=100)


@app.get("/slow")
async def slow() -> dict[str, str]:
    await asyncio.sleep(0.8)
    return {}


@app.post("/count")
async def count(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@app.post("/order")
async def order(order: Order) -> dict[str, int]:
    return {"count": order.count}


@app.get("/fail")
async def fail() -> None:
    raise RuntimeError("the secret plan failed")


@app.websocket("/fail")
async def fail_later(websocket: WebSocket) -> None:
    await websocket.accept()
    raise RuntimeError("the secret plan failed")


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, {"short": "and stout"}, {"x-tea": "green"})


async def bot(args: Any) -> None:
    pass
