"""Nothing secret gets into the log, whoever logs it."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from pipecatcloud_system.logs import configure_logging
from pipecatcloud_system.redaction import MAX_LINE_CHARS, Redactor

ENVIRONMENT = {
    "OPENAI_API_KEY": "not+a/pattern=1",
    "DAILY_TOKEN": "not+a/pattern=1 and more",
    "DB_PASSWORD": "short",
    "HOME": "/home/somebody",
}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyIjoicm9vbSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("the key not+a/pattern=1!", "the key [redacted]!"),
        ("not+a/pattern=1 and more", "[redacted]"),
        ("?k=not%2Ba%2Fpattern%3D1&x=1", "?k=[redacted]&x=1"),
        ("short /home/somebody", "short /home/somebody"),
        ("Authorization: Bearer abcdefgh.1234", "Authorization: Bearer [redacted]"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic [redacted]'}"),
        ("wss://h/ws?token=abcdefgh12&x=1", "wss://h/ws?token=[redacted]&x=1"),
        ('{"api_key": "abcdefgh12"}', '{"api_key": "[redacted]"}'),
        ("turn://user:passphrase@192.0.2.1:3478", "turn://user:[redacted]@192.0.2.1:3478"),
        (f"room with {JWT}.", "room with [redacted]."),
        ("sk-proj-abcdefgh1 and pk_live_abcdefgh1", "[redacted] and [redacted]"),
        ("prompt tokens: 12, completion tokens: 34567890", None),
        ("Listening on http://127.0.0.1:8080/client/", None),
        ("the task_running_smoothly", None),
    ],
)
def test_what_is_redacted(text: str, redacted: str | None) -> None:
    assert Redactor(ENVIRONMENT)(text) == (redacted or text)


@pytest.fixture
def log_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the JSON log; afterwards loguru and logging are as they were."""
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT["OPENAI_API_KEY"])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield tmp_path
    logger.remove()
    logger.configure(patcher=lambda record: None)
    logger.add(sys.stderr)
    root.handlers[:], root.level = handlers, level


def lines(folder: Path) -> list[str]:
    logger.complete()
    return [json.loads(line)["line"] for line in (folder / "bot.jsonl").read_text().splitlines()]


def fail(value: str) -> None:
    raise RuntimeError(f"401 for {value}")


def test_both_logs_are_redacted_exceptions_too(
    log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", log_dir)
    secret = ENVIRONMENT["OPENAI_API_KEY"]
    logger.info("asking with {}", secret)
    try:
        fail(secret)
    except RuntimeError:
        logger.exception("the service said no")
    try:
        fail("an ordinary thing")
    except RuntimeError:
        logger.exception("again")
    told = "\n".join(lines(log_dir))
    stderr = capsys.readouterr().err
    for log in (told, stderr):
        assert secret not in log
        assert "asking with [redacted]" in log
        assert "RuntimeError: 401 for [redacted]" in log
        assert "RuntimeError: 401 for an ordinary thing" in log
        assert log.count("Traceback") == 2


def test_libraries_log_the_same_way(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", log_dir)
    library = logging.getLogger("some.library")
    library.warning("refused: Bearer %s", "abcdefgh12345")
    library.info("chatter")
    (line,) = lines(log_dir)
    assert line == "refused: Bearer [redacted]"
    assert "| some.library:" in capsys.readouterr().err


def test_what_ends_the_process_is_redacted(
    log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", log_dir)
    try:
        fail(ENVIRONMENT["OPENAI_API_KEY"])
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    stderr = capsys.readouterr().err
    assert "RuntimeError: 401 for [redacted]" in stderr
    assert ENVIRONMENT["OPENAI_API_KEY"] not in stderr


def test_long_messages_are_cut(log_dir: Path) -> None:
    configure_logging("INFO", log_dir)
    logger.info("{}", "x" * 50_000)
    (line,) = lines(log_dir)
    assert len(line) < MAX_LINE_CHARS + 100
    assert line.endswith("(cut; it had 50,000 characters)")
