"""The Session API: a request for a session goes to the pod that holds it, and to no other.

Streamed both ways. What an agent serves is not trusted: its cookies stay with it, its pages run in
a sandbox, and it never learns the key that a request came with.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aiohttp
from loguru import logger
from multidict import CIMultiDict
from starlette.types import Message, Receive, Scope, Send
from yarl import URL

from runtime.bodies import received
from runtime.errors import Refused
from runtime.live import Live

READY_TIMEOUT_S = 10.0
"""How long a request waits for the pod to take its session."""
RETRY_AFTER_S = 2.0
MAX_PATH_BYTES = 8_000
PROMPT_S = 0.05
"""Answers that take longer are given up when their client leaves."""
SMALL_DIGITS = 5
"""Bodies below 100 kB go to the pod at once."""
RESERVED = frozenset({"bot", "ws", "whatsapp", "readyz", "livez", "pcc"})
"""First parts of the pod's own paths, of which a session's clients need only api/offer."""
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "transfer-encoding", "upgrade", "proxy-connection"),
    }
)
NOT_FORWARDED = HOP_BY_HOP | {
    *("host", "authorization", "cookie", "content-length", "expect"),
    # What only the control plane may say of a session.
    *("x-daily-session-id", "x-daily-room-url", "x-daily-room-token", "x-daily-transport-type"),
    *("x-pcc-max-session-seconds", "x-pcc-start-envelope", "x-pcc-flow-config-file"),
}
NOT_RETURNED = HOP_BY_HOP | {
    *("set-cookie", "set-cookie2", "clear-site-data", "strict-transport-security"),
    *("service-worker-allowed", "server", "date", "content-security-policy", "alt-svc"),
    *("public-key-pins", "report-to", "nel", "reporting-endpoints", "refresh", "x-frame-options"),
}
SANDBOX = b"sandbox allow-scripts allow-forms; frame-ancestors 'none'"
"""An agent's page may run, but in an origin of its own, where it reads nothing of ours."""
MAX_MESSAGE_BYTES = 1_000_000
"""Of a WebSocket, as the pod's own limit."""
FORWARDED = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


def checked_path(raw: str) -> str:
    """The path within a pod, as it came, without a slash before it.

    Raises:
        Refused: it is one of the pod's own, or could mean more than it shows.
    """
    if len(raw) > MAX_PATH_BYTES:
        raise Refused(400, f"The path is longer than {MAX_PATH_BYTES:,} characters.")
    path = unquote(raw)
    parts = path.split("/")
    if (
        any(part in (".", "..") for part in parts)
        or "" in parts[:-1]
        or "\\" in path
        or any(ord(sign) < 32 or ord(sign) == 127 for sign in path)
        # Decoded once more, it would be another one.
        or "%2f" in raw.lower()
        or any(part in (".", "..") for part in unquote(path).split("/"))
    ):
        raise Refused(
            400, "The path holds dots, empty parts or signs that mean more than they show."
        )
    if (first := parts[0].lower()) in RESERVED:
        raise Refused(403, f"/{first} is the pod's own path, not one of its agent.")
    return raw


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> CIMultiDict[str]:
    """The headers that go on to the pod."""
    given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    named = {
        token.strip().lower()
        for name, value in given
        if name == "connection"
        for token in value.split(",")
    }
    kept = CIMultiDict(
        (name, value) for name, value in given if name not in NOT_FORWARDED and name not in named
    )
    kept["host"] = "localhost"
    return kept


def response_headers(headers: Iterable[tuple[str, str]], prefix: str) -> list[tuple[bytes, bytes]]:
    """The headers that go back to the client.

    Args:
        headers: the pod's.
        prefix: the session's own path, which stands before every path of the pod.
    """
    given = [(name.lower(), value) for name, value in headers]
    named = {
        token.strip().lower()
        for name, value in given
        if name == "connection"
        for token in value.split(",")
    }
    kept = []
    for name, value in given:
        if name in NOT_RETURNED or name in named or name.startswith("access-control-"):
            continue
        if name == "location":
            value = rewritten(value, prefix)
        kept.append((name.encode("latin-1"), value.encode("latin-1", "replace")))
    kept.append((b"content-security-policy", SANDBOX))
    kept.append((b"x-content-type-options", b"nosniff"))
    return kept


