"""The pod's log, each line with the id of its session: stderr, and JSON lines if asked for."""

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from loguru import logger

from pipecatcloud_system.errors import CannotStart
from pipecatcloud_system.redaction import Redactor

if TYPE_CHECKING:
    from loguru import Record

FORMAT = (
    "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} | "
    "{extra[session_id]} - {message}"
)
NO_SESSION = "NONE"
JSON_FILE = "bot.jsonl"
JSON_FILE_SIZE = "16 MB"
"""A full file is put aside under a name with its date; one such is kept."""


def configure_logging(level: str, folder: Path | None = None) -> None:
    """Log to stderr, and to bot.jsonl in a folder if one is given; to nothing else.

    Tracebacks show no values of variables, which may be tokens, and lines no secrets of the
    environment. What libraries log through Python's own logging goes the same way: from WARNING
    up, from INFO at level DEBUG, all of it at TRACE.

    Raises:
        CannotStart: the folder cannot be written to.
    """
    logger.remove()
    logger.configure(extra={"session_id": NO_SESSION}, patcher=Redactor(os.environ).patch)
    from_libraries = {"TRACE": logging.NOTSET, "DEBUG": logging.INFO}.get(level, logging.WARNING)
    logging.basicConfig(handlers=[_ToLoguru()], level=from_libraries, force=True)
    sys.excepthook = _log_the_end
    logger.add(sys.stderr, format=FORMAT, level=level, diagnose=False, backtrace=False)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written line by line, at once: the last words before a crash are the ones that count.
        logger.add(
            folder / JSON_FILE,
            format=_json_format,
            level=level,
            rotation=JSON_FILE_SIZE,
            retention=1,
            diagnose=False,
            backtrace=False,
        )
    except OSError as error:
        reason = error.strerror or error
        raise CannotStart(f"PCC_LOG_DIR: cannot write to {folder}: {reason}.") from None


def _log_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what ends the process, where Python would print it as it is."""
    logger.opt(exception=(kind, error, trace)).critical("The process ends: {}", kind.__name__)


class _ToLoguru(logging.Handler):
    """Hands what libraries log over to loguru, under their own names."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno

        def named(line: "Record") -> None:
            line["name"] = record.name
            line["function"] = record.funcName or ""
            line["line"] = record.lineno

        told = logger.patch(named).opt(exception=record.exc_info)
        told.log(level, "{}", record.getMessage())


def _json_format(record: "Record") -> str:
    """The template of one JSON line, which loguru fills from the record."""
    line = record["message"]
    if (exception := record["exception"]) is not None:
        line += "\n" + "".join(traceback.format_exception(*exception))
    session_id = record["extra"].get("session_id", NO_SESSION)
    record["extra"]["json"] = json.dumps(
        {
            "@timestamp": record["time"].isoformat(),
            "stream": "app",
            "level": record["level"].name,
            "session_id": None if session_id == NO_SESSION else session_id,
            "line": line,
        },
        ensure_ascii=False,
    )
    return "{extra[json]}\n"
