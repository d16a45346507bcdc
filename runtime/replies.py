"""Agents, deployments, sessions and keys, as Pipecat Cloud's clients read them."""

import datetime
from typing import Any

from runtime.agents import IMAGE_PREFIX, PROFILES, Agent, Deployment
from runtime.keys import Key
from runtime.plane import Plane
from runtime.records import Sample
from runtime.sessions import Session


def iso(moment_s: float) -> str:
    """A moment as ISO 8601, in milliseconds, UTC."""
    moment = datetime.datetime.fromtimestamp(moment_s, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def profile_reply(name: str) -> dict[str, Any]:
    """How large the pods of a profile may be."""
    cpu, gibibytes = PROFILES[name]
    return {
        "api_name": name,
        "display_name": name,
        "resources": {"cpu": f"{cpu * 1000:g}m", "memory": f"{gibibytes}Gi"},
        "custom": False,
        "enabled": True,
    }


def key_reply(key: Key) -> dict[str, Any]:
    """A key, by its first characters."""
    return {
        "id": key.id,
        "key": f"{key.hint}…",
        "createdAt": iso(key.created_s),
        "revoked": key.revoked_s is not None,
        "metadata": {"name": key.name},
    }


def listed_reply(plane: Plane, agent: Agent) -> dict[str, Any]:
    """An agent in a list."""
    return {
        "id": agent.id,
        "name": agent.name,
        "region": plane.settings.region,
        "desiredDeploymentId": agent.desired_deployment,
        "activeDeploymentId": agent.active_deployment or "",
        "reconciledDeploymentId": agent.active_deployment or "",
        "organizationId": plane.settings.organization,
        "createdAt": iso(agent.created_s),
        "updatedAt": iso(agent.updated_s),
    }


async def service_reply(plane: Plane, agent: Agent) -> dict[str, Any]:
    """An agent with its deployment, its scaling and how it fares."""
    settings = agent.settings
    deployment = await plane.agents.deployment(agent.desired_deployment)
    settled = agent.active_deployment == agent.desired_deployment
    active = [live for live in plane.sessions.live if live.session.agent == agent.name]
    pods = (await plane.agents.backend(agent.name).list()).pods
    failed = agent.error is not None
    revision = {
        "deploymentID": agent.desired_deployment,
        "phase": "Active" if settled else "Failed" if failed else "Creating",
        "readyReplicas": sum(pod.state in ("warm", "claimed") for pod in pods),
        "phaseStartedAt": iso(agent.updated_s),
    }
    return {
        **listed_reply(plane, agent),
        "ready": agent.ready,
        "available": agent.ready,
        "activeDeploymentReady": agent.ready,
        "autoScaling": {"minReplicas": settings.min_agents, "maxReplicas": settings.max_agents},
        "activeSessionCount": len(active),
        "agentProfile": settings.profile,
        "krispViva": {"audioFilter": settings.audio_filter},
        "websocketAuth": settings.websocket_auth,
        "secretSet": settings.secret_set,
        "deployment": deployment_reply(deployment) if deployment else None,
        "errors": [{"code": "PCC_UNKNOWN_ERROR", "message": agent.error}] if failed else [],
        "conditions": [],
        "currentRevision": revision,
    }


def deployment_reply(deployment: Deployment) -> dict[str, Any]:
    """One deployment."""
    return {
        "id": deployment.id,
        "buildId": None,
        "createdAt": iso(deployment.created_s),
        "updatedAt": iso(deployment.updated_s),
        "manifest": deployment.manifest
        or {"spec": {"image": f"{IMAGE_PREFIX}{deployment.agent}", "dailyNodeType": "local"}},
    }


def session_reply(plane: Plane, session: Session) -> dict[str, Any]:
    """A session, running or ended."""
    return {
        "sessionId": session.id,
        "serviceId": session.agent_id,
        "organizationId": plane.settings.organization,
        "deploymentId": session.deployment_id,
        "createdAt": iso(session.created_s),
        "updatedAt": iso(session.alive_s if session.ended_s is None else session.ended_s),
        "endedAt": None if session.ended_s is None else iso(session.ended_s),
        "botStartSeconds": None if session.start_s is None else round(session.start_s, 3),
        "coldStart": session.cold,
        "completionStatus": session.completion,
        "endState": session.end_state or "active",
        "endReason": session.reason,
        "transport": session.transport,
        "billableSeconds": round(session.billable_s, 3),
    }


def session_events(session: Session) -> list[dict[str, Any]]:
    """What happened to a session, in its order."""
    told = [("SESSION_START_INITIATED", session.created_s)]
    if session.started_s is not None:
        told.append(("REQUEST_ARRIVED_AT_BOT", session.started_s))
    if session.ended_s is not None:
        overtime = session.ended_s - session.created_s >= session.limit_s
        told.append(("SESSION_TIMEOUT" if overtime else "SESSION_COMPLETED", session.ended_s))
    return [{"eventCode": code, "eventTs": iso(at_s)} for code, at_s in told]


def session_metrics(session: Session, samples: list[Sample]) -> dict[str, Any] | None:
    """What a session's pod used: quantiles, and the series; None before the first measurement."""
    if not samples:
        return None
    series = [
        {
            "t": round(each.at_s - session.created_s),
            "c": each.cpu_millicores,
            "m": each.memory_bytes,
        }
        for each in samples
    ]
    metrics: dict[str, Any] = {
        "id": session.id,
        "sessionId": session.id,
        "sampleCount": len(samples),
        "timeseries": series,
        "eventTs": iso(samples[-1].at_s),
        "createdAt": iso(samples[0].at_s),
    }
    for name, values in (
        ("cpuMillicores", sorted(each.cpu_millicores for each in samples)),
        ("memoryBytes", sorted(each.memory_bytes for each in samples)),
    ):
        for percent in (50, 90, 95, 99):
            metrics[f"{name}P{percent}"] = values[
                min(len(values) * percent // 100, len(values) - 1)
            ]
    return metrics
