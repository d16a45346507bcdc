"""What a peer may send on its data channels: size, rate and form, seen to before Pipecat reads."""

import json
import time
from collections.abc import Callable

MAX_MESSAGE_BYTES = 64 * 1024
MAX_SIGNAL_BYTES = 1_000
"""For Pipecat's own signalling, which is logged whole when it cannot be read."""
MESSAGES_PER_S = 50.0
BURST = 100.0
FLOOD = 1_000.0
"""So many messages above the rate are no accident: the peer is put out."""
MAX_CHANNELS = 8
"""Data channels of one connection; a page opens one."""


class MessageGate:
    """Lets a peer's messages through while they are few, small and JSON objects with a type."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._credit = BURST
        self._then = clock()
        self.dropped = 0
        """How many messages did not get through."""

    @property
    def flooded(self) -> bool:
        """Whether the peer has sent far more than it may."""
        return self._credit < -FLOOD

    def admits(self, message: str | bytes) -> bool:
        """Whether this message, which has come just now, may go on."""
        now = self._clock()
        self._credit = min(BURST, self._credit + (now - self._then) * MESSAGES_PER_S) - 1
        self._then = now
        admitted = self._credit >= 0 and _well_formed(message)
        self.dropped += not admitted
        return admitted


def _well_formed(message: str | bytes) -> bool:
    size = len(message) if isinstance(message, bytes) else len(message.encode())
    if size > MAX_MESSAGE_BYTES:
        return False
    if isinstance(message, str) and message.startswith("ping"):
        # The sign of life that Pipecat's clients send every second.
        return True
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] != "signalling" or size <= MAX_SIGNAL_BYTES
