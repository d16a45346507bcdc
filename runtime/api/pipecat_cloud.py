"""Pipecat Cloud's public API: start a session, and speak with the pod that holds it."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime import proxy
from runtime.access import Caller
from runtime.agents import Agent
from runtime.bodies import streamed
from runtime.errors import Refused
from runtime.live import StartRequest, Verdict
from runtime.plane import Plane

PUBLIC_PATH = "/v1/public"
SESSION_PATH = "/{agent}/sessions/{session_id}/{path:path}"
MAX_BODY_BYTES = 1_000_000
MAX_SOCKET_BODY_BYTES = 4_096
"""Of a session over a WebSocket, where it travels in the address."""


class Start(BaseModel):
    """Body of a start."""

    model_config = ConfigDict(extra="ignore")

    createDailyRoom: bool | None = None
    """Make a Daily room: the same as transport daily."""
    dailyRoomProperties: dict[str, Any] | None = None
    dailyMeetingTokenProperties: dict[str, Any] | None = None
    enableDefaultIceServers: bool | None = None
    """Have the reply name the operator's ICE servers."""
    transport: Literal["webrtc", "daily", "websocket"] | None = None
    """webrtc unless said otherwise."""
    body: dict[str, Any] | None = None
    """For the bot, as args.body: 1 MB at most, 4 KB with a WebSocket."""
    flow_config: Annotated[str, Field(min_length=1, max_length=MAX_BODY_BYTES)] | None = None


