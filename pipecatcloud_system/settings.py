"""The pod's settings: environment variables, converted and checked once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server that the pod may ask for addresses."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything about the pod that the environment decides."""

    host: str = "127.0.0.1"
    """HOST: address to listen on."""
    port: int = 8080
    """PORT: TCP port to listen on; 0 takes a free one, which is printed."""
    shutdown_timeout_s: float = 7200.0
    """SHUTDOWN_TIMEOUT: seconds a running session may go on after SIGTERM."""
    offer_timeout_s: float = 120.0
    """OFFER_TIMEOUT: seconds that POST /bot with transport type webrtc waits for an offer."""
    ice_servers: tuple[IceServer, ...] = ()
    """ICE_SERVERS: JSON list of {"urls", "username", "credential"}; none unless given."""
    allowed_origins: tuple[str, ...] = ()
    """PIPECAT_ALLOWED_ORIGINS: origins of other sites' pages that may use the pod."""
    log_level: str = "INFO"
    """PIPECAT_LOG_LEVEL: TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Settings as the environment gives them; variables not set or empty keep defaults.

        Raises:
            ValueError: a value cannot be used; the message names the variable.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        return cls(
            host=given.get("HOST", cls.host),
            port=port_number(given.get("PORT", str(cls.port)), "PORT"),
            shutdown_timeout_s=_seconds(given, "SHUTDOWN_TIMEOUT", cls.shutdown_timeout_s),
            offer_timeout_s=_seconds(given, "OFFER_TIMEOUT", cls.offer_timeout_s),
            ice_servers=_ice_servers(given.get("ICE_SERVERS", "[]")),
            allowed_origins=_origins(given.get("PIPECAT_ALLOWED_ORIGINS", "")),
            log_level=_log_level(given.get("PIPECAT_LOG_LEVEL", cls.log_level)),
        )


def port_number(text: str, name: str) -> int:
    """A TCP port, 0 to 65535.

    Raises:
        ValueError: it is none; the message starts with ``name``.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{name} must be a port number from 0 to 65535, not {text!r}.")
    return int(text)


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{name} must be a number of seconds, 0 or more, not {text!r}.")
    return seconds


def _ice_servers(text: str) -> tuple[IceServer, ...]:
    """Read ICE_SERVERS; its value stays out of the message, since it may hold credentials."""
    form = 'ICE_SERVERS must be a JSON list like [{"urls": ["turn:example.org:3478"]}]'
    try:
        servers = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{form}: {error}.") from None
    if not isinstance(servers, list):
        raise ValueError(f"{form}; it is no list.")
    return tuple(_ice_server(server, form) for server in servers)


def _ice_server(server: object, form: str) -> IceServer:
    if not isinstance(server, dict):
        raise ValueError(f"{form}; an entry is no object.")
    urls = server.get("urls")
    if isinstance(urls, str):
        urls = [urls]
    schemes = ("stun:", "stuns:", "turn:", "turns:")
    if not isinstance(urls, list) or not urls:
        raise ValueError(f"{form}; an entry has no urls.")
    if not all(isinstance(url, str) and url.startswith(schemes) for url in urls):
        raise ValueError(f"{form}; each url starts with stun:, stuns:, turn: or turns:.")
    for name in ("username", "credential"):
        if not isinstance(server.get(name), str | None):
            raise ValueError(f"{form}; an entry's {name} is no text.")
    return IceServer(tuple(urls), server.get("username"), server.get("credential"))


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if origin != "*" and (scheme not in ("http", "https") or not rest or "/" in rest):
            raise ValueError(
                "PIPECAT_ALLOWED_ORIGINS must be origins such as https://example.org, "
                f"with commas between them; {origin!r} is none."
            )
    return origins


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in LOG_LEVELS:
        raise ValueError(f"PIPECAT_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {text!r}.")
    return level
