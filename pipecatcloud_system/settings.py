"""The pod's settings: environment variables, converted and checked once."""

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pipecatcloud_system.ice import IceServer, ice_servers

LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LONGEST_SOCKET_PATH = 100
"""Systems take 104 or 108 bytes, the end included."""
WHATSAPP_KEYS = ("WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_APP_SECRET")


@dataclass(frozen=True)
class WhatsAppKeys:
    """What it takes to answer WhatsApp calls."""

    token: str = field(repr=False)
    phone_number_id: str
    app_secret: str = field(repr=False)
    """Signs the webhooks."""
    verification_token: str | None = field(default=None, repr=False)
    """Proves the webhook's address to WhatsApp, once."""


@dataclass(frozen=True)
class Settings:
    """Everything about the pod that the environment decides."""

    host: str = "127.0.0.1"
    """HOST: address to listen on."""
    port: int = 8080
    """PORT: TCP port to listen on; 0 takes a free one, which is printed."""
    socket: Path | None = None
    """SOCKET: Unix socket to listen on in place of host and port, in a folder of its own."""
    shutdown_timeout_s: float = 7200.0
    """SHUTDOWN_TIMEOUT: seconds a running session may go on after SIGTERM."""
    max_session_s: float | None = None
    """MAX_SESSION_SECONDS: how long bot() may run for one session; None: as long as it likes."""
    single_session: bool = False
    """SINGLE_SESSION: the pod ends after its first session, with 0, or 70 if that failed."""
    offer_timeout_s: float = 120.0
    """OFFER_TIMEOUT: seconds that POST /bot with transport type webrtc waits for an offer."""
    ice_servers: tuple[IceServer, ...] = ()
    """ICE_SERVERS: JSON list of {"urls", "username", "credential"}; none unless given."""
    ice_config_url: str | None = field(default=None, repr=False)
    """ICE_CONFIG_URL: asked for more of them at each offer."""
    allowed_hosts: tuple[str, ...] = ()
    """PIPECAT_ALLOWED_HOSTS: names, without ports, that the pod may be called by."""
    allowed_origins: tuple[str, ...] = ()
    """PIPECAT_ALLOWED_ORIGINS: origins of other sites' pages that may use the pod."""
    session_files_dir: Path | None = None
    """PCC_SESSION_FILES_DIR: where the files lie that X-Pcc-Flow-Config-File names."""
    whatsapp: WhatsAppKeys | None = None
    """WHATSAPP_TOKEN, WHATSAPP_PHONE_NUMBER_ID, WHATSAPP_APP_SECRET: all three or none count."""
    event_endpoint: str | None = field(default=None, repr=False)
    """PIPECAT_EVENT_PUBLISHER_ENDPOINT: told when sessions begin and end; a URL, or unix: and the
    path of a Unix socket."""
    setup_files: tuple[Path, ...] = ()
    """PIPECAT_SETUP_FILES: Python files that Pipecat runs for each pipeline."""
    image_version: str = "unknown"
    """IMAGE_VERSION: named in the log where a session starts."""
    log_level: str = "INFO"
    """PIPECAT_LOG_LEVEL: TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    log_dir: Path | None = None
    """PCC_LOG_DIR: folder for bot.jsonl, the log as JSON lines."""
    log_features: bool = False
    """PCC_LOG_FEATURES_SUMMARY: log at the start what the pod can serve."""

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
            socket=_socket(given),
            shutdown_timeout_s=_seconds(given, "SHUTDOWN_TIMEOUT", cls.shutdown_timeout_s),
            max_session_s=_limit(given, "MAX_SESSION_SECONDS"),
            single_session=given.get("SINGLE_SESSION", "").lower() == "true",
            offer_timeout_s=_seconds(given, "OFFER_TIMEOUT", cls.offer_timeout_s),
            ice_servers=_ice_servers(given.get("ICE_SERVERS", "[]")),
            ice_config_url=_url(given, "ICE_CONFIG_URL"),
            allowed_hosts=_hosts(given.get("PIPECAT_ALLOWED_HOSTS", "")),
            allowed_origins=_origins(given.get("PIPECAT_ALLOWED_ORIGINS", "")),
            session_files_dir=_path(given, "PCC_SESSION_FILES_DIR"),
            whatsapp=_whatsapp(given),
            event_endpoint=_event_endpoint(given),
            setup_files=_setup_files(given.get("PIPECAT_SETUP_FILES", "")),
            image_version=given.get("IMAGE_VERSION", cls.image_version),
            log_level=_log_level(given.get("PIPECAT_LOG_LEVEL", cls.log_level)),
            log_dir=_path(given, "PCC_LOG_DIR"),
            log_features=given.get("PCC_LOG_FEATURES_SUMMARY", "").lower() == "true",
        )


def port_number(text: str, name: str) -> int:
    """A TCP port, 0 to 65535.

    Raises:
        ValueError: it is none; the message starts with ``name``.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{name} must be a port number from 0 to 65535, not {text!r}.")
    return int(text)


