"""What Prometheus and a browser are told while a session speaks in a real pod, and after it."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from conftest import RunningPod
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from test_bot import eventually, get, no_session

from avatar.figures import AvatarFigures
from avatar.prometheus import AvatarCollector
from benchmarks.peer import Peer

SPEECH = "I am measured while I speak, and what is measured is told to whoever asks for it. "


async def scraped(pod: RunningPod) -> dict[str, float]:
    """Return every sample of /metrics by its name and the values of its labels."""
    async with aiohttp.ClientSession() as http, http.get(pod.url + "/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain")
        text = await answer.text()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def figures_told(peer: Peer) -> list[dict[str, Any]]:
    """Return the figures among the messages that the peer received."""
    messages = [json.loads(text) for _, text in peer.messages if text.startswith("{")]
    data = [each.get("data") for each in messages if each.get("type") == "server-message"]
    return [each for each in data if each.get("type") == "avatar-figures"]


async def test_a_session_that_speaks_is_measured(pod: RunningPod) -> None:
    await no_session(pod)
    before = await scraped(pod)
    assert before["mouthpiece_pod_session_active"] == 0
    assert "mouthpiece_avatar_av_offset_median_seconds" not in before
    async with Peer(pod.url) as peer:
        await peer.connect()
        await peer.post("/speak", {"message": SPEECH * 3})
        await peer.until_loud(20)

        async def told() -> list[dict[str, Any]]:
            return figures_told(peer)

        (first, *_) = await eventually(told, bool)
        now = await eventually(
            lambda: scraped(pod), lambda m: "mouthpiece_avatar_av_offset_median_seconds" in m
        )
        status = await get(pod, "/status")
    assert first["drawn"] > 0 and first["stage"]
    assert first["lookahead_ms"] == status["avatar"]["lookahead_used_ms"]
    assert now["mouthpiece_pod_session_active"] == 1
    assert now["mouthpiece_avatar_cues_total"] > before["mouthpiece_avatar_cues_total"]
    assert now["mouthpiece_avatar_pictures_drawn_per_second"] > 0
    assert abs(now["mouthpiece_avatar_av_offset_median_seconds"]) < 0.5
    assert status["avatar"]["av_offset_ms"]["median"] is not None
    stages = {k: v for k, v in now.items() if k.startswith("mouthpiece_avatar_stage")}
    assert len(stages) == 4 and sum(stages.values()) == 1
    assert status["avatar"]["overload"].keys() == {"level", "name"}
    await no_session(pod)
    after = await scraped(pod)
    assert after["mouthpiece_avatar_cues_total"] >= now["mouthpiece_avatar_cues_total"]
    assert after["mouthpiece_pod_sessions_ended_total"] > before.get(
        "mouthpiece_pod_sessions_ended_total", 0
    )
    assert (await get(pod, "/status"))["avatar"]["overload"] is None


def figures(**changes: Any) -> AvatarFigures:
    """Return figures that are all 0 but for these."""
    numbers = {
        name: 0
        for name in AvatarFigures.__dataclass_fields__
        if "late_" not in name and "offset" not in name
    }
    return AvatarFigures(**{**numbers, "stage": "full", **changes})


def test_counts_go_on_over_sessions_and_the_rest_is_of_the_last() -> None:
    registry, collector = CollectorRegistry(), AvatarCollector()
    registry.register(collector)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"mouthpiece_avatar_{name}", labels)

    assert value("cues_total") == 0
    with collector.session(lambda: figures(cues=5, lookahead_ms=80, av_offset_ms=-12)):
        assert value("cues_total") == 5
        assert value("av_offset_median_seconds") == pytest.approx(-0.012)
        with collector.session(lambda: figures(cues=2, stage="half size")):
            assert value("cues_total") == 7
            assert value("av_offset_median_seconds") is None
            assert value("lookahead_seconds") == 0
            assert (value("stage", stage="full"), value("stage", stage="half size")) == (0, 1)
    assert value("cues_total") == 7
    assert value("lookahead_seconds") is None


def test_a_session_that_fails_is_counted_and_let_go() -> None:
    collector = AvatarCollector()
    with pytest.raises(asyncio.CancelledError), collector.session(lambda: figures(drawn=9)):
        raise asyncio.CancelledError
    assert collector._sessions == []
    assert collector._ended["drawn"] == 9
