"""GET /metrics for Prometheus: sessions, pods, requests and the event loop of the control plane.

Only a private key opens it, as Authorization: Bearer, or the dashboard's cookie: it tells what
agents there are and how much they are used. Sessions are counted in the store, so that counters
go on after a restart; each session that has ended is added up once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import APIRouter, Depends, FastAPI, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.types import Scope

from runtime.plane import Plane
from runtime.store import Store
from runtime.webhooks import GIVE_UP_S

PREFIX = "mouthpiece_runtime"
POD_STATES = ("starting", "warm", "claimed", "draining")
START_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
LOOK_EVERY_S = 0.5
"""How often the event loop's lag is measured."""
UNMATCHED = "unmatched"
"""Stands for every path without a route: clients choose those, and there is no end to them."""


# --- what the recorded sessions come to ------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """What sessions that are added up have in common."""

    agent: str
    end_state: str
    """Empty while they run."""
    cold: bool


@dataclass
class Sums:
    """What a group of sessions comes to."""

    count: int = 0
    billable_s: float = 0.0
    started: int = 0
    """How many of them their pod has taken."""
    start_s: float = 0.0
    """How long that took, in all."""
    within: list[int] = field(default_factory=lambda: [0] * len(START_BUCKETS_S))
    """For how many of them it took no longer than each of START_BUCKETS_S."""

    def add(self, other: "Sums") -> None:
        """Take others in."""
        self.count += other.count
        self.billable_s += other.billable_s
        self.started += other.started
        self.start_s += other.start_s
        self.within = [a + b for a, b in zip(self.within, other.within, strict=True)]


_WITHIN = ", ".join(f"total(started_s - created_s <= {bound})" for bound in START_BUCKETS_S)
# Rows are numbered as sessions begin: before the first that runs, all have ended.
_ADD_UP = f"""
    WITH edge AS (
        SELECT coalesce(min(rowid), 9e18) AS at FROM sessions INDEXED BY sessions_running
        WHERE ended_s IS NULL
    )
    SELECT sessions.rowid < edge.at, agent, coalesce(end_state, ''), cold, count(*),
        total(coalesce(billable_s, alive_s - created_s)), count(started_s),
        total(started_s - created_s), max(sessions.rowid), {_WITHIN}
    FROM sessions, edge WHERE sessions.rowid > ? GROUP BY 1, 2, 3, 4
"""


class Totals:
    """Adds up all sessions that were ever recorded, and looks at few of them each time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._settled: dict[Group, Sums] = {}
        self._settled_to = 0
        """The number of the last session that is in there."""
        self._reading = asyncio.Lock()

    async def read(self) -> dict[Group, Sums]:
        """What the sessions of each group come to."""
        async with self._reading:
            rows = await self._store.read(_ADD_UP, (self._settled_to,))
            settled_to = self._settled_to
            running: list[tuple[Group, Sums]] = []
            for row in rows:
                settled, agent, end_state, cold, *figures = row
                group = Group(agent, end_state, bool(cold))
                count, billable_s, started, start_s, last, *within = figures
                sums = Sums(count, billable_s, started, start_s, [int(n) for n in within])
                if settled:
                    self._settled.setdefault(group, Sums()).add(sums)
                    settled_to = max(settled_to, last)
                else:
                    running.append((group, sums))
            self._settled_to = settled_to
            totals = {group: Sums() for group in [*self._settled, *(g for g, _ in running)]}
            for group, sums in [*self._settled.items(), *running]:
                totals[group].add(sums)
            return totals


# --- what Prometheus is told -----------------------------------------------------------------


@dataclass
class _Reading:
    """What was found for one scrape."""

    totals: dict[Group, Sums] = field(default_factory=dict)
    pods: dict[str, list[str]] = field(default_factory=dict)
    """The states of each agent's pods."""
    live: dict[str, int] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)
    waiting: int = 0


