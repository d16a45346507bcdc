"""The pod's own paths, which no route of bot.py may take."""

from collections.abc import Iterable, Iterator
from typing import Any

import fastapi.routing
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from pipecatcloud_system.errors import CannotStart

RESERVED = (
    ("POST", "/bot"),
    ("WS", "/ws"),
    ("POST", "/api/offer"),
    ("PATCH", "/api/offer"),
    ("GET", "/readyz"),
    ("GET", "/livez"),
    ("GET", "/whatsapp"),
    ("POST", "/whatsapp"),
    ("GET", "/pcc/capabilities"),
)


class RouteTaken(CannotStart):
    """A route of bot.py takes a path of the pod's; the message names both."""


def check_paths(routes: Iterable[BaseRoute]) -> None:
    """Refuse routes that would answer in the pod's place, or that stand on its paths.

    Raises:
        RouteTaken: there is one.
    """
    for route in _each(routes):
        for method, path in RESERVED:
            if route.path == path or _answers(route, method, path):
                raise RouteTaken(
                    f"bot.py's {_described(route)} takes {method} {path}, which is the pod's own. "
                    "Give it another path, for example under /app."
                )


def _each(routes: Iterable[BaseRoute]) -> Iterator[Any]:
    """Every route, those of included routers too, which newer FastAPIs keep folded."""
    unfold = getattr(fastapi.routing, "iter_route_contexts", None)
    yield from routes if unfold is None else unfold(list(routes))


def _answers(route: Any, method: str, path: str) -> bool:
    scope: Scope = {
        "type": "websocket" if method == "WS" else "http",
        "method": method,
        "path": path,
        "root_path": "",
        "headers": [],
        "query_string": b"",
    }
    match, _ = route.matches(scope)
    return bool(match is Match.FULL)


def _described(route: Any) -> str:
    if isinstance(getattr(route, "original_route", route), Mount):
        return f"mount at {route.path or '/'!r}"
    methods = "|".join(sorted(getattr(route, "methods", None) or ["WS"]))
    return f"route {methods} {route.path}"
