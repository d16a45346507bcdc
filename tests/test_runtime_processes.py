"""Which process a number names, and when it has ended."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from runtime import processes as module
from runtime.processes import ProcessWatch, incarnation, signal_group

WAITS = "import sys; sys.stdin.read()"
GRANDCHILD = (
    "import subprocess, sys;"
    f"p = subprocess.Popen([sys.executable, '-c', {WAITS!r}], stdin=subprocess.PIPE);"
    "print(p.pid, flush=True); sys.stdin.read()"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, start_new_session=True
    )
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def grandchild() -> Iterator[int]:
    """The number of a process that waits and is not our child."""
    parent = subprocess.Popen(
        [sys.executable, "-c", GRANDCHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert parent.stdout is not None
    yield int(parent.stdout.readline())
    os.killpg(parent.pid, signal.SIGKILL)
    parent.communicate()


def test_an_incarnation_is_one_process(child: subprocess.Popen[bytes]) -> None:
    name = incarnation(child.pid)
    assert name is not None
    assert name == incarnation(child.pid)
    assert str(child.pid) in name
    assert name != incarnation(os.getpid())


def test_a_process_that_has_ended_has_none(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # Its number is still taken, until its parent has asked how it ended.
    assert psutil.pid_exists(child.pid)
    assert incarnation(child.pid) is None
    child.wait()
    assert incarnation(child.pid) is None


def test_a_name_with_parentheses_is_no_trouble() -> None:
    code = f"open('/proc/self/comm', 'w').write('a) Z 1 (b'); print('named', flush=True); {WAITS}"
    if sys.platform != "linux":
        pytest.skip("processes are named so on Linux")
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"named\n"
    assert (incarnation(process.pid) or "").startswith(
        (incarnation(os.getpid()) or "").split("-")[0] + f"-{process.pid}-"
    )
    process.communicate()


async def _ended(pid: int, end: signal.Signals = signal.SIGKILL) -> None:
    """Watch a process, end it, and wait until that is told, once."""
    told = asyncio.Event()
    times = 0

    def on_end() -> None:
        nonlocal times
        times += 1
        told.set()

    ProcessWatch(pid, on_end)
    await asyncio.sleep(0)
    assert not told.is_set()
    os.kill(pid, end)
    async with asyncio.timeout(5):
        await told.wait()
    await asyncio.sleep(0)
    assert times == 1


async def test_the_end_of_a_child_is_told(child: subprocess.Popen[bytes]) -> None:
    await _ended(child.pid)


async def test_the_end_of_another_process_is_told(grandchild: int) -> None:
    assert psutil.Process(grandchild).ppid() != os.getpid()
    await _ended(grandchild)


async def test_where_the_system_cannot_tell_it_is_looked_for(
    grandchild: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(pid: int) -> int:
        raise OSError

    monkeypatch.setattr(module.os, "pidfd_open", cannot, raising=False)
    await _ended(grandchild)


async def test_one_that_ended_before_is_told_at_once(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    told = asyncio.Event()
    ProcessWatch(child.pid, told.set)
    async with asyncio.timeout(5):
        await told.wait()


async def test_who_stops_watching_is_told_nothing(child: subprocess.Popen[bytes]) -> None:
    told, other = asyncio.Event(), asyncio.Event()
    watch = ProcessWatch(child.pid, told.set)
    ProcessWatch(child.pid, other.set)
    watch.stop()
    watch.stop()
    child.kill()
    async with asyncio.timeout(5):
        await other.wait()
    assert not told.is_set()


async def test_watching_leaves_no_open_file(child: subprocess.Popen[bytes]) -> None:
    count = psutil.Process().num_fds()
    for _ in range(20):
        ProcessWatch(child.pid, lambda: None).stop()
    await _ended(child.pid)
    assert psutil.Process().num_fds() == count


def test_a_signal_reaches_only_the_process_that_is_meant(child: subprocess.Popen[bytes]) -> None:
    signal_group(child.pid, f"{incarnation(child.pid)}0", signal.SIGKILL)
    assert incarnation(child.pid) is not None
    signal_group(child.pid, incarnation(child.pid), signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    # Of one that is gone, nothing happens.
    signal_group(child.pid, None, signal.SIGKILL)


def test_what_a_process_has_started_ends_with_it() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", GRANDCHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert parent.stdout is not None
    left = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    signal_group(parent.pid, None, signal.SIGKILL)
    psutil.wait_procs([left], timeout=5)
    assert incarnation(left.pid) is None
    parent.communicate()
