"""Tickets for WebSockets: who has one may open a session's socket, once, within five minutes."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
import uuid
from pathlib import Path

from runtime.errors import CannotStart, Refused
from runtime.key_files import kept_key

LASTS_S = 300
MAX_CHARS = 2_000


class Tickets:
    """Makes and reads tickets; that each is used once is seen to by the session's id in it."""

    def __init__(self, key_file: Path) -> None:
        """Take the key of this control plane, or make one.

        Raises:
            CannotStart: the file cannot be used.
        """
        try:
            self._key = kept_key(key_file, lambda: secrets.token_bytes(32))
        except OSError as error:
            raise CannotStart(f"The tickets' key {key_file} cannot be used: {error}.") from None
        if len(self._key) < 32:
            raise CannotStart(f"The tickets' key {key_file} is too short; remove it.")

    def make(self, agent: str) -> tuple[str, str]:
        """A new session's id, and the ticket for it."""
        session_id = str(uuid.uuid4())
        told = {"agent": agent, "session": session_id, "until": int(time.time()) + LASTS_S}
        content = _text(json.dumps(told).encode())
        return session_id, f"{content}.{self._sign(content)}"

    def read(self, agent: str, ticket: str) -> str:
        """The id of the session that a ticket is for.

        Raises:
            Refused: it is none of ours for this agent, or too old.
        """
        content, _, signed = ticket[:MAX_CHARS].partition(".")
        if not hmac.compare_digest(self._sign(content).encode(), signed.encode()):
            raise Refused(401, "The token is none of this control plane's.")
        try:
            told = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        except (ValueError, binascii.Error):
            raise Refused(401, "The token is none of this control plane's.") from None
        if told["agent"] != agent:
            raise Refused(401, "The token is for another agent.")
        if told["until"] < time.time():
            raise Refused(401, "The token has expired; start a new session.")
        return str(told["session"])

    def _sign(self, content: str) -> str:
        return _text(hmac.digest(self._key, content.encode(), hashlib.sha256))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
