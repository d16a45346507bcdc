"""Agents: folders with a bot.py, how they are deployed, and the pods that run them."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from loguru import logger

from runtime.cgroups import ControlGroups
from runtime.errors import Refused
from runtime.local_pods import Lines, LocalPods
from runtime.pods import PodSpec, Unavailable
from runtime.settings import Registered
from runtime.store import Row, Store, StoreTrouble
from runtime.vault import Vault

PROFILES = {"agent-1x": (0.5, 1), "agent-2x": (1.0, 2), "agent-3x": (1.5, 3)}
"""CPUs and gibibytes of a pod."""
IMAGE_PREFIX = "local:"
"""An image of this name is the registered folder."""
MAX_AGENTS = 100
"""Pods of one agent, at most, whatever a deployment asks for."""
MIN_SESSION_S, MAX_SESSION_S = 60, 14_400


@dataclass(frozen=True)
class AgentSettings:
    """What a deployment says of its agent."""

    min_agents: int = 0
    max_agents: int = 10
    profile: str = "agent-1x"
    secret_set: str | None = None
    max_session_s: int = 7200
    websocket_auth: str = "token"
    audio_filter: str | None = None


@dataclass(frozen=True)
class Deployment:
    """One deploy of an agent."""

    id: str
    agent: str
    manifest: dict[str, Any]
    created_s: float
    updated_s: float


@dataclass(frozen=True)
class Agent:
    """An agent that is deployed."""

    name: str
    id: str
    settings: AgentSettings
    desired_deployment: str
    """The one that is to be."""
    active_deployment: str | None
    """The one that new sessions go to; None until a first one could be loaded."""
    error: str | None
    """Why the desired one is not the active one."""
    created_s: float
    updated_s: float

    @property
    def ready(self) -> bool:
        """Whether sessions can be started."""
        return self.active_deployment is not None


@dataclass
class _Pods:
    """An agent's pods, and the task that brings its last deployment about."""

    backend: LocalPods
    rolling: asyncio.Task[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Agents:
    """All agents of this control plane."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        registered: Mapping[str, Registered],
        run: Path,
        lines: Callable[[str], Lines],
    ) -> None:
        """Know them; `start` has them run.

        Args:
            store: where deployments are recorded.
            vault: their secrets.
            registered: the folders.
            run: private folder for sockets.
            lines: gives, for an agent, who takes what its pods log.
        """
        self._store = store
        self._vault = vault
        self._registered = registered
        self._run = run
        self._lines = lines
        self._agents: dict[str, Agent] = {}
        self._pods: dict[str, _Pods] = {}
        self._groups = ControlGroups()
        self._watched: Callable[[str, LocalPods], None] = lambda name, pods: None

    async def start(self, watched: Callable[[str, LocalPods], None]) -> None:
        """Take over the pods that live, and have deployed agents run.

        Args:
            watched: called for each agent's pods once they are known, before any is started.
        """
        self._watched = watched
        for row in await self._store.read("SELECT * FROM agents ORDER BY name"):
            self._agents[row["name"]] = _agent(row)
        # Pods of agents that were deleted may still hold sessions.
        for name in sorted({*self._agents, *_agents_with_pods(self._run)}):
            self._pods_of(name)
        for name in self._agents:
            self._roll(name)
        for name, entry in self._registered.items():
            if entry.deploy and name not in self._agents:
                try:
                    await self.deploy(name, AgentSettings(min_agents=1), {})
                except StoreTrouble as error:
                    logger.error("{} is not deployed: {}", name, error)

    async def stop(self, end_pods: bool, grace_s: float) -> None:
        """Stop tending pods; end them all, or leave them for who comes after."""
        for pods in self._pods.values():
            if pods.rolling is not None:
                pods.rolling.cancel()
                await asyncio.wait({pods.rolling})
        if end_pods:
            await asyncio.gather(*(pods.backend.close(grace_s) for pods in self._pods.values()))
        else:
            for pods in self._pods.values():
                await pods.backend.leave()

    @property
    def all(self) -> list[Agent]:
        """Every agent, by name."""
        return [self._agents[name] for name in sorted(self._agents)]

    @property
    def registered(self) -> list[str]:
        """The names that can be deployed."""
        return sorted(self._registered)

    def find(self, name: str) -> Agent | None:
        """An agent that is deployed."""
        return self._agents.get(name)

    def get(self, name: str) -> Agent:
        """An agent that is deployed.

        Raises:
            Refused: there is none of that name.
        """
        agent = self.find(name)
        if agent is None:
            raise Refused(404, f"There is no agent {name[:60]!r}.")
        return agent

    def backend(self, name: str) -> LocalPods:
        """An agent's pods."""
        return self._pods[name].backend

    @property
    def backends(self) -> dict[str, LocalPods]:
        """The pods of all agents, of deleted ones too."""
        return {name: pods.backend for name, pods in self._pods.items()}

    # --- deployments -------------------------------------------------------------------------

    async def deploy(self, name: str, settings: AgentSettings, manifest: dict[str, Any]) -> Agent:
        """Deploy an agent, or deploy it anew; running sessions go on with what they have.

        Raises:
            Refused: it is not registered, or its secrets cannot be had.
        """
        if name not in self._registered:
            known = ", ".join(self.registered)
            raise Refused(
                400,
                f"No folder is registered for the agent {name[:60]!r} (there are: {known}). Add a "
                f'table agents.{name[:60]} with folder = "…" to the file that RUNTIME_AGENTS '
                "names, and start the control plane anew.",
            )
        if settings.secret_set is not None:
            await self._vault.values(settings.secret_set)
        now_s, deployment_id = time.time(), str(uuid.uuid4())
        old = self._agents.get(name)
        if old is None:
            agent = Agent(
                name, str(uuid.uuid4()), settings, deployment_id, None, None, now_s, now_s
            )
        else:
            agent = replace(
                old,
                settings=settings,
                desired_deployment=deployment_id,
                error=None,
                updated_s=now_s,
            )
        await self._store.write(
            (
                "INSERT INTO deployments VALUES (?, ?, ?, ?, ?)",
                (deployment_id, name, json.dumps(manifest), now_s, now_s),
            ),
            (
                "INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(agent.name, agent.id, json.dumps(asdict(settings))),
                    *(agent.active_deployment, agent.desired_deployment, None),
                    *(agent.created_s, agent.updated_s),
                ),
            ),
        )
        self._agents[name] = agent
        self._pods_of(name)
        self._roll(name)
        return agent

    async def delete(self, name: str) -> None:
        """Take an agent away: no new sessions; those that run go on.

        Raises:
            Refused: there is none of that name.
        """
        self.get(name)
        await self._store.write(("DELETE FROM agents WHERE name = ?", (name,)))
        del self._agents[name]
        pods = self._pods[name]
        if pods.rolling is not None:
            pods.rolling.cancel()
        await pods.backend.close_door()

    async def deployments(self, name: str) -> list[Deployment]:
        """An agent's deployments, the newest first."""
        rows = await self._store.read(
            "SELECT * FROM deployments WHERE agent = ? ORDER BY created_s DESC LIMIT 100", (name,)
        )
        return [_deployment(row) for row in rows]

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """One deployment."""
        rows = await self._store.read("SELECT * FROM deployments WHERE id = ?", (deployment_id,))
        return _deployment(rows[0]) if rows else None

    def _pods_of(self, name: str) -> _Pods:
        if name not in self._pods:
            backend = LocalPods(
                name,
                self._run,
                events_socket=self._run / "events",
                groups=self._groups,
                lines=self._lines(name),
            )
            self._pods[name] = _Pods(backend)
            self._watched(name, backend)
        return self._pods[name]

    def _roll(self, name: str) -> None:
        pods = self._pods_of(name)
        if pods.rolling is not None:
            pods.rolling.cancel()
        pods.rolling = asyncio.create_task(self._bring_about(name, pods))

    async def _bring_about(self, name: str, pods: _Pods) -> None:
        """Have an agent's desired deployment be the active one, if it can be."""
        agent = self._agents[name]
        limits = agent.settings
        async with pods.lock:
            if agent.active_deployment not in (None, agent.desired_deployment):
                # Until the new one has shown that it can be loaded, the old one serves.
                with contextlib.suppress(Refused, Unavailable):
                    old = await self._spec(agent, agent.active_deployment or "")
                    await pods.backend.ensure(old, limits.min_agents, limits.max_agents)
            try:
                spec = await self._spec(agent, agent.desired_deployment)
                await pods.backend.check(spec)
                await pods.backend.ensure(spec, limits.min_agents, limits.max_agents)
            except (Refused, Unavailable) as error:
                logger.error("{}: the deployment failed: {}", name, error)
                await self._settle(replace(agent, error=str(error)))
                return
            await self._settle(
                replace(agent, active_deployment=agent.desired_deployment, error=None)
            )
            logger.info("{}: deployment {} is active", name, agent.desired_deployment)

    async def _settle(self, agent: Agent) -> None:
        self._agents[agent.name] = agent
        try:
            await self._store.write(
                (
                    "UPDATE agents SET active_deployment = ?, error = ? WHERE name = ?",
                    (agent.active_deployment, agent.error, agent.name),
                )
            )
        except StoreTrouble as error:
            # The next start finds the same out once more.
            logger.error("{}: its state is not in the store: {}", agent.name, error)

    async def _spec(self, agent: Agent, deployment_id: str) -> PodSpec:
        entry = self._registered.get(agent.name)
        if entry is None:
            raise Refused(400, f"No folder is registered for {agent.name!r} any more.")
        secrets = {}
        if agent.settings.secret_set is not None:
            secrets = await self._vault.values(agent.settings.secret_set)
        cpu, gibibytes = PROFILES[agent.settings.profile]
        return PodSpec(agent.name, deployment_id, entry.folder, secrets, cpu, gibibytes * 1024**3)


def _agent(row: Row) -> Agent:
    return Agent(
        row["name"],
        row["id"],
        AgentSettings(**json.loads(row["settings"])),
        row["desired_deployment"],
        row["active_deployment"],
        row["error"],
        row["created_s"],
        row["updated_s"],
    )


def _deployment(row: Row) -> Deployment:
    return Deployment(
        row["id"], row["agent"], json.loads(row["manifest"]), row["created_s"], row["updated_s"]
    )


def _agents_with_pods(run: Path) -> set[str]:
    names = set()
    for record in run.glob("pods/*/pod.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            names.add(str(json.loads(record.read_text())["agent"]))
    return names
