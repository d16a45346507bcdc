"""HTTP/1.1 with limits on what a connection may cost before its request has been read."""

import asyncio
import json
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pipecatcloud_system.errors import error_body

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line with its headers; more is answered with 431."""
HEAD_TIMEOUT_S = 10.0
"""From opening a connection, or a request's first byte, to the end of its headers."""
MAX_CONNECTIONS = 128
"""At once; a page takes a handful. One more is answered with 503 and closed."""


class PodProtocol(H11Protocol):
    """uvicorn's protocol over h11, which holds no more of a request's head than MAX_HEAD_BYTES."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, if there is room for it."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, f"The pod has {MAX_CONNECTIONS} open connections already.")
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether a request's head is complete."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        upgraded = self.transport.get_protocol() is not self
        if upgraded or self._answering() or self.transport.is_closing():
            self._stop_waiting()
        elif self._head_timer is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; called while h11's complaint is being handled."""
        status = getattr(sys.exception(), "error_status_hint", 400)
        if status == 431:
            self._refuse(431, f"The request's head is larger than {MAX_HEAD_BYTES:,} bytes.")
        else:
            self._refuse(400, "This is no HTTP request.")

    def _answering(self) -> bool:
        """Whether a request has been read, and not been answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self._answering() and not self.transport.is_closing():
            self._refuse(408, f"The request's head took longer than {HEAD_TIMEOUT_S:g} s.")

    def _refuse(self, status: int, message: str) -> None:
        """Answer without a route, and close."""
        begun = self._answering() and self.cycle.response_started
        if not begun:
            # Half an answer is better cut off than continued with another.
            self.transport.write(_answer(status, message, self.server_state.default_headers))
        self.transport.close()


def _answer(status: int, message: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    content = json.dumps(error_body(status, message)).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
        *(name + b": " + value for name, value in headers),
        b"content-type: application/json",
        b"content-length: " + str(len(content)).encode(),
        b"connection: close",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def protocol_settings() -> dict[str, Any]:
    """What uvicorn.Config needs for this protocol."""
    return {"http": PodProtocol, "h11_max_incomplete_event_size": MAX_HEAD_BYTES}
