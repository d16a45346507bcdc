"""Who may ask: the names the pod is called by, and the pages that may use it."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipecatcloud_system.errors import error_body

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
WS_POLICY_VIOLATION = 1008
DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether only this machine's programs reach a server that listens on this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class HostGuard:
    """Refuses requests that call the pod by a name that is not its own.

    A page whose name its owner has pointed at this machine (DNS rebinding) is of the pod's origin
    for the browser; only the name gives it away. On loopback the names of loopback are the pod's;
    elsewhere every name is, unless some are given. The address that a request came in on counts
    always: probes call by it, and no page can.
    """

    def __init__(self, app: ASGIApp, listens_on: str, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | frozenset(allowed_hosts)
        self._any = "*" in self._names or (not allowed_hosts and not is_loopback(listens_on))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._any or self._called_rightly(scope):
            await self._app(scope, receive, send)
            return
        await _refuse(
            scope,
            receive,
            send,
            "The pod is not known by the name in the Host header; see PIPECAT_ALLOWED_HOSTS.",
        )

    def _called_rightly(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("host")
        if given is None:
            # HTTP/1.0: no browser.
            return True
        name = _name_and_port(f"http://{given}")[0]
        address = scope.get("server") or ("",)
        return name in self._names or (bool(name) and name == address[0])


class SiteGuard:
    """Refuses what a browser sends for another origin's page, unless that is allowed.

    Covers what may change something: all methods but GET, HEAD and OPTIONS, and WebSockets.
    Reading is left to CORS. Newer browsers say themselves whether a page is of the same origin
    (Sec-Fetch-Site), which holds behind proxies too; for others Origin is compared with Host. What
    has neither comes from no browser.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Iterable[str]) -> None:
        self._app = app
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not self._foreign(scope):
            await self._app(scope, receive, send)
            return
        await _refuse(
            scope,
            receive,
            send,
            "Pages of other sites may not use this pod; see PIPECAT_ALLOWED_ORIGINS.",
        )

    def _foreign(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return False
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        if self._allowed_origins & {"*", origin}:
            return False
        if (site := headers.get("sec-fetch-site")) is not None:
            return site.lower() not in ("same-origin", "none")
        return bool(origin) and not _is_own(origin, headers.get("host", ""))


def _is_own(origin: str, host: str) -> bool:
    """Whether a page's origin is the server it asks; a proxy may have taken TLS off in between."""
    scheme, _, _ = origin.partition("://")
    if scheme not in DEFAULT_PORTS:
        return False
    own = _name_and_port(f"{scheme}://{host}")
    return bool(own[0]) and _name_and_port(origin) == own


def _name_and_port(url: str) -> tuple[str, int | None]:
    """The host's name in lower case, "" if there is none or more than a host, and the port."""
    try:
        parts = urlsplit(url)
        if url != f"{parts.scheme}://{parts.netloc}" or "@" in url:
            return "", None
        return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None


async def _refuse(scope: Scope, receive: Receive, send: Send, message: str) -> None:
    if scope["type"] == "websocket":
        # Before it was accepted: the browser gets 403.
        await send({"type": "websocket.close", "code": WS_POLICY_VIOLATION, "reason": message})
        return
    await JSONResponse(error_body(403, message), 403)(scope, receive, send)
