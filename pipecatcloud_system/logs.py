"""The pod's log: stderr, each line with the id of its session."""

import sys

from loguru import logger

FORMAT = (
    "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} | "
    "{extra[session_id]} - {message}"
)


def configure_logging(level: str) -> None:
    """Log to stderr alone; tracebacks show no values of variables, which may be tokens."""
    logger.remove()
    logger.configure(extra={"session_id": "NONE"})
    logger.add(sys.stderr, format=FORMAT, level=level, diagnose=False, backtrace=False)
