"""What the pod can serve, for whoever hands out sessions: GET /pcc/capabilities."""

import importlib.util
import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from loguru import logger

from pipecatcloud_system.errors import CannotStart, Refusal
from pipecatcloud_system.settings import Settings, missing_whatsapp_keys

VERSION = 1
MAX_ENTRIES = 64
MAX_NAME_CHARS = 63
MAX_TEXT_CHARS = 256
MAX_DOCUMENT_BYTES = 16 * 1024

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


class BadCapabilities(CannotStart):
    """What bot.py declares cannot be served; the message names the entry."""

    def __init__(self, why: str) -> None:
        super().__init__(f"bot.py's capabilities cannot be served: {why}.")


def own_capabilities(settings: Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the pod rules out by itself: transports whose packages or keys are not there.

    "available" promises nothing of bot(), which may know fewer transports.
    """
    whatsapp: dict[str, Any] = {"available": settings.whatsapp is not None}
    if settings.whatsapp is None:
        missing = ", ".join(missing_whatsapp_keys(environment))
        whatsapp["reason"] = f"not set: {missing}"
    return {
        "transport.webrtc": {"available": True},
        "transport.websocket": {"available": True},
        "transport.daily": _needs("daily", "pipecat-ai with its extra daily is not installed"),
        "transport.moq": _needs("moq", "pipecat-ai with its extra moq is not installed"),
        "whatsapp": whatsapp,
    }


def _needs(module: str, reason: str) -> dict[str, Any]:
    if importlib.util.find_spec(module) is not None:
        return {"available": True}
    return {"available": False, "reason": reason}


def capabilities_document(own: Mapping[str, Any], declared: Any) -> bytes | None:
    """The document to serve, or None for none.

    Args:
        own: the pod's entries.
        declared: `capabilities` of bot.py: entries by name that go before the pod's, or a
            function that gives them; None: no document at all.

    Raises:
        BadCapabilities: an entry breaks the rules that readers of the document enforce.
    """
    if callable(declared):
        declared = declared()
    if declared is None:
        return None
    if not isinstance(declared, Mapping):
        raise BadCapabilities(f"they are {type(declared).__name__}, not a dict")
    entries = {**own, **declared}
    if len(entries) > MAX_ENTRIES:
        raise BadCapabilities(f"there are more than {MAX_ENTRIES} entries")
    for name, entry in entries.items():
        _check(name, entry)
    document = json.dumps({"version": VERSION, "capabilities": entries}).encode()
    if len(document) > MAX_DOCUMENT_BYTES:
        raise BadCapabilities(f"the document is larger than {MAX_DOCUMENT_BYTES:,} bytes")
    return document


def _check(name: object, entry: object) -> None:
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise BadCapabilities(
            f"the name {name!r:.80} must be lower-case letters and digits, joined by '.', '_' or "
            f"'-', {MAX_NAME_CHARS} characters at most"
        )
    if not isinstance(entry, Mapping) or not set(entry) <= {"available", "reason", "value"}:
        raise BadCapabilities(f"{name} must be a dict of available, reason and value")
    if not isinstance(entry.get("available"), bool):
        raise BadCapabilities(f"{name}: available must be True or False")
    for key in ("reason", "value"):
        if not _is_line(entry.get(key, "")):
            raise BadCapabilities(
                f"{name}: {key} must be one line of printable ASCII without square brackets, "
                f"{MAX_TEXT_CHARS} characters at most"
            )


def _is_line(text: object) -> bool:
    return (
        isinstance(text, str)
        and len(text) <= MAX_TEXT_CHARS
        and all(" " <= sign <= "~" and sign not in "[]" for sign in text)
    )


def log_capabilities(document: bytes) -> None:
    """Log a line for each entry."""
    for name, entry in json.loads(document)["capabilities"].items():
        state = "available" if entry["available"] else "not available"
        reason = f" ({entry['reason']})" if "reason" in entry else ""
        logger.info("Feature {}: {}{}", name, state, reason)


def capabilities_routes(document: bytes | None) -> APIRouter:
    """The route that gives the document."""
    router = APIRouter()

    @router.get("/pcc/capabilities")
    async def capabilities() -> Response:
        if document is None:
            raise Refusal(404, "This bot reports no capabilities.")
        headers = {"cache-control": "no-store"}
        return Response(document, media_type="application/json", headers=headers)

    return router
