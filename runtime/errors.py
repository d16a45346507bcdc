"""What the control plane answers when it will not, or cannot, do what it was asked."""

from typing import Any


class Refused(Exception):
    """A request that is not served; the message is written for whoever sent it."""

    def __init__(
        self, status: int, message: str, code: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or CODES.get(status, str(status))
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        if self.retry_after_s is None:
            return {}
        return {"retry-after": str(max(1, round(self.retry_after_s)))}

    @property
    def body(self) -> dict[str, Any]:
        """JSON of the answer: `error` and `code` for programs, `detail` for browsers' clients."""
        return error_body(self.status, self.message, self.code)


CODES = {400: "400", 401: "401", 403: "403", 404: "404", 409: "CONFLICT", 429: "429", 500: "500"}
"""The codes that Pipecat Cloud's clients know; other answers carry their status."""


def error_body(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """The JSON body of every error answer."""
    body = {"error": message, "code": code or CODES.get(status, str(status)), "detail": message}
    if status == 429:
        body |= {"message": message}
    return body


class CannotStart(Exception):
    """What keeps the control plane from starting; the message is written for its operator."""
