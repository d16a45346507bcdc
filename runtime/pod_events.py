"""What happened to a backend's pods, for those who watch: numbered, and kept for a while."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

from runtime.pods import PodEvent

KEPT = 10_000


class PodEvents:
    """Events in their order."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, PodEvent]] = deque(maxlen=KEPT)
        self._last = 0
        self._happened = asyncio.Event()

    @property
    def cursor(self) -> str:
        """Where `after` goes on from."""
        return str(self._last)

    def add(self, event: PodEvent) -> None:
        """Tell an event to all who watch."""
        self._last += 1
        self._events.append((self._last, replace(event, cursor=self.cursor)))
        happened, self._happened = self._happened, asyncio.Event()
        happened.set()

    async def after(self, cursor: str) -> AsyncIterator[PodEvent]:
        """Events after a cursor, as they happen; resync where some are not kept any more."""
        seen = int(cursor)
        while True:
            happened = self._happened
            if self._events and self._events[0][0] > seen + 1:
                seen = self._last
                yield PodEvent("resync", cursor=self.cursor)
            for number, event in list(self._events):
                if number > seen:
                    seen = number
                    yield event
            if seen == self._last:
                await happened.wait()
