"""GET /metrics of a real pod: sessions and their fates, requests by route, the event loop."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pod_process
import pytest
from pod_process import PodProcess, post, until
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from pipecatcloud_system.metrics import LOOK_EVERY_S, PodMetrics
from pipecatcloud_system.session import Pod

ROOM = {"x-daily-room-url": "https://x.daily.co/room", "x-daily-room-token": "room-secret"}


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[PodProcess]:
    with pod_process.pod_process(tmp_path) as process:
        yield process


async def scraped(pod: PodProcess) -> dict[str, float]:
    """Return the pod's own samples by the end of their name and the values of their labels."""
    async with aiohttp.ClientSession() as http, http.get(f"{pod.url}/metrics") as answer:
        text = await answer.text()
    return {
        " ".join([sample.name.removeprefix("mouthpiece_pod_"), *sample.labels.values()]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_sessions_are_counted_by_their_fate(pod: PodProcess) -> None:
    waiting = asyncio.create_task(post(f"{pod.url}/bot", {"do": "wait"}, ROOM))

    async def active() -> bool:
        return (await scraped(pod))["session_active"] == 1

    await until(active)
    running = await scraped(pod)
    assert (running["sessions_started_total"], running["sessions_ended_total"]) == (1, 0)
    await post(f"{pod.url}/release", {})
    assert (await waiting)[0] == 200
    assert (await post(f"{pod.url}/bot", {"do": "fail"}, ROOM))[0] == 500
    after = await scraped(pod)
    fates = [after[f"sessions_{fate}_total"] for fate in ("started", "ended", "failed")]
    assert fates == [2, 2, 1]
    assert (after["session_active"], after["draining"]) == (0, 0)
    assert after["uptime_seconds"] > running["uptime_seconds"] > 0
    assert after["process_resident_memory_bytes"] > 10_000_000


async def test_requests_are_counted_by_route_and_never_by_what_was_asked(pod: PodProcess) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/livez", "/livez", "/secret-path?token=1", "/other", "/bot"):
            async with http.get(pod.url + path):
                pass
    await post(f"{pod.url}/bot", b"{", ROOM)
    found = await scraped(pod)
    requests = {name: value for name, value in found.items() if "http_requests_total" in name}
    assert requests["http_requests_total /livez 200"] == 2
    assert requests["http_requests_total unmatched 404"] == 2
    assert requests["http_requests_total /bot 405"] == 1
    assert requests["http_requests_total /bot 400"] == 1
    assert not any("secret" in name or "other" in name for name in found)


async def test_the_loop_is_looked_at_and_scrapes_are_not_logged(pod: PodProcess) -> None:
    async def looked() -> bool:
        return (await scraped(pod))["event_loop_lag_seconds_count"] >= 2

    await until(looked)
    assert "/metrics" not in pod.log.read_text()


async def test_a_loop_that_stands_still_is_late() -> None:
    registry = CollectorRegistry()

    async def bot(_: object) -> None:
        """Never called."""

    metrics = PodMetrics(Pod(bot), registry)
    async with metrics.measuring_lag():
        await asyncio.sleep(0)
        time.sleep(LOOK_EVERY_S + 0.3)  # noqa: ASYNC251  the standstill itself
        await until(
            lambda: registry.get_sample_value("mouthpiece_pod_event_loop_lag_seconds_count")
        )
    lag_s = registry.get_sample_value("mouthpiece_pod_event_loop_lag_seconds_sum")
    assert lag_s is not None and lag_s > 0.29
