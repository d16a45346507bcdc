"""The control plane's settings: environment variables, converted and checked once."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BUNDLE = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?")
"""Of agents and organizations: as in a host's name, 54 characters at most."""
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_AGENTS_FILE_BYTES = 100_000
KNOWN_AGENT_KEYS = frozenset({"folder", "deploy"})


@dataclass(frozen=True)
class Registered:
    """An agent that the operator has registered."""

    folder: Path
    deploy: bool
    """Whether it is deployed as soon as the control plane starts, with default settings."""


@dataclass(frozen=True)
class WebhookSettings:
    """Where the operator is told of sessions."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything about the control plane that the environment decides."""

    host: str = "127.0.0.1"
    """RUNTIME_HOST: address to listen on."""
    port: int = 7860
    """RUNTIME_PORT: TCP port; 0 takes a free one, which is printed."""
    data: Path = Path(".mouthpiece")
    """RUNTIME_DATA: folder of the store and its key; made if it is not there."""
    agents: Mapping[str, Registered] = field(default_factory=dict)
    """RUNTIME_AGENTS: TOML file of [agents.NAME] folder = "…"; without it, this bundle's agent."""
    organization: str = "local"
    """RUNTIME_ORGANIZATION: what clients call this control plane's only organization."""
    region: str = "local"
    """RUNTIME_REGION: what they call its only region."""
    public_url: str | None = None
    """RUNTIME_PUBLIC_URL: how clients reach it; without it, as each request says."""
    allowed_hosts: tuple[str, ...] = ()
    """RUNTIME_ALLOWED_HOSTS: names it may be called by, besides those of loopback; * for all."""
    allowed_origins: tuple[str, ...] = ()
    """RUNTIME_ALLOWED_ORIGINS: origins whose pages may start sessions and use them."""
    ice_servers: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """ICE_SERVERS: JSON list for browsers, and for pods, that ask for it; none unless given."""
    rate_per_s: float = 500.0
    """RUNTIME_RATE_PER_S: requests a second that one key may make."""
    daily_api_key: str | None = field(default=None, repr=False)
    """DAILY_API_KEY: makes rooms for sessions of transport daily."""
    daily_api_url: str = "https://api.daily.co/v1"
    """DAILY_API_URL: where."""
    webhook: WebhookSettings | None = None
    """RUNTIME_WEBHOOK_URL, RUNTIME_WEBHOOK_SECRET (whsec_…), RUNTIME_WEBHOOK_HOSTS."""
    log_level: str = "INFO"
    """RUNTIME_LOG_LEVEL."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Settings as the environment gives them; variables not set or empty keep defaults.

        Raises:
            ValueError: a value cannot be used; the message names the variable.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        return cls(
            host=given.get("RUNTIME_HOST", cls.host),
            port=port_number(given.get("RUNTIME_PORT", str(cls.port)), "RUNTIME_PORT"),
            data=Path(given.get("RUNTIME_DATA", cls.data)).absolute(),
            agents=_agents(given.get("RUNTIME_AGENTS")),
            organization=_name(given, "RUNTIME_ORGANIZATION", cls.organization),
            region=_name(given, "RUNTIME_REGION", cls.region),
            public_url=_url(given, "RUNTIME_PUBLIC_URL"),
            allowed_hosts=_list(given.get("RUNTIME_ALLOWED_HOSTS", "")),
            allowed_origins=_origins(given.get("RUNTIME_ALLOWED_ORIGINS", "")),
            ice_servers=_ice_servers(given.get("ICE_SERVERS", "[]")),
            rate_per_s=_rate(given.get("RUNTIME_RATE_PER_S", str(cls.rate_per_s))),
            daily_api_key=given.get("DAILY_API_KEY"),
            daily_api_url=_url(given, "DAILY_API_URL") or cls.daily_api_url,
            webhook=_webhook(given),
            log_level=_log_level(given.get("RUNTIME_LOG_LEVEL", cls.log_level)),
        )


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in LOG_LEVELS:
        raise ValueError(f"RUNTIME_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {text!r}.")
    return level


def port_number(text: str, name: str) -> int:
    """A TCP port, 0 to 65535.

    Raises:
        ValueError: it is none; the message starts with ``name``.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{name} must be a port number from 0 to 65535, not {text!r}.")
    return int(text)


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _name(given: Mapping[str, str], name: str, default: str) -> str:
    value = given.get(name, default)
    if not NAME.fullmatch(value):
        raise ValueError(f"{name} must be lower-case letters, digits and hyphens, not {value!r}.")
    return value


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
    return text.rstrip("/")


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.rstrip("/") for origin in _list(text))
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if origin != "*" and (scheme not in ("http", "https") or not rest or "/" in rest):
            raise ValueError(
                "RUNTIME_ALLOWED_ORIGINS must be origins such as https://example.org, "
                f"with commas between them; {origin!r} is none."
            )
    return origins