def rewritten(location: str, prefix: str) -> str:
    """Where a pod's redirect leads, as its client has to ask for it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return prefix + "/"
    if parts.netloc and parts.hostname not in ("localhost", "127.0.0.1"):
        return location
    if parts.scheme and not parts.netloc:
        return location
    path = parts.path if not parts.netloc or parts.path else "/"
    if not path.startswith("/"):
        # Relative to the path that was asked for, which the client knows.
        return location
    query = f"?{parts.query}" if parts.query else ""
    return f"{prefix}{path}{query}" + (f"#{parts.fragment}" if parts.fragment else "")


async def taken(live: Live) -> None:
    """Wait until a session's pod has taken it.

    Raises:
        Refused: that took too long.
    """
    if live.started.is_set():
        return
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await live.started.wait()
    except TimeoutError:
        message = "The session's pod is not ready yet."
        raise Refused(503, message, "SESSION_NOT_READY", RETRY_AFTER_S) from None


async def forward(
    live: Live, path: str, prefix: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Have a session's pod answer a request.

    Args:
        live: the session.
        path: within the pod, checked, still encoded.
        prefix: the session's own path.
        scope: the request's.
        receive: its body.
        send: its answer.

    Raises:
        Refused: the pod does not answer; nothing has been sent then.
    """
    await taken(live)
    if path == "api/offer":
        live.offered = True
    query = scope["query_string"].decode("latin-1")
    url = URL(f"http://localhost/{path}" + (f"?{query}" if query else ""), encoded=True)
    headers = request_headers(scope["headers"])
    reading = _Body(receive)
    body: Any = None
    if has_body(scope):
        body = await reading.whole_at_once() or reading.chunks()
        if length := _length(scope):
            headers["content-length"] = length
    else:
        reading.whole.set()
    begun = False
    watching = asyncio.get_running_loop().call_later(
        PROMPT_S, reading.watch, asyncio.current_task()
    )
    try:
        async with live.client.request(
            scope["method"],
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            # A body that the pod refuses is not sent: its answer would be lost in the closing.
            expect100=body is not None and not _small(scope),
        ) as response:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": response_headers(response.headers.items(), prefix),
                }
            )
            begun = True
            more = True
            while more:
                chunk = await response.content.readany()
                more = not response.content.at_eof()
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        if begun or reading.gone:
            # Half an answer: cut off, so that nobody takes it for a whole one.
            logger.info("{}: forwarding ended early ({})", live.session.id, type(error).__name__)
            raise ConnectionResetError from None
        raise Refused(
            502, f"The session's pod did not answer ({type(error).__name__}).", "502"
        ) from None
    except asyncio.CancelledError:
        if not reading.gone:
            raise
        raise ConnectionResetError from None
    finally:
        watching.cancel()
        reading.unwatch()


def has_body(scope: Scope) -> bool:
    """Whether a request announces a body."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _small(scope: Scope) -> bool:
    """Whether a body is known to be smaller than it would pay to ask for leave to send it."""
    length = _length(scope) or ""
    return length.isdigit() and len(length) <= SMALL_DIGITS


def _length(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return str(value.decode("latin-1"))
    return None


class _Body:
    """A request's body, piece by piece: nothing is read that the pod has not taken."""

    def __init__(self, receive: Receive) -> None:
        self.whole = asyncio.Event()
        """Set once there is no more of it."""
        self.gone = False
        """Whether the client has left."""
        self._receive = receive
        self._first: Message | None = None
        self._watching: asyncio.Task[None] | None = None

    async def whole_at_once(self) -> bytes | None:
        """The body, if its first piece is all of it: most are, and go on in one packet then."""
        self._first = await received(self._receive)
        if self._first["type"] == "http.disconnect" or self._first.get("more_body", False):
            return None
        self.whole.set()
        return bytes(self._first.get("body", b""))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; ConnectionResetError where the client leaves in the middle of it."""
        more = True
        while more:
            message, self._first = self._first or await received(self._receive), None
            if message["type"] == "http.disconnect":
                self.gone = True
                raise ConnectionResetError
            if chunk := message.get("body", b""):
                yield chunk
            more = message.get("more_body", False)
        self.whole.set()

    def watch(self, task: "asyncio.Task[Any] | None") -> None:
        """From now on, cancel a task when the client has left."""
        self._watching = asyncio.create_task(self._cancel_when_gone(task))

    def unwatch(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()

    async def _cancel_when_gone(self, task: "asyncio.Task[Any] | None") -> None:
        """Cancel whoever waits for the pod's answer once nobody waits for his."""
        await self.whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if task is not None:
            task.cancel()


def session_prefix(agent: str, session_id: str) -> str:
    """The path that stands before every path of a session's pod."""
    return f"/v1/public/{quote(agent)}/sessions/{quote(session_id)}"


async def forward_socket(
    live: Live, query: str, scope: Scope, receive: Receive, send: Send
) -> bool:
    """Join a client's WebSocket with a new one to its session's pod, until either closes.

    Gives whether that was in good order; if not, the pod has failed, and its end will tell how.

    Args:
        live: the session.
        query: body=… or nothing.
        scope: the client's socket, not yet accepted.
        receive: what it sends.
        send: what it is sent.

    Raises:
        Refused: the pod takes no socket; the client's has not been accepted then.
    """
    url = URL(f"http://localhost/ws?{query}", encoded=True)
    headers = {
        "x-daily-session-id": live.session.id,
        "x-pcc-max-session-seconds": f"{live.session.limit_s:g}",
        "host": "localhost",
    }
    try:
        pod = await live.client.ws_connect(
            url, headers=headers, max_msg_size=MAX_MESSAGE_BYTES, autoping=True
        )
    except (aiohttp.ClientError, OSError) as error:
        raise Refused(502, f"The pod takes no WebSocket ({type(error).__name__}).") from None
    protocols = scope.get("subprotocols") or [None]
    try:
        await send({"type": "websocket.accept", "subprotocol": protocols[0]})
    except OSError:
        # Its client did not wait for it.
        await pod.close()
        return True

    async def upstream() -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await pod.send_bytes(message["bytes"])
            elif message.get("text") is not None:
                await pod.send_str(message["text"])

    async def downstream() -> None:
        async for message in pod:
            if message.type is aiohttp.WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            elif message.type is aiohttp.WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
        with contextlib.suppress(RuntimeError):
            code = pod.close_code if pod.close_code in range(1000, 5000) else 1011
            code = 1011 if code in (1005, 1006, 1015) else code
            await send({"type": "websocket.close", "code": code})

    both = {asyncio.create_task(upstream()), asyncio.create_task(downstream())}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        # None: the client left first. A pod that closes is waited for by its client, who then
        # seems to have left too.
        return pod.close_code in (None, 1000, 1001, 1005)
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
        for task in both:
            # A client or a pod that left just now.
            if not task.cancelled():
                task.exception()
        await pod.close()
