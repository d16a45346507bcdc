"""Tells PIPECAT_EVENT_PUBLISHER_ENDPOINT when sessions begin and end; never waited for."""

import asyncio
import contextlib
import datetime
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

MAX_WAITING = 100
"""Events kept for an endpoint that does not take them; more are dropped."""
POST_TIMEOUT_S = 5.0
LAST_CALL_S = 2.0
"""How long the pod's end waits for what has not been told yet."""


class EventPublisher:
    """Posts events one after the other, from a task of its own."""

    def __init__(self, endpoint: str, image: str) -> None:
        self._endpoint = endpoint
        self._image = image
        self._waiting: asyncio.Queue[dict[str, object]] = asyncio.Queue(MAX_WAITING)
        self._failing = False
        # A control plane on this machine may just be starting anew.
        self._pauses_s = (0.5, *[1.0] * 20, 0.0) if endpoint.startswith("unix:") else (0.0,)

    def report(self, session_id: str, event: str) -> None:
        """Have an event told, if there is room for it."""
        now = datetime.datetime.now(datetime.UTC)
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(
                {
                    "ts": now.isoformat(timespec="milliseconds"),
                    "session_id": session_id,
                    "event_name": event,
                    "event_uuid": str(uuid.uuid4()),
                    "event_properties": {"image_version": self._image},
                }
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell events within this context."""
        posting = asyncio.create_task(self._post_all())
        try:
            yield
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_CALL_S):
                    await self._waiting.join()
        finally:
            posting.cancel()
            await asyncio.wait({posting})

    async def _post_all(self) -> None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        url, connector = self._endpoint, None
        if url.startswith("unix:"):
            url, connector = "http://localhost/", aiohttp.UnixConnector(url.removeprefix("unix:"))
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
            while True:
                event = await self._waiting.get()
                for pause_s in self._pauses_s:
                    try:
                        async with client.post(url, json=event, allow_redirects=False) as response:
                            bad = response.status >= 400
                            self._note(f"answered {response.status}" if bad else None)
                            break
                    except (aiohttp.ClientError, OSError, TimeoutError) as error:
                        self._note(f"cannot be reached ({type(error).__name__})")
                        await asyncio.sleep(pause_s)
                self._waiting.task_done()

    def _note(self, trouble: str | None) -> None:
        """Log trouble once, until an event is taken again."""
        if trouble is not None and not self._failing:
            logger.warning("PIPECAT_EVENT_PUBLISHER_ENDPOINT {}; events are lost", trouble)
        self._failing = trouble is not None
