"""Pipecat Cloud's API for operators, as its command line calls it: a private key opens it."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from runtime.agents import (
    IMAGE_PREFIX,
    MAX_AGENTS,
    MAX_SESSION_S,
    MIN_SESSION_S,
    PROFILES,
    Agent,
    AgentSettings,
)
from runtime.errors import Refused
from runtime.plane import Plane
from runtime.replies import (
    deployment_reply,
    key_reply,
    listed_reply,
    profile_reply,
    service_reply,
    session_events,
    session_metrics,
    session_reply,
)
from runtime.sessions import END_STATES, Session

NO_ENGINE = (
    "This control plane runs agents from folders and has no engine that could build or run images. "
    "Register the agent's folder in the file that RUNTIME_AGENTS names, and deploy it with the "
    'image "local:NAME".'
)
ORGANIZATION = "/v1/organizations/{organization}"
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Lenient(BaseModel):
    """A body whose further fields mean nothing here."""

    model_config = ConfigDict(extra="ignore")


class NewKey(Lenient):
    """Body of a new key."""

    name: Name = "key"
    type: Literal["public", "private"] = "public"


class AutoScaling(Lenient):
    """How many pods there are."""

    minAgents: Annotated[int, Field(ge=0, le=MAX_AGENTS)] | None = None
    maxAgents: Annotated[int, Field(ge=1, le=MAX_AGENTS)] | None = None


class KrispViva(Lenient):
    """Kept and told again; the bot decides what filters it uses."""

    audioFilter: Literal["tel", "pro"] | None = None


class Deploy(Lenient):
    """Body of a deploy."""

    serviceName: Annotated[str, Field(min_length=1, max_length=54)]
    image: Annotated[str, Field(max_length=300)] | None = None
    buildId: str | None = None
    imagePullSecretSet: str | None = None
    secretSet: Annotated[str, Field(max_length=63)] | None = None
    region: Annotated[str, Field(max_length=54)] | None = None
    nodeType: Annotated[str, Field(max_length=54)] | None = None
    autoScaling: AutoScaling | None = None
    krispViva: KrispViva | None = None
    agentProfile: Annotated[str, Field(max_length=54)] | None = None
    resources: dict[str, Any] | None = None
    git: dict[str, Any] | None = None
    websocketAuth: Literal["none", "token"] | None = None
    maxSessionDuration: Annotated[int, Field(ge=MIN_SESSION_S, le=MAX_SESSION_S)] | None = None
    forceRedeploy: bool = False


class Secret(Lenient):
    """Body of a secret, or of credentials for images."""

    isImagePullSecret: bool = False
    secretKey: Annotated[str, Field(max_length=128)] | None = None
    secretValue: Annotated[str, Field(max_length=70_000)] | None = None
    secrets: Annotated[list["OneSecret"], Field(max_length=200)] = []
    host: Annotated[str, Field(max_length=300)] | None = None
    region: Annotated[str, Field(max_length=54)] | None = None


class OneSecret(Lenient):
    """One of several."""

    secretKey: Annotated[str, Field(max_length=128)]
    secretValue: Annotated[str, Field(max_length=70_000)]


class Properties(Lenient):
    """Body of a change of properties."""

    defaultRegion: Annotated[str, Field(max_length=54)] | None = None


def admin_routes(plane: Plane) -> APIRouter:
    """The routes that a private key opens."""
    owner = Depends(plane.door.needs("private"))
    router = APIRouter(dependencies=[owner])
    for part in (_account, _agents, _sessions, _secrets, _builds):
        router.include_router(part(plane))
    return router


def _of(plane: Plane) -> Any:
    """A dependency: the organization in the path is ours."""

    def checked(organization: str) -> None:
        if organization != plane.settings.organization:
            ours = plane.settings.organization
            raise Refused(404, f"There is no organization {organization[:60]!r}, only {ours!r}.")

    return Depends(checked)


def _account(plane: Plane) -> APIRouter:
    router = APIRouter(tags=["account"])
    here = APIRouter(prefix=ORGANIZATION, tags=["account"], dependencies=[_of(plane)])
    region = {"code": plane.settings.region, "display_name": "This machine"}

    @router.get("/v1/users")
    async def user() -> dict[str, Any]:
        """Who asks: the operator, whom this control plane knows by his key alone."""
        address = f"operator@{plane.settings.organization}.invalid"
        return {"user": {"userId": "operator", "emails": [{"emailAddress": address}]}}

    @router.get("/v1/organizations")
    async def organizations() -> dict[str, Any]:
        """The only organization."""
        name = plane.settings.organization
        return {"organizations": [{"name": name, "verboseName": name}]}

    @here.get("/regions")
    async def regions() -> dict[str, Any]:
        """The only region."""
        return {"regions": [region]}

    @here.get("/properties")
    async def properties() -> dict[str, Any]:
        """Properties of the organization."""
        return {"properties": {"defaultRegion": plane.settings.region}}

    @here.get("/properties/schema")
    async def schema() -> dict[str, Any]:
        """What properties there are."""
        code = plane.settings.region
        return {
            "properties": {
                "defaultRegion": {
                    "type": "string",
                    "description": "Where agents are deployed that name no region",
                    "currentValue": code,
                    "default": code,
                    "availableValues": [code],
                    "readOnly": False,
                }
            }
        }

    @here.patch("/properties")
    async def change(wanted: Properties) -> dict[str, Any]:
        """Change a property."""
        _check_region(plane, wanted.defaultRegion)
        return {"properties": {"defaultRegion": plane.settings.region}}

    @here.get("/daily")
    async def daily() -> dict[str, Any]:
        """A Daily key of the organization's own: there is none to give away."""
        return {}

    @here.get("/agent-profiles")
    async def profiles() -> dict[str, Any]:
        """How large pods can be."""
        return {"agentProfiles": [profile_reply(name) for name in PROFILES]}

    @here.get("/apiKeys")
    async def keys() -> dict[str, Any]:
        """The keys, by their first characters: the rest is known to their owners alone."""
        keys = await plane.keys.load()
        return {
            kind: [key_reply(key) for key in keys if key.kind == kind]
            for kind in ("public", "private")
        }

    @here.post("/apiKeys")
    async def create_key(wanted: NewKey) -> dict[str, Any]:
        """A new key; its text is in this reply and nowhere else."""
        key, text = await plane.keys.create(wanted.type, wanted.name)
        return key_reply(key) | {"key": text}

    @here.delete("/apiKeys/{key_id}")
    async def revoke_key(key_id: str) -> dict[str, Any]:
        """Revoke a public key; private ones are revoked on the control plane's machine."""
        if not await plane.keys.revoke(key_id):
            raise Refused(404, "There is no public key of this id that is not revoked.")
        return {"status": "OK"}

    router.include_router(here)
    return router


