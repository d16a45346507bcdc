"""Liveness and readiness: /livez, and /readyz as bot.readyz() says."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from loguru import logger

from pipecatcloud_system.session import Pod

READYZ_TIMEOUT_S = 5.0


class Readiness:
    """Asks bot.readyz(): once at a time, and never on the event loop if it is a plain function."""

    def __init__(self, readyz: Callable[[], Any] | None) -> None:
        self._readyz = readyz
        self._asking: asyncio.Task[Any] | None = None

    async def answer(self) -> tuple[bool, dict[str, Any]]:
        """Whether the bot is ready, and the body that says so, with the reason if it is not."""
        if self._readyz is None:
            return True, {"status": "ok"}
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_ask(self._readyz))
        # Probes that come meanwhile wait for the same answer.
        asking = self._asking
        await asyncio.wait({asking}, timeout=READYZ_TIMEOUT_S)
        if not asking.done():
            return _not_ready(f"readyz() has not answered within {READYZ_TIMEOUT_S:g} s")
        if error := asking.exception():
            logger.warning("readyz() raised {}: {}", type(error).__name__, error)
            return _not_ready(f"readyz() raised {type(error).__name__}: {error}")
        return _judged(asking.result())


async def _ask(readyz: Callable[[], Any]) -> Any:
    if inspect.iscoroutinefunction(readyz):
        return await readyz()
    return await asyncio.to_thread(readyz)


def _judged(result: object) -> tuple[bool, dict[str, Any]]:
    if isinstance(result, bool):
        return (True, {"status": "ok"}) if result else _not_ready("readyz() returned False")
    if isinstance(result, dict):
        return bool(result.get("ready", False)), result
    return _not_ready(f"readyz() returned {type(result).__name__}, not a bool or a dict")


def _not_ready(reason: str) -> tuple[bool, dict[str, Any]]:
    return False, {"status": "not ready", "reason": reason}


def health_routes(pod: Pod, readiness: Readiness) -> APIRouter:
    """The routes that orchestrators probe."""
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if pod.draining:
            return JSONResponse({"status": "draining", "reason": "shutting down"}, 503)
        ready, body = await readiness.answer()
        return JSONResponse(body, 200 if ready else 503)

    return router
