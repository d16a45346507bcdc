"""bot() at its limit, when it does not end there."""

import asyncio
from typing import Any

import pytest
from loguru import logger
from pipecat.runner.types import RunnerArguments
from pod_process import until

from pipecatcloud_system import session
from pipecatcloud_system.session import Pod, PodDraining, run_session


async def test_a_bot_that_goes_on_after_its_limit_is_complained_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "CANCEL_TIMEOUT_S", 0.05)
    released = asyncio.Event()

    async def bot(_: Any) -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    lines: list[str] = []
    sink = logger.add(lines.append, format="{extra[session_id]} {message}", level="ERROR")
    try:
        arguments = RunnerArguments(session_id="stubborn")
        running = asyncio.create_task(run_session(bot, arguments, 0.05))
        await until(lambda: lines)
        assert lines[0].startswith("stubborn The session goes on 0.05 s after its limit")
        released.set()
        assert await running is None
    finally:
        logger.remove(sink)


async def test_a_bots_own_timeout_is_its_failure() -> None:
    async def bot(_: Any) -> None:
        raise TimeoutError("the voice did not answer")

    failure = await run_session(bot, RunnerArguments(session_id="s"), 60)
    assert failure is not None
    assert failure.error_id


async def test_being_ended_from_outside_is_no_limit() -> None:
    async def bot(_: Any) -> None:
        await asyncio.Event().wait()

    running = asyncio.create_task(run_session(bot, RunnerArguments(session_id="s"), 60))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class Leaving:
    """A peer that is gone as soon as somebody wants its place."""

    def __init__(self) -> None:
        self.dismissed = asyncio.Event()

    async def replaceable(self) -> bool:
        return True

    def dismiss(self) -> None:
        self.dismissed.set()


@pytest.mark.parametrize("single", [True, False])
async def test_a_pod_of_one_session_takes_none_in_the_place_of_one_that_left(single: bool) -> None:
    peer = Leaving()

    async def first() -> None:
        await peer.dismissed.wait()

    async def second() -> None:
        pass

    pod = Pod(lambda _: None, single=single)
    await pod.begin("first", first, peer)
    if single:
        with pytest.raises(PodDraining):
            await pod.begin("second", second)
    else:
        await (await pod.begin("second", second)).finished()
    assert pod.tally.started == (1 if single else 2)


async def test_what_fails_outside_the_bot_is_in_the_log() -> None:
    async def fails() -> None:
        raise LookupError("no such track")

    lines: list[str] = []
    sink = logger.add(lines.append, format="{message} {exception}", level="ERROR")
    try:
        session = await Pod(lambda _: None).begin("s", fails)
        await asyncio.wait({session.task})
        await until(lambda: lines)
    finally:
        logger.remove(sink)
    assert "no such track" in lines[0]
