"""GET /metrics for Prometheus: sessions, requests and the event loop; bot.py's own figures too.

Whatever is registered in prometheus_client's default registry is served, so that a bot.py has its
figures here without knowing the pod.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipecatcloud_system.session import Pod

LOOK_EVERY_S = 0.5
"""How often the event loop's lag is measured."""
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
UNMATCHED = "unmatched"
"""Stands for every path without a route: clients choose those, and there is no end to them."""


class PodMetrics(Collector):
    """What the pod tells of itself."""

    def __init__(self, pod: Pod, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything.

        Args:
            pod: whose sessions are counted.
            registry: where; prometheus_client's own, unless a test wants another.
        """
        self._pod = pod
        self._started_s = time.monotonic()
        self.requests = Counter(
            "mouthpiece_pod_http_requests",
            "HTTP requests answered, by the route's path and the status.",
            ("route", "status"),
            registry=registry,
        )
        self._lag = Histogram(
            "mouthpiece_pod_event_loop_lag_seconds",
            "How late the event loop woke a task that sleeps, looked at twice a second.",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give what is read from the pod when it is asked for."""
        tally = self._pod.tally
        for name, count, what in (
            ("started", tally.started, "Sessions that were started."),
            ("ended", tally.ended, "Sessions that have ended, those that failed too."),
            ("failed", tally.failed, "Sessions that ended because bot() or the pod failed."),
        ):
            yield CounterMetricFamily(f"mouthpiece_pod_sessions_{name}", what, value=count)
        for name, value, what in (
            ("session_active", self._pod.session is not None, "1 while a session runs."),
            ("draining", self._pod.draining, "1 once the pod takes no more sessions."),
            ("uptime_seconds", time.monotonic() - self._started_s, "Since the pod's start."),
        ):
            yield GaugeMetricFamily(f"mouthpiece_pod_{name}", what, value=float(value))

    @asynccontextmanager
    async def measuring_lag(self) -> AsyncIterator[None]:
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


class RequestCount:
    """Counts the HTTP requests that pass through."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "none"

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            # The router has left the route that it chose in the scope.
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self._requests.labels(route, status).inc()


def metrics_routes(registry: CollectorRegistry = REGISTRY) -> APIRouter:
    """The route that Prometheus scrapes."""
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        # On the event loop, which owns what is read; it takes about 3 ms.
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
