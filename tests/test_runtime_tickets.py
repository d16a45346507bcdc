"""Tickets for WebSockets: ours, for this agent, and not for long."""

import base64
import json
from pathlib import Path

import pytest

from runtime import tickets as module
from runtime.errors import CannotStart, Refused
from runtime.tickets import LASTS_S, Tickets


@pytest.fixture
def tickets(tmp_path: Path) -> Tickets:
    return Tickets(tmp_path / "tickets.key")


def test_a_ticket_names_its_session(tickets: Tickets) -> None:
    session_id, ticket = tickets.make("one")
    assert tickets.read("one", ticket) == session_id
    assert tickets.make("one")[0] != session_id
    # It travels in paths, queries and headers as it is.
    assert set(ticket) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_ticket_is_for_one_agent(tickets: Tickets) -> None:
    _, ticket = tickets.make("one")
    with pytest.raises(Refused, match="another agent") as refused:
        tickets.read("two", ticket)
    assert refused.value.status == 401


def test_a_ticket_outlives_a_restart_but_not_its_key(tickets: Tickets, tmp_path: Path) -> None:
    session_id, ticket = tickets.make("one")
    key = tmp_path / "tickets.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert Tickets(key).read("one", ticket) == session_id
    key.unlink()
    with pytest.raises(Refused, match="none of this control plane"):
        Tickets(key).read("one", ticket)


def test_a_ticket_expires(tickets: Tickets, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now_s)
    session_id, ticket = tickets.make("one")
    now_s += LASTS_S
    assert tickets.read("one", ticket) == session_id
    now_s += 1
    with pytest.raises(Refused, match="expired"):
        tickets.read("one", ticket)


def test_every_changed_sign_is_noticed(tickets: Tickets) -> None:
    _, ticket = tickets.make("one")
    for place in range(len(ticket) - 1):
        other = "A" if ticket[place] != "A" else "B"
        with pytest.raises(Refused, match="none of"):
            tickets.read("one", ticket[:place] + other + ticket[place + 1 :])


def test_nothing_else_is_a_ticket(tickets: Tickets) -> None:
    _, ticket = tickets.make("one")
    content, _, signed = ticket.partition(".")
    told = json.loads(base64.urlsafe_b64decode(content + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**told, "until": 10**12}).encode()).decode()
    for text in (
        *("", ".", content, f".{signed}", f"{content}.", f"{forged}.{signed}"),
        *(ticket + ".", ticket + "x", "ü.ü", "x" * 100_000, ticket + "x" * 2_000),
    ):
        with pytest.raises(Refused) as refused:
            tickets.read("one", text)
        assert refused.value.status == 401


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 31)
    with pytest.raises(CannotStart, match="too short"):
        Tickets(tmp_path / "short")
    with pytest.raises(CannotStart, match="cannot be used"):
        Tickets(tmp_path / "nowhere" / "key")