def _ice_servers(text: str) -> tuple[dict[str, Any], ...]:
    """Read ICE_SERVERS; its value stays out of the message, since it may hold credentials."""
    try:
        servers = json.loads(text)
    except ValueError:
        servers = None
    if not isinstance(servers, list) or not all(
        isinstance(server, dict) and isinstance(server.get("urls"), list) for server in servers
    ):
        raise ValueError(
            'ICE_SERVERS must be a JSON list like [{"urls": ["turn:example.org:3478"]}].'
        )
    return tuple(servers)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 1e6:
        raise ValueError(f"RUNTIME_RATE_PER_S must be a number from 1 up, not {text!r}.")
    return rate


def _webhook(given: Mapping[str, str]) -> WebhookSettings | None:
    import base64

    url = _url(given, "RUNTIME_WEBHOOK_URL")
    if url is None:
        return None
    if urlsplit(url).hostname not in _list(given.get("RUNTIME_WEBHOOK_HOSTS", "")):
        raise ValueError("RUNTIME_WEBHOOK_HOSTS must name the host of RUNTIME_WEBHOOK_URL.")
    text = given.get("RUNTIME_WEBHOOK_SECRET", "")
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        secret = b""
    if len(secret) < 24:
        raise ValueError(
            "RUNTIME_WEBHOOK_SECRET must be whsec_ and base64 of 24 bytes or more, "
            "such as whsec_$(openssl rand -base64 32)."
        )
    return WebhookSettings(url, secret)


def _agents(name: str | None) -> dict[str, Registered]:
    if name is None:
        return {"mouthpiece": Registered(BUNDLE, deploy=True)}
    path = Path(name).absolute()
    try:
        with path.open("rb") as file:
            text = file.read(MAX_AGENTS_FILE_BYTES + 1)
        if len(text) > MAX_AGENTS_FILE_BYTES:
            raise ValueError(f"is larger than {MAX_AGENTS_FILE_BYTES:,} bytes")
        entries = tomllib.loads(text.decode())["agents"]
        if not isinstance(entries, dict):
            raise ValueError("agents is no table")
        return {agent: _registered(path, agent, entry) for agent, entry in entries.items()}
    except KeyError:
        raise ValueError(f"RUNTIME_AGENTS: {path} has no [agents.NAME].") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"RUNTIME_AGENTS: {path} cannot be used: {error}.") from None


def _registered(file: Path, agent: str, entry: object) -> Registered:
    if not NAME.fullmatch(agent):
        raise ValueError(f"{agent!r} is no name of lower-case letters, digits and hyphens")
    if not isinstance(entry, dict) or not isinstance(entry.get("folder"), str):
        raise ValueError(f'[agents.{agent}] needs folder = "…"')
    if unknown := set(entry) - KNOWN_AGENT_KEYS:
        raise ValueError(f"[agents.{agent}] knows no {', '.join(sorted(unknown))}")
    if not isinstance(deploy := entry.get("deploy", False), bool):
        raise ValueError(f"[agents.{agent}] deploy must be true or false")
    folder = (file.parent / entry["folder"]).resolve()
    if not (folder / "bot.py").is_file():
        raise ValueError(f"[agents.{agent}]: there is no {folder / 'bot.py'}")
    return Registered(folder, deploy)


def run_folder(data: Path) -> Path:
    """The private folder for sockets that belongs to a data folder, made if it is not there.

    Not within it: the path of a Unix socket has room for a hundred characters.

    Raises:
        ValueError: somebody else has put something there.
    """
    import hashlib
    import stat
    import tempfile

    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"mouthpiece-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == os.getuid()
    if not stat.S_ISDIR(found.st_mode) or not private:
        raise ValueError(f"{folder} is not this user's own; remove it.")
    return folder
