"""Keeps keys and tokens out of the log."""

import re
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from loguru import Record

REDACTED = "[redacted]"
MIN_SECRET_CHARS = 8
"""Shorter values are too likely to be ordinary words."""
MAX_LINE_CHARS = 8_000
"""Longer messages are cut: what a peer sent may be logged, and must not fill the disk."""

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
# Each keeps its first group, which says what was there.
_SHAPES = tuple(
    re.compile(shape, re.IGNORECASE)
    for shape in (
        r"(\bbearer\s+)[\w.~+/=-]{8,}",
        r"((?:token|secret|password|passwd|credential|api[_-]?key|authorization)[\"']?\s*[=:]\s*"
        r"[\"']?(?:(?:bearer|basic)\s+)?)[\w.~+/=%-]{8,}",
        r"(://[^\s/:@]*:)[^\s/@]+(?=@)",  # user:password@ in a URL
        r"()(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",  # a JSON Web Token, such as Daily's
        r"()\b(?:sk|pk|rk|pat|pcc_pat|gh[op]|xox[bp])[-_][\w-]{8,}",
    )
)
# Every match of a shape has one of these in it; looking for them first is quick.
_HINTS = (
    *("bearer", "token", "secret", "passw", "credential", "api", "authorization", "eyj", "://"),
    *("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "pat-", "pat_", "gho", "ghp", "xoxb", "xoxp"),
)


class Redactor:
    """Replaces secrets in text: values of the environment, and what has the shape of a token."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Take the values of all variables whose names look secret.

        Args:
            environment: of the process.
        """
        values = {
            form
            for name, value in environment.items()
            if _SECRET_NAMES.search(name) and len(value.strip()) >= MIN_SECRET_CHARS
            for form in (value.strip(), quote(value.strip(), safe=""))
        }
        # The longest first: one may begin with another.
        known = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
        self._known = re.compile(known) if known else None

    def __call__(self, text: str) -> str:
        """The text with REDACTED in the place of secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        lowered = text.lower()
        if not any(hint in lowered for hint in _HINTS):
            return text
        for shape in _SHAPES:
            text = shape.sub(r"\1" + REDACTED, text)
        return text

    def patch(self, record: "Record") -> None:
        """Redact a log record, for all sinks; loguru's `patcher`.

        A traceback with a secret in it becomes part of the message, where it is text.
        """
        whole = record["message"]
        # Somewhat more than is shown, so that no secret is cut in two before it is found.
        message = self(whole[: 2 * MAX_LINE_CHARS])
        if len(whole) > MAX_LINE_CHARS:
            message = f"{message[:MAX_LINE_CHARS]}… (cut; it had {len(whole):,} characters)"
        if (exception := record["exception"]) is not None:
            told = "".join(traceback.format_exception(*exception))
            if (redacted := self(told)) != told:
                record["exception"] = None
                message = f"{message}\n{redacted}"
        record["message"] = message
