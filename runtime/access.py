"""Who may call what: keys and the dashboard's cookie, checked before any route runs."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from runtime.errors import Refused
from runtime.keys import FAILURES_PER_S, Keys, Pace

COOKIE = "mouthpiece_dashboard"
COOKIE_LASTS_S = 12 * 3600.0
MAX_VISITS = 100
"""Dashboards open at once."""
Access = Literal["public", "private"]
"""`public` takes any key, `private` a private one; both the dashboard's cookie."""

_any_key = HTTPBearer(
    scheme_name="public",
    description="A public key (pk_…), or a private one",
    auto_error=False,
)
_private_key = HTTPBearer(
    scheme_name="private", description="A private key (pcc_pat_…)", auto_error=False
)
# /openapi.json tells by these, route by route, who may call it; the check itself is Door's.
AnyKey = Annotated[HTTPAuthorizationCredentials | None, Depends(_any_key)]
PrivateKey = Annotated[HTTPAuthorizationCredentials | None, Depends(_private_key)]


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    id: str
    """Of the key, or of the dashboard's visit."""
    private: bool


class Door:
    """Knows the keys and the dashboard's visits, and how much each has asked for."""

    def __init__(self, keys: Keys, rate_per_s: float) -> None:
        self._keys = keys
        self._pace = Pace(rate_per_s)
        self._failures = Pace(FAILURES_PER_S)
        self._visits: dict[bytes, tuple[float, str]] = {}

    def needs(self, access: Access) -> Callable[..., Awaitable[Caller]]:
        """A dependency of routes that only some may call."""

        async def any_key(request: Request, _: AnyKey) -> Caller:
            return self.check(request, "public")

        async def private_key(request: Request, _: PrivateKey) -> Caller:
            return self.check(request, "private")

        return any_key if access == "public" else private_key

    def check(self, request: HTTPConnection, access: Access, text: str | None = None) -> Caller:
        """Who asks, if he may.

        Args:
            request: with its headers and cookies.
            access: what the route asks for.
            text: a key that came in another way than in the header Authorization.

        Raises:
            Refused: 401 without a good key, 403 with one that is not enough, 429 for too much.
        """
        address = request.client.host if request.client else ""
        caller = self._caller(request, text)
        if caller is None:
            if wait_s := self._failures.take(address):
                raise Refused(429, "Too many wrong keys; try again later.", None, wait_s)
            raise Refused(401, "Unauthorized / token expired")
        if wait_s := self._pace.take(caller.id):
            raise Refused(429, "Too many requests with this key; slow down.", None, wait_s)
        if access == "private" and not caller.private:
            raise Refused(403, "This takes a private key; a public key only starts sessions.")
        return caller

    def knows(self, request: HTTPConnection) -> bool:
        """Whether a request brings a good key or cookie; counts for nothing."""
        return self._caller(request, None) is not None

    def _caller(self, request: HTTPConnection, text: str | None) -> Caller | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if text is None and scheme.lower() == "bearer":
            text = given.strip()
        if text:
            key = self._keys.check(text)
            return None if key is None else Caller(key.id, key.kind == "private")
        visit = request.cookies.get(COOKIE)
        if visit and self.own_page(request) and (found := self._visit(visit)) is not None:
            return Caller(found.hex(), private=True)
        return None

    @staticmethod
    def own_page(request: HTTPConnection) -> bool:
        """Whether a request is of our own page or of no page, as far as its browser tells."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = request.headers.get("origin")
        return origin is None or origin.partition("://")[2] == request.headers.get("host")

    # --- the dashboard's visits --------------------------------------------------------------

    def enter(self, request: HTTPConnection, key: str) -> str:
        """The cookie of a new visit to the dashboard.

        Raises:
            Refused: the key is no private one.
        """
        caller = self.check(request, "private", key)
        now_s = time.monotonic()
        self._visits = {v: visit for v, visit in self._visits.items() if visit[0] > now_s}
        while len(self._visits) >= MAX_VISITS:
            del self._visits[next(iter(self._visits))]
        cookie = secrets.token_urlsafe(32)
        self._visits[_digest(cookie)] = (now_s + COOKIE_LASTS_S, caller.id)
        return cookie

    def leave(self, request: HTTPConnection) -> None:
        """End the visit whose cookie came along."""
        if (found := self._visit(request.cookies.get(COOKIE, ""))) is not None:
            del self._visits[found]

    def _visit(self, cookie: str) -> bytes | None:
        digest, now_s, found = _digest(cookie), time.monotonic(), None
        for visit, (until_s, key_id) in self._visits.items():
            # A visit ends with the key that began it.
            lasts = until_s > now_s and self._keys.lives(key_id)
            if hmac.compare_digest(visit, digest) and lasts:
                found = visit
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text[:200].encode()).digest()
