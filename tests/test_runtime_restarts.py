"""Pods that crash and control planes that come and go: what becomes of the sessions."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
from control_plane import (
    REPOSITORY,
    RunningPlane,
    running_plane,
    start_plane,
    stop_plane,
    stub_agent,
    wait_until,
)


def _ended(plane: RunningPlane, session_id: str) -> bool:
    return plane.session("stub", session_id)["endedAt"] is not None


def _who(plane: RunningPlane, session_id: str) -> int:
    """The process id of a session's pod, as it says itself."""
    path = f"/v1/public/stub/sessions/{session_id}/echo/"
    answer = plane.ask("GET", path, None, plane.public_key)
    assert answer.status == 200, answer.content
    return int(answer.json["pid"])


def test_a_killed_pod_ends_its_session_and_no_other(tmp_path: Path) -> None:
    with running_plane(tmp_path, {"stub": stub_agent(tmp_path / "stub")}) as plane:
        one, two = (str(plane.start_session("stub")["sessionId"]) for _ in range(2))
        os.kill(_who(plane, one), signal.SIGKILL)
        wait_until(lambda: _ended(plane, one))
        told = plane.session("stub", one)
        assert told["endState"] == "agent_error"
        assert "SIGKILL" in told["endReason"]
        assert told["billableSeconds"] > 0
        path = f"/v1/public/stub/sessions/{one}/echo/"
        assert plane.ask("GET", path, None, plane.public_key).status == 410
        assert not _ended(plane, two)
        assert _who(plane, two)
        # A parent that is killed takes none of its pods along, and another one is loaded.
        parent = psutil.Process(_who(plane, two)).parent()
        assert parent is not None
        parent.kill()
        assert _who(plane, two)
        three = str(plane.start_session("stub")["sessionId"])
        assert _who(plane, three) != _who(plane, two)
        os.kill(_who(plane, two), signal.SIGKILL)
        wait_until(lambda: _ended(plane, two))
        # Nobody was left who could have told how it ended.
        assert plane.session("stub", two)["endState"] in ("unknown", "agent_error")


def _left(plane: RunningPlane, end: signal.Signals, killed: str) -> None:
    """End a control plane, and the pod of one of its sessions while there is none."""
    pods = plane.pods()
    plane.process.send_signal(end)
    assert plane.process.wait(20) == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    assert all(psutil.pid_exists(pid) for pid in pods.values())
    os.kill(pods[killed], signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pods[killed]))


def test_sessions_outlive_their_control_plane(tmp_path: Path) -> None:
    """Twice: once it is ended, once it is killed."""
    agents = {"stub": stub_agent(tmp_path / "stub")}
    first = start_plane(tmp_path, agents)
    began_s = time.time()
    try:
        kept, *lost, crashed = (str(first.start_session("stub")["sessionId"]) for _ in range(4))
        pid, before = _who(first, kept), first.session("stub", kept)
        _left(first, signal.SIGTERM, lost[0])
        second = start_plane(tmp_path, agents)
        assert second.public_key == first.public_key
        _left(second, signal.SIGKILL, lost[1])
        left_s = time.time()
    except BaseException:
        stop_plane(first)
        raise
    with running_plane(tmp_path, agents) as third:
        assert _who(third, kept) == pid
        after = third.session("stub", kept)
        assert (after["endState"], after["createdAt"]) == ("active", before["createdAt"])
        # Of those that died meanwhile the pods' parent has left word, of how and when.
        for session_id in lost:
            told = third.session("stub", session_id)
            assert told["endState"] == "agent_error"
            assert "SIGKILL" in told["endReason"]
            assert told["billableSeconds"] < left_s - began_s
        # What crashes from now on is told as ever.
        os.kill(_who(third, crashed), signal.SIGKILL)
        wait_until(lambda: _ended(third, crashed))
        assert third.session("stub", crashed)["endState"] == "agent_error"
        # They count for the limit, and new ones are started beside them.
        third.deploy("stub", autoScaling={"minAgents": 0, "maxAgents": 2})
        new = str(third.start_session("stub")["sessionId"])
        refused = third.ask("POST", "/v1/public/stub/start", {}, third.public_key)
        assert refused.status == 429
        path = "/v1/organizations/local/services/stub/sessions"
        assert third.ask("DELETE", f"{path}/{kept}").status == 200
        assert third.session("stub", kept)["endState"] == "terminated"
        wait_until(lambda: not psutil.pid_exists(pid))
        assert not _ended(third, new)


def test_sigint_ends_all_sessions(tmp_path: Path) -> None:
    plane = start_plane(tmp_path, {"stub": stub_agent(tmp_path / "stub")})
    try:
        sessions = [str(plane.start_session("stub")["sessionId"]) for _ in range(2)]
        pods = [psutil.Process(_who(plane, session)) for session in sessions]
        parent = pods[0].parent()
        assert parent is not None
        # Another one in the same folder would not even begin.
        command = [sys.executable, "-m", "runtime", "--data", str(plane.data), "--port", "0"]
        another = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=60)
        assert another.returncode == 1
        assert b"Another control plane uses" in another.stderr
        began_s = time.monotonic()
        plane.process.send_signal(signal.SIGINT)
        assert plane.process.wait(20) == 0
        assert time.monotonic() - began_s < 10
        wait_until(lambda: not any(process.is_running() for process in [*pods, parent]))
        with contextlib.closing(sqlite3.connect(plane.data / "store.sqlite")) as store:
            ends = store.execute("SELECT id, end_state, reason FROM sessions").fetchall()
    finally:
        stop_plane(plane)
    reason = "the control plane was stopped"
    assert sorted(ends) == sorted((session, "terminated", reason) for session in sessions)