def time_limit(text: str, name: str) -> float:
    """A number of seconds above 0.

    Raises:
        ValueError: it is none; the message starts with ``name``.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{name} must be a number of seconds above 0, not {text[:40]!r}.")
    return seconds


def _limit(given: Mapping[str, str], name: str) -> float | None:
    return time_limit(given[name], name) if name in given else None


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
    try:
        return ice_servers(json.loads(text))
    except ValueError as error:
        form = 'ICE_SERVERS must be a JSON list like [{"urls": ["turn:example.org:3478"]}]'
        raise ValueError(f"{form}: {error}.") from None


def _url(given: Mapping[str, str], name: str) -> str | None:
    """An http or https address; it stays out of the message, since it may hold a token."""
    text = given.get(name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{name} must be a URL that starts with http:// or https://.")
    return text


def _event_endpoint(given: Mapping[str, str]) -> str | None:
    name = "PIPECAT_EVENT_PUBLISHER_ENDPOINT"
    text = given.get(name, "")
    return text if text.startswith("unix:/") else _url(given, name)


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]) if name in given else None


def _socket(given: Mapping[str, str]) -> Path | None:
    path = _path(given, "SOCKET")
    if path is not None and len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise ValueError(f"SOCKET must be a path of at most {LONGEST_SOCKET_PATH} bytes.")
    return path


def _setup_files(text: str) -> tuple[Path, ...]:
    files = tuple(Path(name) for name in text.split(os.pathsep) if name)
    for file in files:
        # Pipecat itself would go on without it.
        if not file.is_file():
            raise ValueError(f"PIPECAT_SETUP_FILES: there is no file {file}.")
    return files


def _whatsapp(given: Mapping[str, str]) -> WhatsAppKeys | None:
    if missing_whatsapp_keys(given):
        return None
    token, phone_number_id, app_secret = (given[name] for name in WHATSAPP_KEYS)
    if not phone_number_id.isascii() or not phone_number_id.isdigit():
        raise ValueError("WHATSAPP_PHONE_NUMBER_ID must be the number's id: digits only.")
    verification_token = given.get("WHATSAPP_WEBHOOK_VERIFICATION_TOKEN")
    return WhatsAppKeys(token, phone_number_id, app_secret, verification_token)


def missing_whatsapp_keys(environment: Mapping[str, str]) -> list[str]:
    """The names of the variables that WhatsApp needs and that are not set."""
    return [name for name in WHATSAPP_KEYS if not environment.get(name, "").strip()]


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().strip("[]").lower() for host in text.split(",") if host.strip())
    for host in hosts:
        if "/" in host or (":" in host and not _is_ipv6(host)):
            raise ValueError(
                "PIPECAT_ALLOWED_HOSTS must be names or addresses such as agent.example.org, "
                f"without ports, with commas between them; {host!r} is none."
            )
    return hosts


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


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
