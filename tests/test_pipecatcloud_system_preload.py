"""The warm parent: real pods forked from it, and what it tells of them."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from pod_process import until

REPOSITORY = Path(__file__).parents[1]
CANNOT_FORK = 3
BOT = """
import asyncio, os
from pathlib import Path
from pipecatcloud_system import app

loaded = []

def preload():
    loaded.append(os.getpid())

@app.get("/who")
async def who():
    return {"pid": os.getpid(), "loaded": loaded, "given": os.environ.get("GIVEN")}

async def bot(args):
    if args.body.get("fail"):
        raise RuntimeError("told to fail")
    while not Path(args.body["until"]).exists():
        await asyncio.sleep(0.01)
"""


class Parent:
    """A parent in a process of its own, and its controller."""

    def __init__(self, source: str = BOT, *options: str) -> None:
        # Short enough for a socket's path.
        self.run = Path(tempfile.mkdtemp(prefix="preload-"))
        self.socket = self.run / "parent"
        (self.run / "bot.py").write_text(source)
        self._output = (self.run / "output").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipecatcloud_system.preload", str(self.socket), *options],
            cwd=self.run,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    @property
    def said(self) -> str:
        """What it has printed."""
        return (self.run / "output").read_text()

    async def meet(self) -> dict[str, str]:
        """Be its controller; gives the folders of the pods that it has, by their numbers."""
        async with asyncio.timeout(30):
            while True:
                assert self.process.poll() is None, self.said
                with contextlib.suppress(OSError):
                    self.reader, self.writer = await asyncio.open_unix_connection(str(self.socket))
                    break
                await asyncio.sleep(0.02)
        told = await self.event()
        assert told["event"] == "ready"
        return dict(told["pods"])

    async def event(self) -> dict[str, Any]:
        """The next thing that it tells."""
        async with asyncio.timeout(20):
            line = await self.reader.readline()
        return dict(json.loads(line)) if line else {}

    def order(self, **order: Any) -> None:
        self.writer.write(json.dumps(order).encode() + b"\n")

    async def fork(self, name: str, **environment: str) -> tuple[Path, int]:
        """A new pod's folder and number."""
        folder = self.run / name
        folder.mkdir()
        own = {"SOCKET": str(folder / "sock"), "SINGLE_SESSION": "true"}
        self.order(fork=str(folder), environment=own | environment)
        told = await self.event()
        assert (told["event"], told["folder"]) == ("forked", str(folder))
        return folder, told["pid"]

    def leave(self) -> None:
        self.writer.close()

    async def ended(self) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self.process.wait, 20)

    def end(self) -> None:
        """End it and all its pods."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children():
                process.kill()
        self.process.kill()
        self.process.wait()
        self._output.close()
        shutil.rmtree(self.run)


@contextlib.asynccontextmanager
async def parent_of(source: str = BOT, *options: str) -> AsyncIterator[Parent]:
    parent = Parent(source, *options)
    try:
        yield parent
    finally:
        parent.end()


@pytest.fixture(scope="module")
def shared() -> Iterator[Parent]:
    """A parent for several tests, each of which ends the pods that it has started."""
    parent = Parent()
    yield parent
    parent.end()


@pytest_asyncio.fixture
async def parent(shared: Parent) -> AsyncIterator[Parent]:
    """The shared parent, met; its pods are ended and told of before the next test meets it."""
    await shared.meet()
    yield shared
    for process in psutil.Process(shared.process.pid).children():
        process.kill()
        while (await shared.event())["pid"] != process.pid:
            pass
    shared.leave()


def listens(path: Path) -> bool:
    """Whether a socket is there and takes connections: it does a moment after it is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        return tried.connect_ex(str(path)) == 0


