"""Start, drain, stop: the pod's life from its routes to its last signal."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import uvicorn
from fastapi import FastAPI
from loguru import logger
from starlette.middleware.cors import CORSMiddleware

from pipecatcloud_system.access import AccessLog
from pipecatcloud_system.application import add_lifespan_to_app, app
from pipecatcloud_system.capabilities import (
    capabilities_document,
    capabilities_routes,
    log_capabilities,
    own_capabilities,
)
from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.events import EventPublisher
from pipecatcloud_system.health import Readiness, health_routes
from pipecatcloud_system.ice import IceSource
from pipecatcloud_system.limits import MAX_BODY_BYTES, BodyLimit, WebSocketPace
from pipecatcloud_system.metrics import PodMetrics, RequestCount, metrics_routes
from pipecatcloud_system.openapi import openapi_routes
from pipecatcloud_system.origins import HostGuard, SiteGuard
from pipecatcloud_system.peers import PeerSlot
from pipecatcloud_system.protocol import protocol_settings
from pipecatcloud_system.replies import install_replies
from pipecatcloud_system.reserved import check_paths
from pipecatcloud_system.routes import session_routes
from pipecatcloud_system.session import Pod
from pipecatcloud_system.settings import WHATSAPP_KEYS, Settings, missing_whatsapp_keys

WORKERS = 2
"""Threads for encoding and other short work. One session keeps no more of them busy; with more,
every packet would be encoded on another one, its caches cold."""
KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than clients keep theirs, whose next request would
else meet the closing."""
CLOSE_TIMEOUT_S = 5
"""How long open HTTP requests may take once the session is over."""
AT_ONCE_S = 1.0
"""How long a second signal leaves for cleaning up."""
EXIT_FAILED, EXIT_UNJOINED = 70, 71
"""Exit status of a pod whose single session failed, and of one to which nobody came."""


def install(bot_module: ModuleType, settings: Settings) -> Pod:
    """Add the pod's routes and guards to ``app``, after whatever bot.py has put there.

    Raises:
        RouteTaken: a route of bot.py stands in the way of one of the pod's.
        BadCapabilities: what bot.py declares of itself cannot be served.
    """
    check_paths(app.routes)
    own = own_capabilities(settings, os.environ)
    capabilities = capabilities_document(own, getattr(bot_module, "capabilities", {}))
    if settings.log_features and capabilities is not None:
        log_capabilities(capabilities)
    pod = Pod(
        bot_module.bot,
        settings.max_session_s,
        settings.image_version,
        single=settings.single_session,
    )
    source = IceSource(settings.ice_config_url, settings.ice_servers)
    slot = PeerSlot(pod, source, settings.offer_timeout_s)
    app.include_router(health_routes(pod, Readiness(getattr(bot_module, "readyz", None))))
    app.include_router(session_routes(pod, slot, settings.session_files_dir))
    app.include_router(capabilities_routes(capabilities))
    if settings.whatsapp is not None:
        # Only here: most pods need neither its code nor its client.
        from pipecatcloud_system.whatsapp import WhatsAppCalls, whatsapp_routes

        calls = WhatsAppCalls(pod, source, settings.whatsapp)
        app.include_router(whatsapp_routes(calls, settings.whatsapp))
        add_lifespan_to_app(lambda _: calls.running())
    elif len(missing := missing_whatsapp_keys(os.environ)) < len(WHATSAPP_KEYS):
        logger.warning("WhatsApp's calls are not taken: not set: {}", ", ".join(missing))
    if settings.event_endpoint is not None:
        publisher = EventPublisher(settings.event_endpoint, settings.image_version)
        pod.report = publisher.report
        add_lifespan_to_app(lambda _: publisher.running())
    metrics = PodMetrics(pod)
    app.include_router(metrics_routes())
    add_lifespan_to_app(lambda _: metrics.measuring_lag())
    app.include_router(openapi_routes(app))
    # The guard that is added last is asked first.
    install_replies(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(WebSocketPace)
    app.add_middleware(SiteGuard, allowed_origins=settings.allowed_origins)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(HostGuard, listens_on=settings.host, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(RequestCount, requests=metrics.requests)
    app.add_middleware(AccessLog)

    @asynccontextmanager
    async def ends_its_session(_: FastAPI) -> AsyncIterator[None]:
        yield
        await pod.close()

    add_lifespan_to_app(ends_its_session)
    return pod


def security_headers(allowed_origins: Iterable[str]) -> list[tuple[str, str]]:
    """What every answer tells browsers; bot.py's pages say the rest for themselves."""
    framed_by = " ".join(["'self'", *allowed_origins])
    return [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", f"frame-ancestors {framed_by}"),
    ]


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
            name = sockets[0].getsockname()
            if isinstance(name, str):
                print(f"Listening on unix:{name}", flush=True)
                return
            host, port = name[:2]
            host = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{host}:{port}", flush=True)


def bind_path(path: Path) -> socket.socket:
    """A listening Unix socket that only this user can reach; one left by a dead pod is replaced.

    Raises:
        CannotStart: something else is there, another pod listens, or the path cannot be had.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                if other.connect_ex(str(path)) == 0:
                    raise CannotStart(f"Cannot listen on {path}: another process does.")
            path.unlink()
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise CannotStart(f"Cannot listen on {path}: {error.strerror or error}.") from None
    except CannotStart:
        listener.close()
        raise
    return listener


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        CannotStart: the address cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise CannotStart(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None


async def serve(pod: Pod, settings: Settings) -> int:
    """Serve ``app`` until a signal ends it, or its single session has ended.

    SIGTERM lets a running session end within the drain timeout, SIGINT cancels it, and a second
    signal does not wait for anything.

    Returns:
        The process's exit status.

    Raises:
        CannotStart: the address cannot be had.
        SystemExit: a lifespan failed to start.
    """
    socket_path = settings.socket
    listener = bind_path(socket_path) if socket_path else bind(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_config=None,  # `configure_logging` has set it up.
        access_log=False,  # Its request lines can hold tokens; AccessLog's cannot.
        server_header=False,
        headers=security_headers(settings.allowed_origins),
        ws_max_size=MAX_BODY_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        **protocol_settings(),
        timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
    )
    server = PodServer(config)
    logger.info("Pod starts (image {})", settings.image_version)
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(WORKERS, thread_name_prefix="worker"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    async with asyncio.TaskGroup() as tasks:
        stopping = [tasks.create_task(_stop_on_signal(signals, pod, server, settings))]
        if settings.single_session:
            stopping.append(tasks.create_task(_stop_after_session(pod, server)))
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in stopping:
                task.cancel()
            if socket_path:
                socket_path.unlink(missing_ok=True)
    status = 0
    if settings.single_session and pod.tally.failed:
        status = EXIT_UNJOINED if pod.tally.unjoined else EXIT_FAILED
    if pod.session is not None:
        # asyncio would wait for ever for a bot that lets no cancellation pass; the log has it.
        os._exit(status)
    return status


async def _stop_after_session(pod: Pod, server: PodServer) -> None:
    await pod.ended.wait()
    pod.draining = True
    # What waits for the session's end is answered within the server's shutdown.
    server.should_exit = True


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
