"""STUN and TURN servers that the pod may ask: given once, or asked for at each offer."""

import asyncio
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from loguru import logger

SCHEMES = ("stun:", "stuns:", "turn:", "turns:")
MAX_SERVERS = 16
ASK_TIMEOUT_S = 5.0
"""How long an offer waits for ICE_CONFIG_URL at most."""
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server that the pod may ask for addresses."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


def ice_servers(value: object) -> tuple[IceServer, ...]:
    """The servers in a JSON list of {"urls", "username", "credential"}.

    Raises:
        ValueError: it is no such list; the message quotes nothing, since it may hold credentials.
    """
    if not isinstance(value, list):
        raise ValueError("it is no list")
    if len(value) > MAX_SERVERS:
        raise ValueError(f"it has more than {MAX_SERVERS} entries")
    return tuple(_ice_server(server) for server in value)


def _ice_server(server: object) -> IceServer:
    if not isinstance(server, dict):
        raise ValueError("an entry is no object")
    urls = server.get("urls")
    if isinstance(urls, str):
        urls = [urls]
    if not isinstance(urls, list) or not urls:
        raise ValueError("an entry has no urls")
    if not all(isinstance(url, str) and url.startswith(SCHEMES) for url in urls):
        raise ValueError("each url starts with stun:, stuns:, turn: or turns:")
    for name in ("username", "credential"):
        if not isinstance(server.get(name), str | None):
            raise ValueError(f"an entry's {name} is no text")
    return IceServer(tuple(urls), server.get("username"), server.get("credential"))


class IceSource:
    """Where an offer's servers come from: ICE_CONFIG_URL if set, and always ICE_SERVERS."""

    def __init__(self, url: str | None, given: tuple[IceServer, ...]) -> None:
        self._url = url
        self._given = given
        if url is not None:
            # Half of what an offer may wait, were it left to the first one.
            import aiohttp  # noqa: F401

    async def servers(self) -> tuple[IceServer, ...]:
        """The servers for one connection, within ASK_TIMEOUT_S.

        Where ICE_CONFIG_URL does not tell, a warning is logged and ICE_SERVERS stand alone: no
        server that nobody named is ever asked.
        """
        if self._url is None:
            return self._given
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                asked = await _ask(self._url)
        except TimeoutError:
            self._warn(f"no answer within {ASK_TIMEOUT_S:g} s")
        except (OSError, ValueError) as error:
            self._warn(str(error))
        else:
            return asked + self._given
        return self._given

    def _warn(self, why: str) -> None:
        # The rest of the URL may hold a token.
        host = urlsplit(self._url or "").hostname
        logger.warning("ICE_CONFIG_URL ({}): {}; going on with ICE_SERVERS", host, why)


async def _ask(url: str) -> tuple[IceServer, ...]:
    """The servers that a URL answers with.

    Raises:
        OSError: it cannot be reached.
        ValueError: its answer cannot be used.
    """
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise ValueError(f"it answered {response.status}")
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ValueError(f"its answer is longer than {MAX_ANSWER_BYTES:,} bytes")
    except aiohttp.ClientError as error:
        raise OSError(f"it cannot be asked ({type(error).__name__})") from None
    try:
        told = json.loads(answer)
        return ice_servers(told["iceConfig"]["iceServers"])
    except (LookupError, TypeError, RecursionError, json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError('its answer is not {"iceConfig": {"iceServers": […]}}') from None
    except ValueError as error:
        raise ValueError(f"its answer's iceServers cannot be used: {error}") from None