class Metrics(Collector):
    """What the control plane tells of itself, in a registry of its own."""

    def __init__(self, plane: Plane, totals: Totals) -> None:
        self._plane = plane
        self._totals = totals
        self._reading = _Reading()
        self.registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}_http_requests",
            "Requests answered, by the route's pattern and the status; 101 is an open WebSocket.",
            ("route", "status"),
            registry=self.registry,
        )
        self._lag = Histogram(
            f"{PREFIX}_event_loop_lag_seconds",
            "How late the event loop woke a task that sleeps, looked at twice a second.",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(self)

    def count(self, scope: Scope, status: str) -> None:
        """Count a request that has been answered, with the status, or a WebSocket."""
        # The router has left the route that it chose in the scope.
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._requests.labels(route, status).inc()

    async def text(self) -> bytes:
        """All figures of now, as Prometheus reads them."""
        plane = self._plane
        reading = _Reading(await self._totals.read())
        for agent in plane.agents.all:
            reading.capacity[agent.name] = agent.settings.max_agents
        for name, backend in plane.agents.backends.items():
            reading.pods[name] = [pod.state for pod in (await backend.list()).pods]
            reading.live[name] = 0
        for live in plane.sessions.live:
            name = live.session.agent
            reading.live[name] = reading.live.get(name, 0) + 1
        rows = await plane.store.read(
            "SELECT count(*) FROM messages WHERE delivered_s IS NULL AND created_s > ?",
            (time.time() - GIVE_UP_S,),
        )
        reading.waiting = rows[0][0]
        self._reading = reading
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Give what was read last."""
        reading = self._reading
        yield from _of_sessions(reading.totals)
        live = GaugeMetricFamily(f"{PREFIX}_sessions_live", "Sessions that run.", labels=["agent"])
        pods = GaugeMetricFamily(f"{PREFIX}_pods", "Pods.", labels=["agent", "state"])
        capacity = GaugeMetricFamily(
            f"{PREFIX}_capacity", "Sessions that may run at once.", labels=["agent"]
        )
        for agent, count in reading.live.items():
            live.add_metric([agent], count)
        for agent, states in reading.pods.items():
            for state in POD_STATES:
                pods.add_metric([agent, state], states.count(state))
        for agent, count in reading.capacity.items():
            capacity.add_metric([agent], count)
        yield from (live, pods, capacity)
        yield GaugeMetricFamily(
            f"{PREFIX}_webhook_messages_waiting",
            "Messages to the operator's server that it has not taken yet.",
            value=reading.waiting,
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_store_full",
            "1 while the disk takes no more, and no session can be started.",
            value=float(self._plane.store.full),
        )

    @asynccontextmanager
    async def measuring_lag(self, _: FastAPI | None = None) -> AsyncIterator[None]:
        """Measure the event loop's lag within this context."""
        measuring = asyncio.create_task(self._measure_lag(), name="event loop lag")
        try:
            yield
        finally:
            measuring.cancel()
            await asyncio.wait({measuring})

    async def _measure_lag(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)
            self._lag.observe(max(0.0, time.monotonic() - before_s - LOOK_EVERY_S))


def _of_sessions(totals: dict[Group, Sums]) -> Iterator[Metric]:
    """What is told of the recorded sessions."""
    started = CounterMetricFamily(
        f"{PREFIX}_sessions_started", "Sessions that were given a pod.", labels=["agent"]
    )
    ended = CounterMetricFamily(
        f"{PREFIX}_sessions_ended",
        "Sessions that have ended, and how.",
        labels=["agent", "end_state"],
    )
    billable = CounterMetricFamily(
        f"{PREFIX}_billable_seconds",
        "What sessions have cost, those that run included.",
        labels=["agent"],
    )
    by_agent: dict[str, Sums] = {}
    by_end: dict[tuple[str, str], int] = {}
    by_pod = {"warm": Sums(), "cold": Sums()}
    for group, sums in totals.items():
        by_agent.setdefault(group.agent, Sums()).add(sums)
        by_pod["cold" if group.cold else "warm"].add(sums)
        if group.end_state:
            end = (group.agent, group.end_state)
            by_end[end] = by_end.get(end, 0) + sums.count
    for agent, sums in by_agent.items():
        started.add_metric([agent], sums.count)
        billable.add_metric([agent], sums.billable_s)
    for (agent, end_state), count in by_end.items():
        ended.add_metric([agent, end_state], count)
    yield from (started, ended, billable)
    latency = HistogramMetricFamily(
        f"{PREFIX}_session_start_seconds",
        "From the claim of a pod to its having taken the session; cold: started for it.",
        labels=["pod"],
    )
    for pod, sums in by_pod.items():
        buckets: list[tuple[str, float]] = [
            (f"{bound:g}", count) for bound, count in zip(START_BUCKETS_S, sums.within, strict=True)
        ]
        latency.add_metric([pod], [*buckets, ("+Inf", sums.started)], sums.start_s)
    yield latency


def metrics_routes(plane: Plane, metrics: Metrics) -> APIRouter:
    """The route that Prometheus scrapes, with a private key; the lag is measured all along."""
    router = APIRouter(
        tags=["health"],
        dependencies=[Depends(plane.door.needs("private"))],
        lifespan=metrics.measuring_lag,
    )

    @router.get("/metrics")
    async def figures() -> Response:
        """The figures of the control plane, for Prometheus."""
        return Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
