"""Answers leave in one piece: some clients let go of a connection once they have read the head."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

FLUSH_BYTES = 65_536
"""More than this is sent at once."""


class OneWrite:
    """A transport that sends what was written within one turn of the event loop together."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        """Send this, with what else is written before the turn ends."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Close once all has been sent."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's, over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        super().connection_made(OneWrite(transport))
