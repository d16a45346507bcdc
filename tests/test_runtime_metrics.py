"""/metrics of the control plane: who may read it, what it counts, and that counters go on."""

import base64
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import free_port
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import START_BUCKETS_S, Group, Sums, Totals
from runtime.store import Change, Store
from tests.control_plane import (
    ORGANIZATION,
    RunningPlane,
    running_plane,
    start_plane,
    stop_plane,
    stub_agent,
    wait_until,
)

PREFIX = "mouthpiece_runtime_"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with one agent, whose webhook nobody answers."""
    folder = tmp_path_factory.mktemp("plane")
    webhook = {
        "RUNTIME_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/",
        "RUNTIME_WEBHOOK_HOSTS": "127.0.0.1",
        "RUNTIME_WEBHOOK_SECRET": f"whsec_{base64.b64encode(bytes(32)).decode()}",
    }
    agent = stub_agent(folder / "agent")
    with running_plane(folder, {"stub": agent}, **webhook) as running:
        yield running


def figures(plane: RunningPlane) -> dict[tuple[str, ...], float]:
    """Every figure, by its name without the prefix and the values of its labels."""
    answer = plane.ask("GET", "/metrics")
    assert answer.status == 200, answer.content
    assert answer.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            assert sample.name.startswith(PREFIX), sample.name
            found[sample.name.removeprefix(PREFIX), *sample.labels.values()] = sample.value
    return found


def stop(plane: RunningPlane, session_id: str) -> None:
    """Stop a session, and wait until its end is recorded."""
    assert plane.ask("DELETE", f"{ORGANIZATION}/services/stub/sessions/{session_id}").status == 200
    wait_until(lambda: has_ended(plane, session_id))


def has_ended(plane: RunningPlane, session_id: str) -> bool:
    return bool(plane.session("stub", session_id)["endState"] != "active")


def test_only_a_private_key_opens_it(plane: RunningPlane) -> None:
    assert plane.ask("GET", "/metrics", key="").status == 401
    assert plane.ask("GET", "/metrics", key=plane.public_key).status == 403
    assert plane.ask("GET", "/metrics").status == 200


def test_sessions_and_pods_are_counted(plane: RunningPlane) -> None:
    stays, stopped, killed = [plane.start_session("stub")["sessionId"] for _ in range(3)]
    stop(plane, stopped)
    os.kill(plane.pods()[killed], signal.SIGKILL)
    wait_until(lambda: has_ended(plane, killed))

    now = figures(plane)
    assert now["sessions_started_total", "stub"] == 3
    ended = {key[2]: value for key, value in now.items() if key[0] == "sessions_ended_total"}
    assert ended == {"terminated": 1, "agent_error": 1}
    assert now["sessions_live", "stub"] == 1
    assert now["pods", "stub", "claimed"] == 1
    assert now["capacity", "stub"] == 10
    assert now["store_full",] == 0
    wait_until(lambda: figures(plane)["pods", "stub", "warm"] == 1)

    took = [plane.session("stub", each)["botStartSeconds"] for each in (stays, stopped, killed)]
    counts = {pod: now["session_start_seconds_count", pod] for pod in ("warm", "cold")}
    assert sum(counts.values()) == sum(each is not None for each in took)
    total_s = sum(now["session_start_seconds_sum", pod] for pod in ("warm", "cold"))
    assert total_s == pytest.approx(sum(filter(None, took)), abs=0.01)
    for pod in counts:
        bounds = [*(f"{bound:g}" for bound in START_BUCKETS_S), "+Inf"]
        counted = [
            value
            for key, value in now.items()
            if key[0] == "session_start_seconds_bucket" and pod in key
        ]
        assert len(counted) == len(bounds)
        assert counted == sorted(counted) and counted[-1] == counts[pod]

    cost = [plane.session("stub", each)["billableSeconds"] for each in (stopped, killed)]
    assert now["billable_seconds_total", "stub"] >= sum(cost) - 0.01 > 0

    stop(plane, stays)
    after = figures(plane)
    assert after["sessions_ended_total", "stub", "terminated"] == 2
    assert after["sessions_live", "stub"] == 0
    # What was counted when it ran is not counted again when it is over.
    assert after["sessions_started_total", "stub"] == now["sessions_started_total", "stub"]


def test_requests_are_counted_by_their_route(plane: RunningPlane) -> None:
    session_id = plane.start_session("stub")["sessionId"]
    plane.ask("GET", f"/v1/public/stub/sessions/{session_id}/no/such/path-at-all")
    plane.ask("GET", "/made-up/by-a-client")
    plane.ask("GET", f"{ORGANIZATION}/services/no-such-agent")
    text = plane.ask("GET", "/metrics").content.decode()
    for told in (session_id, "path-at-all", "by-a-client", "no-such-agent", "/local/"):
        assert told not in text
    now = figures(plane)
    forwarded = "/v1/public/{agent}/sessions/{session_id}/{path:path}"
    assert now["http_requests_total", forwarded, "404"] >= 1
    assert now["http_requests_total", "/v1/public/{agent}/start", "200"] >= 1
    assert now["http_requests_total", "unmatched", "404"] >= 1
    service = "/v1/organizations/{organization}/services/{name}"
    assert now["http_requests_total", service, "404"] >= 1
    before = now["http_requests_total", "/metrics", "200"]
    assert figures(plane)["http_requests_total", "/metrics", "200"] == before + 1


def test_the_event_loop_and_the_webhook_are_watched(plane: RunningPlane) -> None:
    plane.start_session("stub")
    assert figures(plane)["webhook_messages_waiting",] >= 1
    first = figures(plane)["event_loop_lag_seconds_count",]
    wait_until(lambda: figures(plane)["event_loop_lag_seconds_count",] > first)


def test_counters_go_on_after_a_restart(tmp_path: Path) -> None:
    agents = {"stub": stub_agent(tmp_path / "agent")}
    plane = start_plane(tmp_path, agents)
    try:
        stop(plane, plane.start_session("stub")["sessionId"])
        before = figures(plane)
    finally:
        stop_plane(plane)
    with running_plane(tmp_path, agents) as again:
        after = figures(again)
    for name in ("sessions_started_total", "billable_seconds_total"):
        assert after[name, "stub"] == before[name, "stub"] > 0
    assert after["sessions_ended_total", "stub", "terminated"] == 1


# --- adding up -------------------------------------------------------------------------------

INSERT = (
    "INSERT INTO sessions (id, agent, agent_id, deployment_id, pod_id, transport, cold, limit_s, "
    "created_s, alive_s, started_s) VALUES (?, ?, '', '', '', 'webrtc', ?, 60, ?, ?, ?)"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


async def plainly(store: Store) -> dict[Group, Sums]:
    """The same as Totals.read(), one session at a time."""
    totals: dict[Group, Sums] = {}
    for row in await store.read("SELECT * FROM sessions"):
        start_s = None if row["started_s"] is None else row["started_s"] - row["created_s"]
        billable_s = row["billable_s"]
        one = Sums(
            1,
            row["alive_s"] - row["created_s"] if billable_s is None else billable_s,
            int(start_s is not None),
            start_s or 0.0,
            [int(start_s is not None and start_s <= bound) for bound in START_BUCKETS_S],
        )
        group = Group(row["agent"], row["end_state"] or "", bool(row["cold"]))
        totals.setdefault(group, Sums()).add(one)
    return totals


async def test_each_session_is_added_up_once_in_whatever_order_they_end(store: Store) -> None:
    dice = random.Random(5)
    totals = Totals(store)
    assert await totals.read() == {}
    running: list[str] = []
    for number in range(300):
        changes: list[Change] = []
        # Sixteenths of seconds add up without rounding, in any order.
        created_s = number / 16
        if dice.random() < 0.6:
            running.append(str(number))
            started_s = created_s + dice.randrange(160) / 16 if dice.random() < 0.8 else None
            agent, cold = dice.choice("ab"), dice.randrange(2)
            values = (str(number), agent, cold, created_s, created_s + 1, started_s)
            changes.append((INSERT, values))
        for session_id in [each for each in running if dice.random() < 0.05]:
            running.remove(session_id)
            state = dice.choice(("completed", "terminated"))
            changes.append(
                (
                    "UPDATE sessions SET ended_s = created_s + 9, end_state = ?, billable_s = 9 "
                    "WHERE id = ?",
                    (state, session_id),
                )
            )
        for session_id in running:
            changes.append(
                ("UPDATE sessions SET alive_s = alive_s + 0.0625 WHERE id = ?", (session_id,))
            )
        if changes:
            await store.write(*changes)
        if dice.random() < 0.5:
            assert await totals.read() == await plainly(store)
    assert running
    await store.write(
        (
            "UPDATE sessions SET ended_s = 99, end_state = 'unknown', billable_s = 4 "
            "WHERE ended_s IS NULL",
            (),
        )
    )
    assert await totals.read() == await totals.read() == await plainly(store)
