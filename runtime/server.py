"""The control plane's server: its parts made and joined, its guards, its start and its end."""

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from runtime.access import Door
from runtime.agents import Agents
from runtime.api.dashboard import dashboard_routes
from runtime.api.pipecat_cloud import SessionApi, public_routes, socket_routes
from runtime.api.pipecat_cloud_admin import admin_routes
from runtime.bodies import BodyLimit, json_object
from runtime.control import Sessions
from runtime.errors import CannotStart, Refused, error_body
from runtime.guards import KeyFirst, Requests
from runtime.keys import Keys
from runtime.local_pods import Lines
from runtime.metrics import Metrics, Totals, metrics_routes
from runtime.plane import Plane
from runtime.pods import Pod
from runtime.records import Records
from runtime.rooms import DailyRooms
from runtime.settings import Settings, run_folder
from runtime.store import Store, StoreTrouble
from runtime.tails import LogLine
from runtime.tasks import Tasks
from runtime.tickets import Tickets
from runtime.vault import Vault
from runtime.webhooks import Webhooks
from runtime.wire import Protocol

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
GRACE_S = 10.0
"""For running sessions at an end that takes them along."""
CLOSE_TIMEOUT_S = 5
MAX_REQUESTS = 1_000
"""Connections and requests at once; one more is answered with 503."""
KEYS_EVERY_S = 2.0
VERSION = "0.1.0"


class Server:
    """The control plane, from its folder to its last signal."""

    def __init__(self, settings: Settings) -> None:
        """Open what it needs.

        Raises:
            CannotStart: something cannot be had; the message says what.
        """
        self._settings = settings
        try:
            settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._run = run_folder(settings.data)
        except (OSError, ValueError) as error:
            raise CannotStart(f"RUNTIME_DATA: {error}") from None
        self._lock = _locked(settings.data / "lock")
        self._store = Store(settings.data / "store.sqlite")
        self._end_pods = False

    async def run(self) -> None:
        """Serve until a signal ends it: SIGINT with all sessions, SIGTERM leaves them running.

        Raises:
            CannotStart: the address cannot be had.
        """
        settings = self._settings
        store = self._store
        keys = Keys(store)
        try:
            await self._first_keys(keys)
        except StoreTrouble as error:
            raise CannotStart(f"Cannot start anew: {error}") from None
        records = Records(store)
        tasks = Tasks()

        def takes(agent: str) -> Lines:
            def take(pod: Pod, told: list[LogLine]) -> None:
                tasks.spawn(_keep_lines(records, agent, pod, told))

            return take

        vault = Vault(store, settings.data / "secrets.key", settings.region)
        agents = Agents(store, vault, settings.agents, self._run, takes)
        webhooks = Webhooks(store, settings.webhook)
        rooms = DailyRooms(settings.daily_api_url, settings.daily_api_key)
        sessions = Sessions(store, agents, webhooks, rooms)
        plane = Plane(
            settings,
            store,
            keys,
            Door(keys, settings.rate_per_s),
            vault,
            Tickets(settings.data / "tickets.key"),
            agents,
            sessions,
        )
        listener = _bound(settings.host, settings.port)
        events = await self._event_server(sessions)
        current = asyncio.create_task(_keep_current(keys, store))
        try:
            async with webhooks.running(), sessions.running():
                # What is there by now lasts: later collections pass it over, and take no 10 ms.
                gc.collect()
                gc.freeze()
                await self._serve(plane, listener)
                if self._end_pods:
                    await sessions.stop_all("the control plane was stopped")
                await agents.stop(self._end_pods, GRACE_S)
        finally:
            events.should_exit = True
            await self._events_served
            current.cancel()
            await tasks.settle(CLOSE_TIMEOUT_S)
            if self._end_pods:
                shutil.rmtree(self._run, ignore_errors=True)
            store.close()

    async def _first_keys(self, keys: Keys) -> None:
        if await keys.load():
            return
        _, public = await keys.create("public", "first")
        _, private = await keys.create("private", "first")
        print(
            "The keys of this control plane, shown this once:\n"
            f"  public key   {public}\n"
            f"  private key  {private}",
            flush=True,
        )

    async def _serve(self, plane: Plane, listener: socket.socket) -> None:
        config = _config(application(plane))
        server = _Uvicorn(config)
        loop = asyncio.get_running_loop()

        def stop(end_pods: bool) -> None:
            self._end_pods = self._end_pods or end_pods
            server.should_exit = True

        loop.add_signal_handler(signal.SIGTERM, stop, False)
        loop.add_signal_handler(signal.SIGINT, stop, True)
        await server.serve(sockets=[listener])

    async def _event_server(self, sessions: Sessions) -> uvicorn.Server:
        """Serve the socket on which pods tell what happens to their sessions."""
        app = FastAPI(openapi_url=None)

        @app.post("/")
        async def event(request: Request) -> Response:
            told = await json_object(request)
            sessions.on_event(str(told.get("session_id")), str(told.get("event_name")))
            return Response(status_code=204)

        app.add_middleware(BodyLimit)
        path = self._run / "events"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(socket.SOMAXCONN)
        server = _Uvicorn(_config(app), quiet=True)
        self._events_served = asyncio.create_task(server.serve(sockets=[listener]))
        return server