@contextlib.asynccontextmanager
async def asked(folder: Path, method: str, path: str, **sent: Any) -> AsyncIterator[Any]:
    """A pod's answer, once it listens."""
    await until(lambda: listens(folder / "sock"))
    connector = aiohttp.UnixConnector(str(folder / "sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.request(method, f"http://localhost{path}", **sent) as response,
    ):
        yield response


def session(folder: Path, **body: Any) -> Any:
    """A session in a pod, answered at its end."""
    headers = {"x-daily-room-url": "http://example.org", "x-daily-room-token": "t"}
    return asked(folder, "POST", "/bot", json=body, headers=headers)


async def in_session(folder: Path) -> bool:
    async with asked(folder, "GET", "/metrics") as response:
        return "\nmouthpiece_pod_session_active 1.0" in await response.text()


async def test_pods_are_forked_with_what_was_loaded(parent: Parent) -> None:
    pods = [await parent.fork(name, GIVEN=name) for name in ("one", "two")]
    for folder, pid in pods:
        async with asked(folder, "GET", "/who") as response:
            told = await response.json()
        # preload() ran once, in the parent.
        assert told == {"pid": pid, "loaded": [parent.process.pid], "given": folder.name}
        assert psutil.Process(pid).ppid() == parent.process.pid
        # A group of its own, which can be ended whole.
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert "Listening on unix:" in (folder / "output.log").read_text()
        assert (folder / "output.log").stat().st_mode & 0o077 == 0
    assert parent.socket.stat().st_mode & 0o077 == 0


async def test_it_tells_how_pods_ended(parent: Parent) -> None:
    async def status(folder: Path, pid: int) -> int:
        told = await parent.event()
        assert (told["event"], told["folder"], told["pid"]) == ("exited", str(folder), pid)
        return int(told["status"])

    killed = await parent.fork("killed")
    os.kill(killed[1], signal.SIGKILL)
    assert await status(*killed) == -signal.SIGKILL

    stopped = await parent.fork("stopped")
    async with asked(stopped[0], "GET", "/readyz") as response:
        assert response.status == 200
    os.kill(stopped[1], signal.SIGTERM)
    assert await status(*stopped) == 0

    over = await parent.fork("over")
    async with session(over[0], until=str(parent.run)) as response:
        assert response.status == 200
    assert await status(*over) == 0

    failed = await parent.fork("failed")
    async with session(failed[0], fail=True) as response:
        assert response.status == 500
    assert await status(*failed) == 70

    wrong = await parent.fork("wrong", PIPECAT_LOG_LEVEL="loud")
    assert await status(*wrong) == 1
    assert "PIPECAT_LOG_LEVEL" in (wrong[0] / "output.log").read_text()


async def test_the_next_controller_is_told_what_it_missed(parent: Parent) -> None:
    _, pid = await parent.fork("missed")
    parent.leave()
    # What is told to one that has just gone is lost; the file beside the pod is not.
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not psutil.Process(parent.process.pid).children())
    await parent.meet()
    told = await parent.event()
    assert (told["event"], told["pid"], told["status"]) == ("exited", pid, -9)
    await parent.fork("later")


async def test_there_is_one_controller_at_a_time(parent: Parent) -> None:
    folder, pid = await parent.fork("for-the-first")
    first = parent.reader
    assert await parent.meet() == {str(pid): str(folder)}
    assert await first.readline() == b""
    await parent.fork("for-the-second")


async def test_a_retired_parent_ends_with_its_last_pod() -> None:
    async with parent_of() as parent:
        await parent.meet()
        _, pid = await parent.fork("one")
        parent.order(retire=True)
        # It is there, and tells of its pod, until that has ended.
        os.kill(pid, signal.SIGKILL)
        assert (await parent.event())["event"] == "exited"
        assert await parent.event() == {}
        assert await parent.ended() == 0
        assert not parent.socket.exists()


async def test_alone_for_too_long_it_ends_with_the_pods_that_nobody_uses() -> None:
    async with parent_of(BOT, "--alone", "0.5") as parent:
        await parent.meet()
        done = parent.run / "done"
        used, idle = await parent.fork("used"), await parent.fork("idle")

        async def converse() -> int:
            async with session(used[0], until=str(done)) as response:
                return int(response.status)

        conversation = asyncio.create_task(converse())
        await until(lambda: in_session(used[0]))
        async with asked(idle[0], "GET", "/readyz") as response:
            assert response.status == 200
        # With a controller it stays, however long.
        assert psutil.pid_exists(idle[1])
        gone = psutil.Process(idle[1])
        parent.leave()
        await asyncio.to_thread(psutil.wait_procs, [gone], 10)
        assert not gone.is_running()
        # The session goes on, and its parent with it, which a controller may find again.
        assert psutil.pid_exists(used[1])
        await parent.meet()
        assert (await parent.event())["pid"] == idle[1]
        late = psutil.Process((await parent.fork("late"))[1])
        parent.leave()
        await asyncio.to_thread(psutil.wait_procs, [late], 10)
        assert not late.is_running()
        done.touch()
        assert await conversation == 200
        assert await parent.ended() == 0


THREAD = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
HAS_BOT = "import threading, time\nasync def bot(args): pass\n"


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        (HAS_BOT + THREAD, CANNOT_FORK, "1 threads run"),
        (f"{HAS_BOT}def preload():\n    {THREAD}", CANNOT_FORK, "1 threads run"),
        (f"{HAS_BOT}def preload():\n    raise ValueError('no model')\n", 1, "no model"),
        ("import no_such_module_here\n", 1, "no_such_module_here"),
        ("nothing = 1\n", 1, "has no bot(args)"),
    ],
    ids=["thread on import", "thread in preload", "preload fails", "import fails", "no bot"],
)
async def test_what_cannot_be_forked_ends_it_with_the_reason(
    source: str, status: int, said: str
) -> None:
    async with parent_of(source) as parent:
        assert await parent.ended() == status
        assert said in parent.said.splitlines()[-1]
        assert not parent.socket.exists()


async def test_a_pod_to_which_nobody_comes_says_so_by_its_status(parent: Parent) -> None:
    folder, pid = await parent.fork("alone", OFFER_TIMEOUT="0.3")
    headers = {"x-daily-transport-type": "webrtc"}
    async with asked(folder, "POST", "/bot", json={}, headers=headers) as response:
        assert response.status == 500
        assert "No WebRTC offer" in (await response.json())["error"]
    told = await parent.event()
    assert (told["event"], told["pid"], told["status"]) == ("exited", pid, 71)
