"""A session's states and what it costs, without a process or a file."""

import itertools
from typing import get_args

import pytest

from runtime.sessions import END_STATES, FAILURES, AlreadyEnded, EndState, Session

CREATED_S = 1_000.0


@pytest.fixture
def session() -> Session:
    return Session(
        *("s", "agent", "agent-id", "deployment", "pod", "webrtc"),
        cold=False,
        limit_s=60.0,
        created_s=CREATED_S,
        alive_s=CREATED_S,
    )


def test_a_session_from_start_to_end(session: Session) -> None:
    assert not session.ended
    assert session.start_s is None
    started = session.with_start(CREATED_S + 2)
    assert started.start_s == 2
    seen = started.with_first_frame(CREATED_S + 3)
    assert seen.first_frame_s == CREATED_S + 3
    ended = seen.with_end(CREATED_S + 10, "completed", "HTTP_COMPLETED", "the bot ended it")
    assert ended.ended
    assert (ended.end_state, ended.completion) == ("completed", "HTTP_COMPLETED")
    assert ended.reason == "the bot ended it"
    assert ended.billable_s == 10


def test_the_first_news_count(session: Session) -> None:
    started = session.with_start(CREATED_S + 2)
    assert started.with_start(CREATED_S + 5) is started
    seen = started.with_first_frame(CREATED_S + 3)
    assert seen.with_first_frame(CREATED_S + 5) is seen


@pytest.mark.parametrize("end_state", END_STATES)
def test_an_ended_session_changes_no_more(session: Session, end_state: EndState) -> None:
    ended = session.with_end(CREATED_S + 10, end_state, None, "why")
    assert ended.with_life(CREATED_S + 20) is ended
    assert ended.with_start(CREATED_S + 20) is ended
    assert ended.with_first_frame(CREATED_S + 20) is ended
    for again in END_STATES:
        with pytest.raises(AlreadyEnded):
            ended.with_end(CREATED_S + 20, again, None, "again")
    assert ended.billable_s == 10


def test_end_states_are_those_of_the_type() -> None:
    assert get_args(EndState) == END_STATES
    assert set(END_STATES) > FAILURES


# --- what it costs -------------------------------------------------------------------------------


def test_a_running_session_is_paid_for_to_its_last_sign_of_life(session: Session) -> None:
    assert session.billable_s == 0
    alive = session.with_life(CREATED_S + 7)
    assert alive.billable_s == 7
    assert alive.with_life(CREATED_S + 5) == alive


def test_news_are_signs_of_life(session: Session) -> None:
    assert session.with_start(CREATED_S + 2).billable_s == 2
    assert session.with_start(CREATED_S + 2).with_first_frame(CREATED_S + 4).billable_s == 4


def test_a_session_that_nobody_took_is_paid_for_from_its_pod_to_its_end(session: Session) -> None:
    ended = session.with_end(CREATED_S + 3, "agent_start_timeout", None, "no offer")
    assert ended.billable_s == 3


def test_an_end_that_nobody_saw_is_the_last_sign_of_life(session: Session) -> None:
    alive = session.with_life(CREATED_S + 7)
    ended = alive.with_end(alive.alive_s, "unknown", None, "nobody saw it")
    assert ended.billable_s == 7


def test_a_clock_that_is_set_back_costs_nobody_anything(session: Session) -> None:
    ended = session.with_life(CREATED_S - 50).with_end(CREATED_S - 50, "completed", None, "")
    assert ended.ended_s == CREATED_S
    assert ended.billable_s == 0


def test_no_order_of_news_costs_more_than_the_time_that_passed(session: Session) -> None:
    """All orders of all news, at times that go forth and back."""
    news = (
        lambda s, t: s.with_life(t),
        lambda s, t: s.with_start(t),
        lambda s, t: s.with_first_frame(t),
        lambda s, t: s if s.ended else s.with_end(t, "completed", None, ""),
    )
    for order in itertools.permutations(range(4)):
        for times in itertools.product((CREATED_S - 1, CREATED_S + 1, CREATED_S + 2), repeat=4):
            now = session
            for which, time_s in zip(order, times, strict=True):
                before, now = now, news[which](now, time_s)
                assert now.billable_s >= 0
                if before.ended:
                    assert now == before
                else:
                    assert now.alive_s >= before.alive_s
            assert now.ended
            assert now.billable_s <= 2
