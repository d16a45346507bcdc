"""Daily rooms and tokens for sessions of transport daily."""

import math
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from loguru import logger

from runtime.errors import Refused

TIMEOUT_S = 10.0
MAX_REPLY_BYTES = 1_000_000


@dataclass(frozen=True)
class Room:
    """A room with a token for each side."""

    name: str
    url: str
    bot_token: str
    user_token: str


class DailyRooms:
    """Makes rooms at Daily's REST API; the only address it asks is the operator's own setting."""

    def __init__(self, api_url: str, api_key: str | None) -> None:
        self._api_url = api_url
        self._api_key = api_key

    async def create(
        self, lasts_s: float, room: dict[str, Any] | None, token: dict[str, Any] | None
    ) -> Room:
        """A new room that outlives the session by a little.

        Args:
            lasts_s: how long the session may.
            room: further properties of the room.
            token: further properties of the user's token.

        Raises:
            Refused: no key is set, or Daily refuses; the message says which.
        """
        if self._api_key is None:
            raise Refused(
                400,
                "This control plane makes no Daily rooms: DAILY_API_KEY is not set. "
                'Start with {"transport": "webrtc"} instead.',
            )
        expires_s = math.ceil(time.time() + lasts_s + 60)
        properties = {"eject_at_room_exp": True, **(room or {}), "exp": expires_s}
        headers = {"authorization": f"Bearer {self._api_key}"}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:
            made = await self._post(client, "rooms", {"properties": properties})
            name, url = str(made["name"]), str(made["url"])
            try:
                tokens = [
                    await self._post(
                        client,
                        "meeting-tokens",
                        # Whatever the client asks for, the token is for this room and session.
                        {"properties": {**more, "room_name": name, "exp": expires_s}},
                    )
                    for more in ({"is_owner": True}, token or {})
                ]
                return Room(name, url, str(tokens[0]["token"]), str(tokens[1]["token"]))
            except BaseException:
                await self.delete(name)
                raise

    async def delete(self, name: str) -> None:
        """Delete a room; one that cannot be deleted ends by itself."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"authorization": f"Bearer {self._api_key}"}
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as client,
                client.delete(
                    f"{self._api_url}/rooms/{quote(name, safe='')}", allow_redirects=False
                ) as response,
            ):
                if response.status not in (200, 404):
                    logger.warning("Daily kept the room {}: {}", name, response.status)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.warning("Daily kept the room {} ({})", name, type(error).__name__)

    async def _post(
        self, client: aiohttp.ClientSession, path: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            async with client.post(
                f"{self._api_url}/{path}", json=body, allow_redirects=False
            ) as response:
                reply = await response.json(content_type=None)
                if response.status == 200 and isinstance(reply, dict):
                    return reply
                info = str(reply.get("info", "")) if isinstance(reply, dict) else ""
                raise Refused(502, f"Daily refused ({response.status}): {info[:200]}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            host = urlsplit(self._api_url).hostname
            raise Refused(502, f"Daily ({host}) did not answer ({type(error).__name__}).") from None
