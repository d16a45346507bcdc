"""Answers leave in one piece: some clients let go of a connection once they have read the head."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.errors import error_body

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line with its headers."""
HEAD_TIMEOUT_S = 10.0
"""From a connection's beginning, or a request's first byte, to the end of its headers."""
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


class Protocol(HttpToolsProtocol):
    """uvicorn's, over such a transport, with limits on what a connection costs before it asks."""

    _timer: asyncio.TimerHandle | None = None
    """Runs while a head is awaited."""
    _head_bytes = 0
    _idle_bytes = 0
    """Came since the last part of a request was whole: a line of a head, or some of its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(OneWrite(transport))  # type: ignore[arg-type]
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head is too long by now."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            # A line that does not end, behind a body too.
            self._refuse(431, f"A line of the request is larger than {MAX_HEAD_BYTES:,} bytes.")
        if self._timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"The request's head is larger than {MAX_HEAD_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head; those behind a body are of no use to anybody."""
        self._idle_bytes = 0
        if self._timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of its body."""
        self._idle_bytes = 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_bytes = self._idle_bytes = 0
        text = f"The request's head took longer than {HEAD_TIMEOUT_S:g} s."
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, 408, text)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, message: str) -> None:
        """Answer without a route, and close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        content = json.dumps(error_body(status, message)).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
