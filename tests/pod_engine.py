"""For tests: pods of this machine, with what their engine tells kept; ended with the test."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from control_plane import end_processes
from pod_process import until

from runtime.local_pods import LocalPods
from runtime.pods import Pod, PodEvent, PodState
from runtime.tails import LogLine

SLEEPS = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from loguru import logger
from pipecatcloud_system import add_lifespan_to_app

@asynccontextmanager
async def lifespan(app):
    logger.info("the secret is {}, ours are {}", os.environ.get("STUB_SECRET"),
                [name for name in os.environ if name.startswith("RUNTIME_")])
    if os.environ.get("STUB_SECRET") == "wrong":
        print("the secret is wrong", file=sys.stderr)
        sys.stderr.flush()
        os._exit(9)
    yield

add_lifespan_to_app(lifespan)

async def bot(args):
    await asyncio.sleep(60)
"""


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder of sockets; in it a parent outlives the test that it was started for."""
    folder = Path(tempfile.mkdtemp(prefix="pods-"))
    try:
        yield folder
    finally:
        end_processes(folder)
        shutil.rmtree(folder)


class Pods(LocalPods):
    """The engine itself, and what it has told."""

    def __init__(self, run: Path, agent: str = "stub", **options: Any) -> None:
        self.logged: list[tuple[Pod, LogLine]] = []
        super().__init__(
            agent,
            run,
            lines=lambda pod, lines: self.logged.extend((pod, line) for line in lines),
            **options,
        )

    async def of(self, state: PodState) -> list[Pod]:
        """The pods of a state."""
        return [pod for pod in (await self.list()).pods if pod.state == state]

    async def count(self, warm: int, claimed: int = 0) -> None:
        """Wait until there are so many pods, and no others."""

        async def matches() -> bool:
            found = sorted(pod.state for pod in (await self.list()).pods)
            return found == ["claimed"] * claimed + ["warm"] * warm

        await until(matches, 20)

    async def gone(self, pod_id: str) -> PodEvent:
        """The event of a pod's end."""
        async with asyncio.timeout(20):
            async for event in self.watch("0"):
                if event.kind == "gone" and event.pod is not None and event.pod.id == pod_id:
                    return event
        raise AssertionError

    async def end(self) -> None:
        """End every pod; parents stay, for the next test."""
        await self.close_door()
        for pod in (await self.list()).pods:
            await self.release(pod.id, 0.0)
        await self.count(warm=0)
        await self.leave()


@contextlib.asynccontextmanager
async def engine(run: Path, **options: Any) -> AsyncIterator[Pods]:
    """An engine whose pods end with the block, unless it has been left."""
    pods = Pods(run, **options)
    try:
        yield pods
    finally:
        await pods.end()


def soon(seconds: float = 20) -> float:
    """A deadline."""
    return asyncio.get_running_loop().time() + seconds