def application(plane: Plane) -> FastAPI:
    """All routes behind all guards."""
    app = FastAPI(title="Mouthpiece control plane", version=VERSION, docs_url=None, redoc_url=None)
    app.include_router(public_routes(plane))
    app.include_router(socket_routes(plane))
    app.include_router(admin_routes(plane))
    totals = Totals(plane.store)
    app.include_router(dashboard_routes(plane, totals))
    metrics = Metrics(plane, totals)
    app.include_router(metrics_routes(plane, metrics))

    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """Whether sessions can be started."""
        if plane.store.full:
            return JSONResponse({"status": "read only", "reason": "the disk is full"}, 503)
        return JSONResponse({"status": "ok"})

    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        for operation in (each for path in document["paths"].values() for each in path.values()):
            # Wrong input is told as all else is that is wrong with a request.
            if operation["responses"].pop("422", None):
                operation["responses"]["400"] = {"description": "Names what is wrong"}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    # The guard that is added last is asked first.
    app.add_middleware(KeyFirst, door=plane.door)
    app.add_middleware(BodyLimit)
    app.add_middleware(SessionApi, plane=plane, handlers=app.exception_handlers)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=plane.settings.allowed_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        max_age=600,
    )
    names = [*LOOPBACK_NAMES, *plane.settings.allowed_hosts]
    if plane.settings.host not in ("127.0.0.1", "::1", "localhost"):
        names = ["*"] if not plane.settings.allowed_hosts else [*names, plane.settings.host]
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    app.add_middleware(Requests, metrics=metrics)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse(error.body, error.status, error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        error_body(error.status_code, str(error.detail)), error.status_code, error.headers
    )


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part)[:60] for part in first["loc"])
    text = f"{place}: {first['msg']}".encode("utf-8", "backslashreplace").decode()
    return JSONResponse(error_body(400, text[:300]), 400)


class _Uvicorn(uvicorn.Server):
    """uvicorn, its signals left to the control plane, its address printed once it listens."""

    def __init__(self, config: uvicorn.Config, quiet: bool = False) -> None:
        super().__init__(config)
        self._quiet = quiet

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening and say where."""
        await super().startup(sockets)
        if self.started and sockets and not self._quiet:
            host, port = sockets[0].getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{host}:{port}", flush=True)


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_REQUESTS,
        ws_max_size=1_000_000,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
    )


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise CannotStart(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None


def _locked(path: Path) -> int:
    """Keep a second control plane off the same folder for as long as this process lives."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise CannotStart(
            f"Another control plane uses {path.parent}; stop it, or set RUNTIME_DATA."
        ) from None
    return descriptor


async def _keep_current(keys: Keys, store: Store) -> None:
    """Learn of keys that were made or revoked on the command line, and of room on the disk."""
    while True:
        await asyncio.sleep(KEYS_EVERY_S)
        with contextlib.suppress(StoreTrouble):
            await keys.load()
        await store.try_room()


async def _keep_lines(records: Records, agent: str, pod: Pod, lines: list[LogLine]) -> None:
    # A log is not worth more than the disk it would be written to.
    with contextlib.suppress(StoreTrouble):
        await records.add_lines(agent, pod.deployment_id, pod.session_id, lines)