def _agents(plane: Plane) -> APIRouter:
    router = APIRouter(prefix=ORGANIZATION, tags=["agents"], dependencies=[_of(plane)])

    @router.get("/services")
    async def services(region: str | None = None) -> dict[str, Any]:
        """The agents that are deployed."""
        agents = plane.agents.all if region in (None, plane.settings.region) else []
        return {"services": [listed_reply(plane, agent) for agent in agents]}

    @router.get("/services/{name}")
    async def service(name: str) -> dict[str, Any]:
        """One agent."""
        return {"body": await service_reply(plane, plane.agents.get(name))}

    @router.post("/services")
    @router.put("/services", operation_id="update_service")
    async def deploy(wanted: Deploy) -> dict[str, Any]:
        """Deploy a registered agent, or deploy it anew; running sessions go on."""
        agent = await _deploy(plane, wanted)
        return {"body": await service_reply(plane, agent)}

    @router.delete("/services/{name}")
    async def delete(name: str) -> dict[str, Any]:
        """Take an agent away: no new sessions; those that run go on."""
        await plane.agents.delete(name)
        return {"status": "OK"}

    @router.get("/services/{name}/deployments")
    async def deployments(name: str) -> dict[str, Any]:
        """An agent's deployments, the newest first."""
        plane.agents.get(name)
        found = await plane.agents.deployments(name)
        return {"deployments": [deployment_reply(each) for each in found]}

    @router.get("/services/{name}/logs")
    async def logs(
        name: str,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        deploymentId: str | None = None,
        sessionId: str | None = None,
        query: Annotated[str, Query(max_length=200)] | None = None,
        after: Annotated[int, Query(ge=0, le=2**62)] | None = None,
    ) -> dict[str, Any]:
        """What an agent's pods have logged, the newest first."""
        plane.agents.get(name)
        rows, count = await plane.sessions.records.lines(
            name, deploymentId, sessionId, query, limit, offset, after
        )
        lines = [
            {
                "timestamp": row["at"],
                "log": row["text"],
                "level": row["level"],
                "deploymentId": row["deployment_id"],
                "sessionId": row["session_id"],
                "id": row["id"],
            }
            for row in rows
        ]
        return {"logs": lines, "total": {"value": count, "relation": "eq"}}

    return router


