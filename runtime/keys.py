"""API keys: made once, kept as hashes, compared in constant time, limited in pace."""

import hashlib
import hmac
import secrets
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from runtime.errors import Refused
from runtime.store import Store

Kind = Literal["public", "private"]
PREFIXES: dict[Kind, str] = {"public": "pk_", "private": "pcc_pat_"}
"""Of a private key: what makes the CLI take it for a personal access token."""
MAX_KEYS = 5
"""Of each kind at once: enough to cycle them."""
MAX_KEY_CHARS = 200
MAX_BUCKETS = 10_000
BURST_S = 2.0
"""How many seconds' worth of requests may come at once."""
FAILURES_PER_S = 5.0
"""Wrong keys that one address may try."""


@dataclass(frozen=True)
class Key:
    """A key, without what makes it one."""

    id: str
    kind: Kind
    name: str
    hint: str
    """Its first characters, by which its owner knows it."""
    created_s: float
    revoked_s: float | None


class Keys:
    """The keys of this control plane."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[bytes, Key] = {}

    async def load(self) -> list[Key]:
        """Read the keys; gives all of them, revoked ones too."""
        rows = await self._store.read("SELECT * FROM keys ORDER BY created_s")
        keys = [
            Key(r["id"], r["kind"], r["name"], r["hint"], r["created_s"], r["revoked_s"])
            for r in rows
        ]
        self._live = {
            bytes.fromhex(row["hash"]): key
            for row, key in zip(rows, keys, strict=True)
            if key.revoked_s is None
        }
        return keys

    async def create(self, kind: Kind, name: str) -> tuple[Key, str]:
        """A new key and its text, which nobody can be told again.

        Raises:
            Refused: there are as many as may be.
        """
        if sum(key.kind == kind for key in self._live.values()) >= MAX_KEYS:
            raise Refused(400, f"There are {MAX_KEYS} {kind} keys already; revoke one first.")
        text = PREFIXES[kind] + secrets.token_urlsafe(32)
        key = Key(str(uuid.uuid4()), kind, name, text[: len(PREFIXES[kind]) + 4], time.time(), None)
        digest = _digest(text)
        await self._store.write(
            (
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (key.id, kind, name, digest.hex(), key.hint, key.created_s),
            )
        )
        self._live[digest] = key
        return key, text

    async def revoke(self, key_id: str, kind: Kind = "public") -> bool:
        """Revoke a key; False if there is none of that id and kind that lives."""
        touched = await self._store.write(
            (
                "UPDATE keys SET revoked_s = ? WHERE id = ? AND kind = ? AND revoked_s IS NULL",
                (time.time(), key_id, kind),
            )
        )
        await self.load()
        return touched > 0

    def lives(self, key_id: str) -> bool:
        """Whether there is a key of this id that was not revoked."""
        return any(key.id == key_id for key in self._live.values())

    def check(self, text: str) -> Key | None:
        """The living key that this text is, if it is one."""
        if len(text) > MAX_KEY_CHARS:
            return None
        digest, found = _digest(text), None
        for known, key in self._live.items():
            if hmac.compare_digest(known, digest):
                found = key
        return found


def _digest(text: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(text.encode()).digest()


class Pace:
    """Lets each key, or each address, do so much a second."""

    def __init__(self, rate_per_s: float, burst_s: float = BURST_S) -> None:
        self._rate_per_s = rate_per_s
        self._burst_s = burst_s
        self._paid_until_s: OrderedDict[str, float] = OrderedDict()

    def take(self, who: str) -> float:
        """Take one; gives 0, or how many seconds to wait before the next try."""
        now_s = time.monotonic()
        paid_until_s = max(self._paid_until_s.pop(who, 0.0), now_s) + 1 / self._rate_per_s
        wait_s = paid_until_s - now_s - self._burst_s
        if wait_s > 0:
            paid_until_s -= 1 / self._rate_per_s
        self._paid_until_s[who] = paid_until_s
        while len(self._paid_until_s) > MAX_BUCKETS:
            self._paid_until_s.popitem(last=False)
        return max(0.0, wait_s)
