"""Start, drain, stop: the pod's life from its routes to its last signal."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from loguru import logger
from starlette.middleware.cors import CORSMiddleware

from pipecatcloud_system.application import add_lifespan_to_app, app
from pipecatcloud_system.errors import Refusal
from pipecatcloud_system.health import Readiness, health_routes
from pipecatcloud_system.limits import MAX_BODY_BYTES, BodyLimit, SiteGuard
from pipecatcloud_system.peers import PeerSlot
from pipecatcloud_system.routes import refused, session_routes
from pipecatcloud_system.session import Bot, Pod
from pipecatcloud_system.settings import Settings

WORKERS = 2
"""Threads for encoding and other short work. One session keeps no more of them busy; with more,
every packet would be encoded on another one, its caches cold."""
CLOSE_TIMEOUT_S = 5
"""How long open HTTP requests may take once the session is over."""
AT_ONCE_S = 1.0
"""How long a second signal leaves for cleaning up."""


def install(bot: Bot, readyz: Callable[[], Any] | None, settings: Settings) -> Pod:
    """Add the pod's routes and guards to ``app``, after whatever bot.py has put there."""
    pod = Pod(bot)
    app.include_router(health_routes(pod, Readiness(readyz)))
    app.include_router(session_routes(pod, PeerSlot(pod, settings)))
    app.add_exception_handler(Refusal, refused)
    app.add_middleware(BodyLimit)
    app.add_middleware(SiteGuard, allowed_origins=settings.allowed_origins)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )

    @asynccontextmanager
    async def ends_its_session(_: FastAPI) -> AsyncIterator[None]:
        yield
        await pod.close()

    add_lifespan_to_app(ends_its_session)
    return pod


class PodServer(uvicorn.Server):
    """uvicorn, its signals left to `_stop_on_signal`, its address printed once it listens."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening and say where."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{host}:{port}", flush=True)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the address cannot be had; the message names it.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise OSError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None


async def serve(pod: Pod, settings: Settings) -> None:
    """Serve ``app`` until a signal ends it.

    SIGTERM lets a running session end within the drain timeout, SIGINT cancels it, and a second
    signal does not wait for anything.

    Raises:
        OSError: the address cannot be had.
        SystemExit: a lifespan failed to start.
    """
    listener = bind(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # Request lines can hold tokens.
        server_header=False,
        headers=[("x-content-type-options", "nosniff")],
        ws_max_size=MAX_BODY_BYTES,
        timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
    )
    server = PodServer(config)
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(WORKERS, thread_name_prefix="worker"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    async with asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(_stop_on_signal(signals, pod, server, settings))
        try:
            await server.serve(sockets=[listener])
        finally:
            stopping.cancel()
    if pod.session is not None:
        # asyncio would wait for ever for a bot that lets no cancellation pass; the log has it.
        os._exit(0)


async def _stop_on_signal(
    signals: asyncio.Queue[signal.Signals], pod: Pod, server: PodServer, settings: Settings
) -> None:
    first = await signals.get()
    pod.draining = True
    # A second signal does not wait for a bot that will not end, nor for a blocked thread.
    hurry = asyncio.create_task(_hurry_on_signal(signals, pod, server))
    try:
        if first == signal.SIGTERM and pod.session is not None:
            logger.info("SIGTERM: the session may go on for {:g} s", settings.shutdown_timeout_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.shutdown_timeout_s):
                    await pod.idle()
        await pod.close()
        server.should_exit = True
        # The second signal counts until the server has ended, which cancels this.
        await asyncio.Event().wait()
    finally:
        hurry.cancel()
        await asyncio.wait({hurry})


async def _hurry_on_signal(
    signals: asyncio.Queue[signal.Signals], pod: Pod, server: PodServer
) -> None:
    await signals.get()
    logger.info("Second signal: ending at once")
    asyncio.get_running_loop().call_later(AT_ONCE_S, os._exit, 0)
    server.should_exit = server.force_exit = True
    await pod.close()
