"""A session, its states and what it costs; no I/O.

starting -> active -> ended        as one of END_STATES, once
starting ----------> ended
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

Transport = Literal["webrtc", "daily", "websocket"]
EndState = Literal[
    "completed",
    "ended_before_agent_start",
    "agent_start_timeout",
    "terminated",
    "agent_error",
    "unknown",
]
END_STATES: tuple[EndState, ...] = get_args(EndState)
FAILURES: frozenset[EndState] = frozenset({"agent_start_timeout", "agent_error"})
"""Of these the operator is told as failed sessions."""


class AlreadyEnded(Exception):
    """A session ends once."""


@dataclass(frozen=True)
class Session:
    """One conversation; times in seconds since the epoch."""

    id: str
    agent: str
    agent_id: str
    deployment_id: str
    pod_id: str
    transport: Transport
    cold: bool
    """Whether its pod was started for it."""
    limit_s: float
    """How long it may last."""
    created_s: float
    """When a pod was claimed for it, and started if there was none: from here on it is paid for."""
    alive_s: float
    """When its pod was last seen alive."""
    started_s: float | None = None
    """When the pod had taken it."""
    first_frame_s: float | None = None
    ended_s: float | None = None
    end_state: EndState | None = None
    completion: str | None = None
    """How the pod's answer ended: HTTP_COMPLETED, HTTP_ERROR, WS_CONNECTION_CLOSED."""
    reason: str | None = None
    """Why it ended, for its operator."""
    room: str | None = None
    """The name of the Daily room that was made for it."""

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.ended_s is not None

    @property
    def billable_s(self) -> float:
        """From instantiation to teardown; of a running session, to the last sign of life."""
        return max(0.0, (self.alive_s if self.ended_s is None else self.ended_s) - self.created_s)

    @property
    def start_s(self) -> float | None:
        """How long it took the pod to take it."""
        return None if self.started_s is None else self.started_s - self.created_s

    def with_life(self, now_s: float) -> "Session":
        """After a sign of life of its pod."""
        return self if self.ended else replace(self, alive_s=max(self.alive_s, now_s))

    def with_start(self, now_s: float) -> "Session":
        """After the pod has taken it; later news of the same change nothing."""
        if self.ended or self.started_s is not None:
            return self
        return replace(self, started_s=now_s).with_life(now_s)

    def with_first_frame(self, now_s: float) -> "Session":
        """After its first picture or sound."""
        if self.ended or self.first_frame_s is not None:
            return self
        return replace(self, first_frame_s=now_s).with_life(now_s)

    def with_end(
        self, ended_s: float, end_state: EndState, completion: str | None, reason: str
    ) -> "Session":
        """After its end.

        Args:
            ended_s: when; where nobody saw it, `alive_s`.
            end_state: how.
            completion: what the pod answered, if it did.
            reason: why.

        Raises:
            AlreadyEnded: it has an end already.
        """
        if self.ended:
            raise AlreadyEnded(self.id)
        # Clocks are set back at times; a session never ends before it began.
        return replace(
            self,
            ended_s=max(ended_s, self.created_s),
            end_state=end_state,
            completion=completion,
            reason=reason,
        )
