"""Secrets: encrypted in the store, decrypted only into the environment of pods."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from runtime.errors import CannotStart, Refused
from runtime.key_files import kept_key
from runtime.store import Store

SET_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MAX_SETS = 100
MAX_KEYS = 200
MAX_VALUE_BYTES = 64_000
RESERVED_PREFIXES = ("RUNTIME_", "PYTHON", "LD_", "DYLD_")
"""A secret is no way to change how a pod's process runs."""


class Vault:
    """Sets of secrets."""

    def __init__(self, store: Store, key_file: Path, region: str) -> None:
        """Open the vault, with a new key if there is none.

        Raises:
            CannotStart: the key file cannot be used.
        """
        self._store = store
        self._region = region
        try:
            self._fernet = Fernet(kept_key(key_file, Fernet.generate_key).strip())
        except (OSError, ValueError) as error:
            raise CannotStart(f"The secrets' key {key_file} cannot be used: {error}.") from None

    async def sets(self) -> list[dict[str, Any]]:
        """All sets, without what is in them."""
        rows = await self._store.read("SELECT * FROM secret_sets ORDER BY name")
        return [
            {
                "name": row["name"],
                "type": row["kind"],
                "region": row["region"],
                "status": "ready",
            }
            for row in rows
        ]

    async def set(self, name: str) -> dict[str, Any]:
        """A set's keys, without their values.

        Raises:
            Refused: there is no such set (404), or it is of credentials for images (400).
        """
        rows = await self._store.read("SELECT * FROM secret_sets WHERE name = ?", (name,))
        if not rows:
            raise Refused(404, f"There is no secret set {name!r}.")
        if rows[0]["kind"] != "secret":
            raise Refused(400, f"{name!r} holds credentials for images, which are never listed.")
        keys = await self._store.read(
            "SELECT key FROM secrets WHERE set_name = ? ORDER BY key", (name,)
        )
        return {
            "region": rows[0]["region"],
            "status": "ready",
            "secrets": [{"fieldName": row["key"]} for row in keys],
        }

    async def put(
        self, name: str, values: Mapping[str, str], kind: str = "secret", host: str | None = None
    ) -> None:
        """Add secrets to a set, or change them; the set is made if it is not there.

        Raises:
            Refused: a name or a value cannot be used; it does not repeat values.
        """
        if not 3 <= len(name) <= 63 or not SET_NAME.fullmatch(name):
            raise Refused(
                400,
                "A secret set's name is 3 to 63 lower-case letters, digits, hyphens and dots.",
            )
        for key, value in values.items():
            if not KEY_NAME.fullmatch(key) or key.upper().startswith(RESERVED_PREFIXES):
                raise Refused(400, f"{key[:40]!r} cannot be the name of a secret.")
            if "\0" in value or len(value.encode("utf-8", "replace")) > MAX_VALUE_BYTES:
                raise Refused(
                    400, f"The value of {key} holds a zero byte or more than {MAX_VALUE_BYTES:,}."
                )
        sets = await self._store.read("SELECT name, kind FROM secret_sets")
        kinds = {row["name"]: row["kind"] for row in sets}
        if kinds.get(name, kind) != kind:
            raise Refused(409, f"{name!r} is a set of another type.")
        if name not in kinds and len(kinds) >= MAX_SETS:
            raise Refused(400, f"There are {MAX_SETS} secret sets already.")
        present = await self._store.read("SELECT key FROM secrets WHERE set_name = ?", (name,))
        if len({row["key"] for row in present} | set(values)) > MAX_KEYS:
            raise Refused(400, f"A secret set holds {MAX_KEYS} secrets at most.")
        await self._store.write(
            (
                "INSERT INTO secret_sets VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET updated_s = excluded.updated_s",
                (name, kind, self._region, host, time.time()),
            ),
            *(
                (
                    "INSERT INTO secrets VALUES (?, ?, ?) "
                    "ON CONFLICT (set_name, key) DO UPDATE SET value = excluded.value",
                    (name, key, self._fernet.encrypt(value.encode("utf-8", "replace"))),
                )
                for key, value in values.items()
            ),
        )

    async def delete(self, name: str, key: str | None = None) -> None:
        """Delete a set, or one secret of it.

        Raises:
            Refused: there is none of that name.
        """
        if key is None:
            missing = f"There is no secret set {name!r}."
            statement, values = "DELETE FROM secret_sets WHERE name = ?", [name]
        else:
            missing = f"There is no secret {key!r} in {name!r}."
            statement = "DELETE FROM secrets WHERE set_name = ? AND key = ?"
            values = [name, key]
        if not await self._store.write((statement, values)):
            raise Refused(404, missing)

    async def values(self, name: str) -> dict[str, str]:
        """A set's secrets, for a pod's environment.

        Raises:
            Refused: there is no such set, or the key it was encrypted with is not ours.
        """
        await self.set(name)
        rows = await self._store.read("SELECT key, value FROM secrets WHERE set_name = ?", (name,))
        try:
            return {row["key"]: self._fernet.decrypt(row["value"]).decode() for row in rows}
        except InvalidToken:
            raise Refused(
                409,
                f"The secrets of {name!r} were encrypted with another key; set them anew.",
            ) from None
