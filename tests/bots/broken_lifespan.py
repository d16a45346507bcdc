"""A bot.py that finds its model broken when the pod starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from pipecatcloud_system import add_lifespan_to_app


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    raise ValueError("model.onnx is broken")
    yield


add_lifespan_to_app(lifespan)


async def bot(args: Any) -> None:
    pass