def _sessions(plane: Plane) -> APIRouter:
    router = APIRouter(
        prefix=ORGANIZATION + "/services/{name}/sessions",
        tags=["sessions"],
        dependencies=[_of(plane)],
    )

    @router.get("")
    async def sessions(
        name: str,
        endState: str | None = None,
        deploymentId: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> dict[str, Any]:
        """An agent's sessions, the newest first."""
        if endState not in (None, "active", *END_STATES):
            raise Refused(400, f"endState must be one of active, {', '.join(END_STATES)}.")
        found, count = await plane.sessions.records.of_agent(
            name, endState, deploymentId, limit, offset
        )
        if not found:
            plane.agents.get(name)
        return {"sessions": [session_reply(plane, each) for each in found], "total_count": count}

    @router.get("/{session_id}")
    async def session(name: str, session_id: str) -> dict[str, Any]:
        """One session, with what its pod used and what happened to it."""
        found = await _recorded(plane, name, session_id)
        samples = await plane.sessions.records.samples(session_id)
        return session_reply(plane, found) | {
            "resourceMetrics": session_metrics(found, samples),
            "events": session_events(found),
        }

    @router.delete("/{session_id}")
    async def stop(name: str, session_id: str) -> dict[str, Any]:
        """End a session."""
        live = plane.sessions.find(session_id)
        if live is None or live.session.agent != name:
            ended = await _recorded(plane, name, session_id)
            raise Refused(400, f"The session has ended already: {ended.reason}.")
        await plane.sessions.stop(live)
        return {"status": "terminated", "session_id": session_id}

    return router


def _secrets(plane: Plane) -> APIRouter:
    router = APIRouter(prefix=ORGANIZATION, tags=["secrets"], dependencies=[_of(plane)])

    @router.get("/secrets")
    async def sets(region: str | None = None) -> dict[str, Any]:
        """The secret sets."""
        wanted = region in (None, plane.settings.region)
        return {"sets": await plane.vault.sets() if wanted else []}

    @router.get("/secrets/{name}")
    async def one_set(name: str) -> dict[str, Any]:
        """The names in a set; values are never read back."""
        return await plane.vault.set(name)

    @router.put("/secrets/{name}", status_code=202)
    async def put(name: str, wanted: Secret) -> dict[str, Any]:
        """Add a secret to a set, or change it; deploy the agent anew for it to count."""
        _check_region(plane, wanted.region)
        if wanted.isImagePullSecret:
            if wanted.secretValue is None or wanted.host is None:
                raise Refused(400, "Credentials for images need host and secretValue.")
            await plane.vault.put(
                name, {"credentials": wanted.secretValue}, "imagePullSecret", wanted.host
            )
        else:
            values = {each.secretKey: each.secretValue for each in wanted.secrets}
            if wanted.secretKey is not None and wanted.secretValue is not None:
                values[wanted.secretKey] = wanted.secretValue
            if not values:
                raise Refused(400, "Give secretKey and secretValue.")
            await plane.vault.put(name, values)
        return {"status": "OK", "region": plane.settings.region}

    @router.delete("/secrets/{name}")
    async def delete_set(name: str) -> dict[str, Any]:
        """Delete a set."""
        await plane.vault.delete(name)
        return {"status": "OK"}

    @router.delete("/secrets/{name}/{key}")
    async def delete_key(name: str, key: str) -> dict[str, Any]:
        """Delete one secret of a set."""
        await plane.vault.delete(name, key)
        return {"status": "OK"}

    return router


def _builds(plane: Plane) -> APIRouter:
    """Builds need an engine that runs what is built: refused, with a message that says so."""
    router = APIRouter(prefix=ORGANIZATION + "/builds", tags=["builds"], dependencies=[_of(plane)])

    @router.post("/upload-url", name="upload_url")
    @router.post("", name="create_build")
    async def refuse() -> JSONResponse:
        """Refused: there is no engine for images."""
        raise Refused(400, NO_ENGINE)

    @router.get("")
    async def builds() -> dict[str, Any]:
        """No build was ever made here."""
        return {"builds": [], "total": 0, "limit": 10, "offset": 0}

    @router.get("/{build_id}")
    @router.get("/{build_id}/logs", name="build_logs")
    async def build(build_id: str) -> dict[str, Any]:
        """No build was ever made here."""
        raise Refused(404, f"There is no such build. {NO_ENGINE}")

    return router


async def _deploy(plane: Plane, wanted: Deploy) -> Agent:
    name = wanted.serviceName
    built = wanted.buildId is not None or wanted.git is not None
    if built or not (wanted.image or IMAGE_PREFIX).startswith(IMAGE_PREFIX):
        raise Refused(400, NO_ENGINE, "PCC_IMAGE_NOT_FOUND")
    _check_region(plane, wanted.region)
    unknown = wanted.agentProfile is not None and wanted.agentProfile not in PROFILES
    if unknown or wanted.resources is not None:
        raise Refused(400, f"Give agentProfile, one of {', '.join(PROFILES)}.")
    old = plane.agents.find(name)
    before = AgentSettings() if old is None else old.settings
    scaling = wanted.autoScaling or AutoScaling()
    given: dict[str, Any] = {
        "min_agents": scaling.minAgents,
        "max_agents": scaling.maxAgents,
        "profile": wanted.agentProfile,
        "secret_set": wanted.secretSet,
        "max_session_s": wanted.maxSessionDuration,
        "websocket_auth": wanted.websocketAuth,
        "audio_filter": None if wanted.krispViva is None else wanted.krispViva.audioFilter,
    }
    # What a deploy leaves out stays as it was.
    settings = replace(before, **{k: value for k, value in given.items() if value is not None})
    if settings.min_agents > settings.max_agents:
        raise Refused(400, "autoScaling: minAgents must not be above maxAgents.")
    spec = {
        "image": wanted.image or f"{IMAGE_PREFIX}{name}",
        "dailyNodeType": wanted.nodeType or "local",
        "maxSessionDurationSeconds": settings.max_session_s,
    }
    manifest = {
        "apiVersion": "pipecatcloud.daily.co/v1",
        "kind": "PCService",
        "metadata": {},
        "spec": spec,
    }
    return await plane.agents.deploy(name, settings, manifest)


def _check_region(plane: Plane, region: str | None) -> None:
    if region not in (None, plane.settings.region):
        ours = plane.settings.region
        raise Refused(400, f"There is no region {str(region)[:60]!r}, only {ours!r}.")


async def _recorded(plane: Plane, name: str, session_id: str) -> Session:
    session = await plane.sessions.records.session(session_id)
    if session is None or session.agent != name:
        raise Refused(404, f"{name} has no session of this id.")
    return session
