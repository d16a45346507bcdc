"""What a pod has logged since it was last asked: bot.jsonl, and the last words of one that died."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

MAX_READ_BYTES = 1_000_000
"""Taken from a log at once; a pod that logs more has its lines delayed, not lost."""
MAX_LINE_CHARS = 8_000
MAX_OUTPUT_BYTES = 16_000_000
"""A larger output.log, which repeats the log and takes what a bot prints, is emptied."""
LAST_WORDS = 20


@dataclass(frozen=True)
class LogLine:
    """One line of a pod's log."""

    timestamp: str
    """ISO 8601."""
    level: str
    session_id: str | None
    text: str


class Tail:
    """Reads a pod's log from where it last stopped."""

    def __init__(self, folder: Path) -> None:
        """Start where an earlier reader left off, if one did.

        Args:
            folder: the pod's.
        """
        self._folder = folder
        self._mark = folder / "read"
        self._offset = 0
        with contextlib.suppress(OSError, ValueError):
            self._offset = int(self._mark.read_text())

    def read(self, last: bool = False) -> list[LogLine]:
        """The lines since; blocks on the disk.

        Args:
            last: the pod has ended: all there is, half a line too, and what it printed at its end
                beside the log.
        """
        output = self._folder / "output.log"
        lines: list[LogLine] = []
        try:
            with (self._folder / "bot.jsonl").open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    # A full file was put aside, and a new one begun.
                    self._offset = 0
                file.seek(self._offset)
                content = file.read(-1 if last else MAX_READ_BYTES)
        except OSError:
            content = b""
        if not last:
            end = content.rfind(b"\n") + 1
            # A line that does not fit is passed over, piece by piece.
            content = content[: end or (len(content) if len(content) == MAX_READ_BYTES else 0)]
        if content:
            self._offset += len(content)
            lines = [line for raw in content.splitlines() if (line := _line(raw))]
            with contextlib.suppress(OSError):
                self._mark.write_text(str(self._offset))
        with contextlib.suppress(OSError):
            if last:
                lines += _unlogged(output)
            elif output.stat().st_size > MAX_OUTPUT_BYTES:
                os.truncate(output, 0)
        return lines


def _line(raw: bytes) -> LogLine | None:
    try:
        record = json.loads(raw)
        return LogLine(
            str(record["@timestamp"]),
            str(record["level"]),
            record["session_id"],
            str(record["line"])[:MAX_LINE_CHARS],
        )
    except (ValueError, KeyError, TypeError):
        return None


def _unlogged(output: Path) -> list[LogLine]:
    """The last lines that a pod printed outside of its log, such as an interpreter's last words."""
    import datetime

    printed = output.read_bytes()[-64_000:].decode(errors="replace").splitlines()
    told = [line for line in printed if line.strip() and " | " not in line[:60]]
    told = [line for line in told if not line.startswith("Listening on ")]
    written = datetime.datetime.fromtimestamp(output.stat().st_mtime, datetime.UTC).isoformat()
    return [LogLine(written, "ERROR", None, text[:MAX_LINE_CHARS]) for text in told[-LAST_WORDS:]]
