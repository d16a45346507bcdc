"""What the clients of a run of chaos share: the control plane, the sessions that they know, the
steps, and what was violated.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tqdm import tqdm

from benchmarks.planes import SERVICES, ControlPlane

AGENT = "stub"


@dataclass
class Known:
    """A session that a client was told of."""

    id: str
    transport: str
    how: str
    """It will end."""
    told_s: float
    surely_until_s: float
    """Before that it does not end by itself."""
    epoch: int
    """In which its client was told."""
    pid: int = 0
    doomed: bool = False
    """Whether something has been done that ends it."""
    in_time: bool = True
    """Whether that was before its own end."""
    killed_s: float | None = None
    """When its pod was."""
    cut: bool = False
    """Whether the control plane was ended when it did, so that nobody may know how."""

    def doom(self) -> None:
        """Note that something is about to be done that ends it."""
        self.in_time = self.in_time and (self.doomed or self.surely_lives)
        self.doomed = True

    @property
    def surely_lives(self) -> bool:
        """Whether it must still be there."""
        return not self.doomed and time.time() < self.surely_until_s


class Cut(Exception):
    """The control plane was ended meanwhile: what came of the request is not known."""


@dataclass
class World:
    """What all clients share."""

    plane: ControlPlane
    seed: int
    progress: "tqdm[None]"
    counts: Counter[str] = field(default_factory=Counter)
    """Of steps, by their kind."""
    known: dict[str, Known] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    """Of starts: how many had which status."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    epoch: int = 0
    """Counts the ends of the control plane; a new one begins just before."""
    http: aiohttp.ClientSession = field(init=False, default=None)  # type: ignore[assignment]
    """From the first `reconnect` on."""

    @property
    def steps(self) -> int:
        """How many there were."""
        return self.counts.total()

    def note(self, kind: str) -> None:
        """Count a step."""
        self.counts[kind] += 1
        self.progress.update()

    def violated(self, text: str) -> None:
        """Note that something happened that must not."""
        self.violations.append(f"{time.strftime('%H:%M:%S')} {text}")

    def wrong(self, text: str) -> None:
        """Note a wrong answer, unless it came from a control plane that was being ended."""
        if self.up.is_set():
            self.violated(text)

    async def reconnect(self) -> None:
        """Forget connections to a control plane that has ended."""
        await self.disconnect()
        timeout = aiohttp.ClientTimeout(total=90)
        self.http = aiohttp.ClientSession(self.plane.url, timeout=timeout)

    async def disconnect(self) -> None:
        """Close all connections."""
        if self.http is not None:
            await self.http.close()

    @asynccontextmanager
    async def step(self, kind: str, epoch: int | None = None) -> AsyncIterator[None]:
        """One action, while a control plane runs.

        Args:
            kind: what is counted.
            epoch: in which its connection was made; None: it makes its own.

        Raises:
            Cut: the control plane was ended before the action was over.
        """
        await self.up.wait()
        epoch = self.epoch if epoch is None else epoch
        if epoch != self.epoch:
            raise Cut
        self.note(kind)
        try:
            yield
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if epoch == self.epoch:
                self.violated(f"{kind}: {type(error).__name__} {error} while it ran")
            raise Cut from error
        if epoch != self.epoch:
            raise Cut

    def of_session(self, known: Known, path: str) -> str:
        """A path within a session's pod."""
        return f"/v1/public/{AGENT}/sessions/{known.id}/{path}"

    async def recorded(self, known: Known) -> dict[str, Any]:
        """A session as the operator sees it."""
        async with self.http.get(
            f"{SERVICES}/{AGENT}/sessions/{known.id}", headers=self.plane.private
        ) as answer:
            if answer.status != 200:
                self.violated(f"{known.id}: its record: {answer.status} {await answer.text()}")
                return {"endState": "?"}
            record: dict[str, Any] = await answer.json()
            return record

    async def whole(self, known: Known) -> bool:
        """Whether a session's requests still reach the pod that it began in."""
        async with self.http.get(
            self.of_session(known, "who"), headers=self.plane.public
        ) as answer:
            if answer.status != 200:
                return False
            who = await answer.json()
            known.pid = known.pid or who["pid"]
            right = {known.id} if known.transport == "daily" else {known.id, None}
            return who["pid"] == known.pid and who["session"] in right