class SessionApi:
    """Answers requests for sessions before FastAPI's router, whose work each would wait for."""

    path = PUBLIC_PATH + SESSION_PATH
    """For /metrics, as a route's."""

    def __init__(self, app: ASGIApp, plane: Plane, handlers: Mapping[Any, Any]) -> None:
        """Stand before an application.

        Args:
            app: answers everything else.
            plane: the control plane's parts.
            handlers: what makes an answer of an exception, by its class.
        """
        self._app = app
        self._plane = plane
        self._answer = ExceptionMiddleware(self._forwarded, handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["method"] in proxy.FORWARDED
        app = self._answer if ours and streamed(scope["path"]) else self._app
        await app(scope, receive, send)

    async def _forwarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        self._plane.door.check(HTTPConnection(scope), "public")
        _, _, _, agent, _, session_id, _ = scope["path"].split("/", 6)
        # As it came, percent signs and all: what is behind the session's prefix.
        raw = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        if not streamed(raw):
            raise Refused(400, "The path holds signs that mean more than they show.")
        inner = proxy.checked_path(raw.split("/", 6)[6])
        live = await self._plane.sessions.get(agent, session_id)
        prefix = proxy.session_prefix(agent, session_id)
        await proxy.forward(live, inner, prefix, scope, receive, send)


def public_routes(plane: Plane) -> APIRouter:
    """The routes that a public key opens."""
    router = APIRouter(prefix=PUBLIC_PATH, tags=["sessions"])
    caller = Annotated[Caller, Depends(plane.door.needs("public"))]

    @router.post("/{agent}/start")
    async def start(
        agent: str, request: Request, _: caller, wanted: Start | None = None
    ) -> JSONResponse:
        """Start a session; the reply says where it takes place."""
        deployed = plane.agents.get(agent)
        wanted = wanted or Start()
        body = json.dumps(wanted.body or {}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        transport = wanted.transport or ("daily" if wanted.createDailyRoom else "webrtc")
        limit = MAX_SOCKET_BODY_BYTES if transport == "websocket" else MAX_BODY_BYTES
        if len(body) > limit:
            message = f"body: has {len(body):,} bytes; {transport} takes {limit:,} at most."
            raise Refused(413, message)
        if transport == "websocket":
            if wanted.flow_config is not None:
                raise Refused(400, "flow_config: is not taken by a session over a WebSocket.")
            body = body if wanted.body else b""
            return JSONResponse(_socket_start(plane, deployed, request, body))
        live = await plane.sessions.start(
            deployed,
            StartRequest(
                transport,
                body,
                wanted.flow_config,
                wanted.dailyRoomProperties,
                wanted.dailyMeetingTokenProperties,
            ),
        )
        reply: dict[str, Any] = {"sessionId": live.session.id}
        if live.room is not None:
            reply |= {"dailyRoom": live.room.url, "dailyToken": live.room.user_token}
        elif wanted.enableDefaultIceServers:
            reply["iceConfig"] = {"iceServers": list(plane.settings.ice_servers)}
        return JSONResponse(reply)

    async def session_api(agent: str, session_id: str, path: str, _: caller) -> Response:
        """Whatever the session's own pod serves at this path."""
        raise NotImplementedError("described here; SessionApi answers")

    for method in proxy.FORWARDED:
        router.add_api_route(
            SESSION_PATH,
            session_api,
            methods=[method],
            operation_id=f"session_api_{method.lower()}",
            response_model=None,
        )
    return router


def socket_routes(plane: Plane) -> APIRouter:
    """The WebSockets of sessions whose transport that is."""
    router = APIRouter(prefix="/ws/generic")

    @router.websocket("")
    @router.websocket("/{target}")
    @router.websocket("/{target}/{ticket}")
    async def generic(websocket: WebSocket, target: str = "", ticket: str = "") -> None:
        """A session over this socket; its pod is claimed when it connects."""
        query = websocket.query_params
        try:
            name = _target(plane, target or query.get("serviceHost", ""))
            agent = plane.agents.get(name)
            if agent.settings.websocket_auth == "none":
                _check_origin(plane, websocket)
            scheme, _, given = websocket.headers.get("authorization", "").partition(" ")
            ticket = ticket or query.get("token", "")
            if not ticket and scheme.lower() == "bearer":
                ticket = given.strip()
            body = query.get("body", "")
            session_id = _admitted(plane, agent, ticket, body)
            live = await plane.sessions.claim_once(agent, session_id, "websocket")
        except Refused as refused:
            await _refuse(websocket, refused)
            return
        try:
            sent = f"body={_quoted(body)}" if body else ""
            if await proxy.forward_socket(
                live, sent, websocket.scope, websocket.receive, websocket.send
            ):
                reason = "the WebSocket was closed"
                live.judge(Verdict("completed", "WS_CONNECTION_CLOSED", reason))
        except Refused as refused:
            live.judge(Verdict("agent_error", "HTTP_ERROR", refused.message))
            await _refuse(websocket, refused)
        finally:
            await plane.sessions.finish(live)

    return router


def _socket_start(plane: Plane, agent: Agent, request: Request, body: bytes) -> dict[str, Any]:
    if not agent.ready:
        raise Refused(400, f"The agent {agent.name} is not ready: {agent.error}", "PCC-1001")
    if agent.settings.websocket_auth == "none" and body:
        raise Refused(400, "body: cannot be given where websocket_auth is none.")
    if plane.agents.backend(agent.name).claimed >= agent.settings.max_agents:
        raise Refused(429, "Service maximum agent instances reached", "PCC-AGENT-AT-CAPACITY", 5)
    base = plane.base_url(request).replace("http", "ws", 1)
    session_id, ticket = plane.tickets.make(agent.name)
    reply = {
        "sessionId": session_id,
        "wsUrl": f"{base}/ws/generic/{agent.name}.{plane.settings.organization}",
        "token": ticket,
    }
    if body:
        reply["body"] = base64.b64encode(body).decode()
    return reply


def _target(plane: Plane, target: str) -> str:
    """The agent's name in agent.organization."""
    name, _, organization = target.rpartition(".")
    if not name or organization != plane.settings.organization:
        raise Refused(404, f"{target[:80]!r} is no AGENT.{plane.settings.organization}.")
    return name


def _admitted(plane: Plane, agent: Agent, ticket: str, body: str) -> str:
    """The id of the session that a socket may open."""
    if len(body) > MAX_SOCKET_BODY_BYTES * 2:
        raise Refused(413, "The body parameter is too long.")
    if body:
        try:
            text = body.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
            content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            if len(content) > MAX_SOCKET_BODY_BYTES:
                raise Refused(413, f"body: takes {MAX_SOCKET_BODY_BYTES:,} bytes at most.")
            json.loads(content)
        except (binascii.Error, ValueError, RecursionError):
            raise Refused(400, "The body parameter is not base64 of JSON.") from None
    if agent.settings.websocket_auth != "none":
        return plane.tickets.read(agent.name, ticket)
    if body:
        raise Refused(400, "A body cannot be given where websocket_auth is none.")
    return plane.tickets.make(agent.name)[0]


def _check_origin(plane: Plane, websocket: WebSocket) -> None:
    """Refuse pages of other sites, which any browser would let open a socket here."""
    allowed = plane.settings.allowed_origins
    known = "*" in allowed or websocket.headers.get("origin") in allowed
    if not known and not plane.door.own_page(websocket):
        raise Refused(403, "Pages of this origin may not; RUNTIME_ALLOWED_ORIGINS names those.")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.replace(" ", "+"), safe="")


async def _refuse(websocket: WebSocket, refused: Refused) -> None:
    """Answer the handshake with the error, as HTTP."""
    await websocket.send_denial_response(
        JSONResponse(refused.body, refused.status, refused.headers)
    )
