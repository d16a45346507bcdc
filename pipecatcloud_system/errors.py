"""What the pod answers when it will not, or cannot, do what it was asked."""

from dataclasses import dataclass
from http import HTTPStatus

CODES = {
    400: "GENERIC_BAD_REQUEST",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    500: "INTERNAL_SERVER_ERROR",
    503: "UNAVAILABLE",
}
"""Of the answers that clients tell apart; others are called as HTTP calls them."""


class CannotStart(Exception):
    """What keeps the pod from starting; the message is written for its operator."""


class Refusal(Exception):
    """A request that is not served; the message is written for whoever sent it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class PodBusy(Refusal):
    """The pod holds another session."""

    def __init__(self) -> None:
        super().__init__(409, "This pod already holds a session; it serves one at a time.")


class PodDraining(Refusal):
    """The pod takes no new sessions: it is shutting down."""

    def __init__(self) -> None:
        super().__init__(503, "This pod is shutting down and takes no new sessions.")


@dataclass(frozen=True)
class Failure:
    """Why a session failed, in words that may leave the pod: no trace, no values."""

    message: str
    """One sentence for the caller."""
    error_id: str | None = None
    """The id under which the log holds the whole story; None when there is no more to tell."""
    unjoined: bool = False
    """Whether nobody came to talk."""


def error_body(status: int, message: str, error_id: str | None = None) -> dict[str, str]:
    """The JSON body of every error answer: ``error``, ``code``, and ``detail`` for browsers."""
    body = {"error": message, "detail": message, "code": CODES.get(status) or _name(status)}
    if error_id is not None:
        body["error_id"] = error_id
    return body


def _name(status: int) -> str:
    try:
        return HTTPStatus(status).name
    except ValueError:
        return f"HTTP_{status}"
