"""What requests say of the session they start: its id, limit, body and flow, and its place."""

import base64
import binascii
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipecat.runner.types import DailyRunnerArguments, MOQRunnerArguments

from pipecatcloud_system.errors import Refusal
from pipecatcloud_system.session import Start
from pipecatcloud_system.settings import time_limit

MAX_SESSION_ID_CHARS = 128
ENVELOPE_VERSION = "1"
MAX_FLOW_BYTES = 1_000_000

NO_TRANSPORT = (
    "Say where the session takes place: headers x-daily-room-url and x-daily-room-token for a "
    "Daily room, or x-daily-transport-type: webrtc to wait for an offer at /api/offer."
)


class FlowUnreadable(Exception):
    """The file with a session's flow cannot be had; the message says why, not what is in it."""


def read_start(headers: Mapping[str, str], flow_config: str | None = None) -> Start:
    """What the headers say about the session, whatever its transport.

    Raises:
        Refusal: one of them cannot be used.
    """
    return Start(_session_id(headers), _max_session_s(headers), flow_config)


def _session_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-daily-session-id")
    if not given:
        return str(uuid.uuid4())
    if len(given) > MAX_SESSION_ID_CHARS or not (given.isascii() and given.isprintable()):
        raise Refusal(
            400,
            "x-daily-session-id must be printable ASCII, "
            f"{MAX_SESSION_ID_CHARS} characters at most.",
        )
    return given


def _max_session_s(headers: Mapping[str, str]) -> float | None:
    name = "x-pcc-max-session-seconds"
    if (text := headers.get(name)) is None:
        return None
    try:
        return time_limit(text, name)
    except ValueError as error:
        raise Refusal(400, str(error)) from None


def start_body(body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], str | None]:
    """The bot's body and its flow, from the body of POST /bot.

    With X-Pcc-Start-Envelope it is an envelope around both; its shape alone makes it none.

    Raises:
        Refusal: it is no JSON object, or no envelope of the version that is read here.
    """
    value = _json_object(body)
    version = headers.get("x-pcc-start-envelope")
    if version is None:
        return value, None
    if version.strip() != ENVELOPE_VERSION:
        raise Refusal(
            400, f"X-Pcc-Start-Envelope: only version {ENVELOPE_VERSION} is understood here."
        )
    if "body" not in value or not isinstance(value["body"], dict | None):
        raise Refusal(400, "body: the envelope's body must be a JSON object.")
    flow_config = value.get("flow_config")
    if not isinstance(flow_config, str) or not flow_config.strip():
        raise Refusal(400, "flow_config: the envelope's must be text, and not empty.")
    return value["body"] or {}, flow_config


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body: is not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise Refusal(400, "body: must be a JSON object.")
    return value


def query_body(text: str | None) -> Any:
    """The bot's body from ?body=, base64 of JSON.

    Raises:
        Refusal: it is not that.
    """
    if not text:
        return {}
    # "+" arrives as a blank where it was not escaped.
    text = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise Refusal(400, "The body parameter is not base64 of JSON.") from None


def flow_file(name: str | None, folder: Path | None) -> str | None:
    """The flow that X-Pcc-Flow-Config-File names; None without that header.

    Reads from the disk: not for the event loop.

    Args:
        name: a bare file name.
        folder: PCC_SESSION_FILES_DIR, the only folder that is read from.

    Raises:
        FlowUnreadable: the name is none, or the file is not there, too large, empty or no text.
    """
    if name is None:
        return None
    if folder is None:
        raise FlowUnreadable("PCC_SESSION_FILES_DIR is not set.")
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        raise FlowUnreadable("X-Pcc-Flow-Config-File must be a file name without a path.")
    try:
        with open(folder / name, "rb", opener=_open_plainly) as file:
            content = file.read(MAX_FLOW_BYTES + 1)
        flow_config = content.decode()
    except (OSError, ValueError):
        raise FlowUnreadable("The session's flow cannot be read.") from None
    if len(content) > MAX_FLOW_BYTES:
        raise FlowUnreadable(f"The session's flow is larger than {MAX_FLOW_BYTES:,} bytes.")
    if not flow_config.strip():
        raise FlowUnreadable("The session's flow is empty.")
    return flow_config


def _open_plainly(path: str, flags: int) -> int:
    # No link: it could lead out of the folder. No waiting: it could be a pipe.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def called_arguments(
    headers: Mapping[str, str], body: dict[str, Any]
) -> DailyRunnerArguments | MOQRunnerArguments | None:
    """bot()'s arguments for a place that POST /bot names; None if it is to wait for an offer.

    Raises:
        Refusal: no place is named, or only half of one.
    """
    room_url, token = headers.get("x-daily-room-url"), headers.get("x-daily-room-token")
    transport = headers.get("x-daily-transport-type")
    if room_url and token:
        return DailyRunnerArguments(room_url=room_url, token=token, body=body)
    if transport == "webrtc":
        return None
    if transport == "moq":
        return _moq_arguments(headers, body)
    if transport and transport != "daily":
        unknown = f"x-daily-transport-type: {transport[:40]!r} is not served."
        raise Refusal(400, f"{unknown} {NO_TRANSPORT}")
    if room_url or token:
        given, lacking = ("url", "token") if room_url else ("token", "url")
        raise Refusal(400, f"x-daily-room-{given} came without x-daily-room-{lacking}.")
    raise Refusal(400, NO_TRANSPORT)


def _moq_arguments(headers: Mapping[str, str], body: dict[str, Any]) -> MOQRunnerArguments:
    relay_url, namespace = headers.get("x-moq-relay-url"), headers.get("x-moq-namespace")
    if not relay_url or not namespace:
        lacking = "x-moq-namespace" if relay_url else "x-moq-relay-url"
        raise Refusal(400, f"x-daily-transport-type: moq came without {lacking}.")
    return MOQRunnerArguments(relay_url=relay_url, namespace=namespace, body=body)
