"""A session that runs: its pod, how to speak with it, and what is known of its end."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from runtime.pods import Pod
from runtime.rooms import Room
from runtime.sessions import EndState, Session, Transport

MAX_REPLY_BYTES = 64_000
MAX_FIGURES_BYTES = 1_000_000
POD_CONNECTIONS = 64
"""To one pod at once; a page takes a handful."""


@dataclass(frozen=True)
class StartRequest:
    """What a client asks for."""

    transport: Transport
    body: bytes
    """For the bot: JSON."""
    flow_config: str | None = None
    room: dict[str, Any] | None = None
    """Properties of the Daily room."""
    token: dict[str, Any] | None = None
    """Properties of the user's token for it."""


@dataclass(frozen=True)
class Verdict:
    """How a session ended, as far as is known before its pod has."""

    end_state: EndState
    completion: str | None
    reason: str


class Live:
    """A session that runs."""

    def __init__(self, session: Session, pod: Pod) -> None:
        self.session = session
        self.pod = pod
        self.started = asyncio.Event()
        """Set once the pod has taken it; requests wait for it."""
        self.verdict: Verdict | None = None
        self.room: Room | None = None
        self.offered = False
        """Whether a browser's offer has been forwarded."""
        self.over = asyncio.Event()
        self.saving: asyncio.Task[None] | None = None
        """Writes down what was told of it last."""
        self.answered = 0
        """The status of the pod's answer to its start, once it has come."""
        self.conversation: asyncio.Task[None] | None = None
        """The request that lasts as long as the session."""
        self.limit: asyncio.TimerHandle | None = None
        self._client: aiohttp.ClientSession | None = None

    @property
    def client(self) -> aiohttp.ClientSession:
        """Speaks HTTP with the pod."""
        if self._client is None:
            path = self.pod.control_url.removeprefix("unix:")
            self._client = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path, limit=POD_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    def judge(self, verdict: Verdict) -> None:
        """Note how the session ended; the first to know is right."""
        if self.verdict is None:
            self.verdict = verdict

    async def holds_session(self) -> bool:
        """Whether the pod has a session, as its figures tell."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with (
                asyncio.timeout(5.0),
                self.client.get("http://localhost/metrics") as response,
            ):
                text = (await response.content.read(MAX_FIGURES_BYTES)).decode(errors="replace")
                return "\nmouthpiece_pod_session_active 1.0" in text
        return False

    async def close(self) -> None:
        """Let go of everything."""
        if self.limit is not None:
            self.limit.cancel()
        if self._client is not None:
            await self._client.close()


def told_error(text: bytes) -> str:
    """The error that a pod's answer tells."""
    with contextlib.suppress(ValueError):
        reply = json.loads(text)
        if isinstance(reply, dict):
            return str(reply.get("error", ""))[:300]
    return ""
