"""The dashboard and the page of the API: their files, who is signed in, and what runs now.

What the dashboard does beyond looking, it does over the same API as the command line, with the
cookie that a private key was exchanged for; no page ever keeps the key.
"""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from runtime.access import COOKIE, COOKIE_LASTS_S
from runtime.agents import Agent
from runtime.errors import Refused
from runtime.keys import MAX_KEY_CHARS
from runtime.live import Live
from runtime.metrics import POD_STATES, Sums, Totals
from runtime.plane import Plane
from runtime.settings import BUNDLE

PAGES = Path(__file__).resolve().parent.parent / "dashboard"
CLIENT = BUNDLE / "client" / "dist"
"""The page that shows an agent's face; an agent of this bundle serves the same."""
SERIES_S = 180.0
"""How far back a live session's use of CPU and memory is told."""
READ = ("GET", "HEAD")


class Entry(BaseModel):
    """Body of a sign-in."""

    model_config = ConfigDict(extra="ignore")

    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)]
    """A private key."""


class Visit(BaseModel):
    """Whether this browser is signed in."""

    signedIn: bool


def dashboard_routes(plane: Plane, totals: Totals) -> APIRouter:
    """The routes of the dashboard and its pages."""
    router = APIRouter()
    router.include_router(_visits(plane))
    router.include_router(_state(plane, totals))
    router.include_router(_files())
    return router


def _visits(plane: Plane) -> APIRouter:
    router = APIRouter(prefix="/dashboard/session", tags=["dashboard"])

    @router.get("")
    async def visit(request: Request) -> Visit:
        """Whether this browser is signed in."""
        # Whoever has no cookie has not tried a wrong one, and is not to wait for it.
        if COOKIE not in request.cookies:
            return Visit(signedIn=False)
        try:
            plane.door.check(request, "private")
        except Refused:
            return Visit(signedIn=False)
        return Visit(signedIn=True)

    @router.post("")
    async def sign_in(entry: Entry, request: Request, response: Response) -> Visit:
        """Exchange a private key for the dashboard's cookie, which no script can read."""
        cookie = plane.door.enter(request, entry.key)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(COOKIE_LASTS_S),
            secure=_secure(plane, request),
            httponly=True,
            samesite="strict",
        )
        return Visit(signedIn=True)

    @router.delete("")
    async def sign_out(request: Request, response: Response) -> Visit:
        """End the visit whose cookie comes along."""
        plane.door.leave(request)
        response.delete_cookie(
            COOKIE, secure=_secure(plane, request), httponly=True, samesite="strict"
        )
        return Visit(signedIn=False)

    return router


def _secure(plane: Plane, request: Request) -> bool:
    """Whether the browser came over https, to a proxy before the control plane perhaps."""
    return plane.base_url(request).startswith("https:")


# --- what runs now ---------------------------------------------------------------------------


def _state(plane: Plane, totals: Totals) -> APIRouter:
    router = APIRouter(tags=["dashboard"], dependencies=[Depends(plane.door.needs("private"))])

    @router.get("/dashboard/state")
    async def state() -> dict[str, Any]:
        """Agents, their pods, and the sessions that run, with what they have used lately."""
        by_agent: dict[str, Sums] = {}
        for group, sums in (await totals.read()).items():
            by_agent.setdefault(group.agent, Sums()).add(sums)
        now_s = time.time()
        series = await _series(plane, now_s)
        deployed = plane.agents.all
        names = {agent.name for agent in deployed}
        return {
            "organization": plane.settings.organization,
            "baseUrl": plane.settings.public_url,
            "readOnly": plane.store.full,
            "notDeployed": [name for name in plane.agents.registered if name not in names],
            "agents": [
                await _agent(plane, agent, by_agent.get(agent.name, Sums())) for agent in deployed
            ],
            "sessions": [
                _session(live, series.get(live.session.id, []), now_s)
                for live in plane.sessions.live
            ],
            "totals": {
                "sessions": sum(sums.count for sums in by_agent.values()),
                "billableSeconds": round(sum(sums.billable_s for sums in by_agent.values()), 1),
            },
        }

    return router


async def _series(plane: Plane, now_s: float) -> dict[str, list[tuple[float, int, int]]]:
    """Of each session that runs: moments, CPU in millicores and memory in bytes."""
    rows = await plane.store.read(
        "SELECT session_id, at_s, cpu_millicores, memory_bytes FROM samples WHERE at_s > ? "
        "AND session_id IN (SELECT id FROM sessions WHERE ended_s IS NULL) ORDER BY at_s",
        (now_s - SERIES_S,),
    )
    series: dict[str, list[tuple[float, int, int]]] = {}
    for session_id, at_s, cpu, memory in rows:
        series.setdefault(session_id, []).append((at_s, cpu, memory))
    return series


async def _agent(plane: Plane, agent: Agent, sums: Sums) -> dict[str, Any]:
    settings = agent.settings
    states: list[str] = [pod.state for pod in (await plane.agents.backend(agent.name).list()).pods]
    return {
        "name": agent.name,
        "state": "ready" if agent.ready else "failed" if agent.error else "deploying",
        "error": agent.error,
        "profile": settings.profile,
        "minAgents": settings.min_agents,
        "maxAgents": settings.max_agents,
        "pods": {state: states.count(state) for state in POD_STATES},
        "sessions": sums.count,
        "billableSeconds": round(sums.billable_s, 1),
    }


def _session(live: Live, series: list[tuple[float, int, int]], now_s: float) -> dict[str, Any]:
    session = live.session
    state: Literal["starting", "active", "ending"] = "starting"
    if live.verdict is not None:
        state = "ending"
    elif live.started.is_set():
        state = "active"
    return {
        "sessionId": session.id,
        "agent": session.agent,
        "state": state,
        "transport": session.transport,
        "joined": live.offered or session.transport != "webrtc",
        "coldStart": session.cold,
        "ageSeconds": round(max(0.0, now_s - session.created_s), 1),
        "limitSeconds": session.limit_s,
        "series": [
            {"secondsAgo": round(now_s - at_s, 1), "cpuMillicores": cpu, "memoryBytes": memory}
            for at_s, cpu, memory in series
        ],
    }


# --- files -----------------------------------------------------------------------------------


def _files() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    pages = StaticFiles(directory=PAGES)

    @router.api_route("/", methods=list(READ))
    async def index(request: Request) -> Response:
        return await _file(pages, "index.html", request)

    @router.api_route("/docs", methods=list(READ))
    async def docs(request: Request) -> Response:
        return await _file(pages, "docs.html", request)

    @router.api_route("/dashboard/{path:path}", methods=list(READ))
    async def page(path: str, request: Request) -> Response:
        return await _file(pages, path, request)

    if CLIENT.is_dir():
        client = StaticFiles(directory=CLIENT, html=True)

        @router.api_route("/client/{path:path}", methods=list(READ))
        async def client_page(path: str, request: Request) -> Response:
            return await _file(client, path or ".", request)

    return router


async def _file(files: StaticFiles, path: str, request: Request) -> Response:
    response = await files.get_response(path, request.scope)
    # Asked for anew each time, so that page and scripts are always of one version.
    response.headers["cache-control"] = "no-cache"
    return response
