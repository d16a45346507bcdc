"""Pods, whoever runs them: the one interface between sessions and processes.

A backend runs the pods of one agent. Each pod holds one session in its life.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

PodState = Literal["starting", "warm", "claimed", "draining"]


class NoCapacity(Exception):
    """As many pods are claimed as may be."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Service maximum agent instances reached")
        self.retry_after_s = retry_after_s


class Unavailable(Exception):
    """No pod could be had in time, or the spec makes none that serve; the message says why."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class PodSpec:
    """What the pods of one deployment are made of."""

    agent: str
    deployment_id: str
    folder: Path
    """Where the bot.py lies."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets among it."""
    cpu: float | None = None
    """CPUs that one pod may use; None: as many as there are."""
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Pod:
    """One process that holds, or will hold, one session."""

    id: str
    """Names this incarnation; never used again."""
    control_url: str
    """Where it serves HTTP: unix: and a path, or http:// and an address."""
    state: PodState
    session_id: str | None
    """As the engine has it."""
    deployment_id: str
    cold: bool = False
    """Whether it was started for its session."""
    process_id: int | None = None
    """Where it runs on this machine."""


UNJOINED = "nobody joined the session"
"""The reason of a pod's end to whose session nobody came."""


@dataclass(frozen=True)
class PodEvent:
    """Something that happened to a pod."""

    kind: Literal["ready", "suspect", "gone", "resync"]
    pod: Pod | None = None
    """None where everything must be listed anew."""
    reason: str = ""
    failed: bool = False
    """Of one that is gone: it did not end in good order."""
    cursor: str = ""
    at_s: float | None = None
    """When it was seen, in seconds since the epoch."""


@dataclass(frozen=True)
class Snapshot:
    """All pods of a backend, and from where `watch` goes on."""

    pods: tuple[Pod, ...]
    cursor: str
    gone: tuple[PodEvent, ...] = ()
    """Claimed pods that ended while nobody watched."""


class PodBackend(Protocol):
    """Runs the pods of one agent."""

    async def ensure(self, spec: PodSpec, warm: int, limit: int) -> None:
        """Have pods of this spec from now on; those that hold sessions of an older one go on.

        Args:
            spec: what new pods are made of.
            warm: how many are kept that no session has claimed.
            limit: how many there may be in all.

        Raises:
            Unavailable: pods of this spec cannot be made; those of the older spec stay.
        """

    async def claim(self, session_id: str, deadline: float) -> Pod:
        """A ready pod for this session and no other; the same one if asked again.

        Args:
            session_id: of the session.
            deadline: on the event loop's clock.

        Raises:
            NoCapacity: the limit is reached; decided without waiting.
            Unavailable: none was ready by the deadline.
        """

    async def release(self, pod_id: str, grace_s: float) -> None:
        """End a pod: ask it, and force it after the grace; of one that is gone, nothing happens."""

    async def list(self) -> Snapshot:
        """All pods there are."""

    def watch(self, cursor: str) -> AsyncIterator[PodEvent]:
        """What happens to pods after a snapshot or an event."""
