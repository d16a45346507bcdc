"""What a pod has logged: every line once, across restarts of its reader, half lines and rubbish."""

import json
from pathlib import Path

import pytest

from runtime import tails as module
from runtime.tails import MAX_LINE_CHARS, LogLine, Tail


def _log(folder: Path, *texts: str, end: str = "\n") -> None:
    with (folder / "bot.jsonl").open("a") as file:
        for text in texts:
            record = {"@timestamp": "2030-01-01T00:00:00Z", "level": "INFO", "session_id": "s"}
            file.write(json.dumps(record | {"line": text}) + end)


def _texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_read_once(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    assert tail.read() == []
    _log(tmp_path, "one", "two")
    assert tail.read() == [
        LogLine("2030-01-01T00:00:00Z", "INFO", "s", "one"),
        LogLine("2030-01-01T00:00:00Z", "INFO", "s", "two"),
    ]
    assert tail.read() == []
    _log(tmp_path, "three")
    assert _texts(tail.read()) == ["three"]


def test_a_later_reader_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    _log(tmp_path, "one")
    Tail(tmp_path).read()
    _log(tmp_path, "two")
    assert _texts(Tail(tmp_path).read()) == ["two"]
    (tmp_path / "read").write_text("no number")
    assert _texts(Tail(tmp_path).read()) == ["one", "two"]


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    _log(tmp_path, "one")
    _log(tmp_path, "two", end="")
    assert _texts(tail.read()) == ["one"]
    assert tail.read() == []
    with (tmp_path / "bot.jsonl").open("a") as file:
        file.write("\n")
    assert _texts(tail.read()) == ["two"]


def test_of_a_pod_that_has_ended_the_last_half_line_counts_too(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    _log(tmp_path, "one", end="")
    assert _texts(tail.read(last=True)) == ["one"]


def test_rubbish_is_passed_over(tmp_path: Path) -> None:
    _log(tmp_path, "one")
    with (tmp_path / "bot.jsonl").open("ab") as file:
        file.write(b'\xff\xfe\n\n[]\n3\n{"line": "no level"}\n{"@timestamp": 1\n')
    _log(tmp_path, "two")
    assert _texts(Tail(tmp_path).read()) == ["one", "two"]


def test_a_log_that_was_put_aside_is_begun_anew(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    _log(tmp_path, "one", "two")
    tail.read()
    (tmp_path / "bot.jsonl").rename(tmp_path / "bot.1.jsonl")
    _log(tmp_path, "three")
    assert _texts(tail.read()) == ["three"]


def test_much_is_read_piece_by_piece_and_nothing_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ_BYTES", 1_000)
    texts = [f"line {number}" for number in range(200)]
    _log(tmp_path, *texts)
    tail, found = Tail(tmp_path), []
    while piece := tail.read():
        assert len(piece) < 20
        found += _texts(piece)
    assert found == texts


def test_a_line_longer_than_a_piece_does_not_stop_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ_BYTES", 1_000)
    _log(tmp_path, "x" * 5_000, "after it")
    tail, found = Tail(tmp_path), []
    for _ in range(20):
        found += _texts(tail.read())
    assert found[-1:] == ["after it"]


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    _log(tmp_path, "x" * 100_000)
    assert _texts(Tail(tmp_path).read()) == ["x" * MAX_LINE_CHARS]


def test_the_last_words_of_one_that_died_are_kept(tmp_path: Path) -> None:
    _log(tmp_path, "logged")
    (tmp_path / "output.log").write_text(
        "Listening on unix:/x\n"
        "2030-01-01 00:00:00.000 | INFO     | logged\n"
        "\n"
        "Fatal Python error: Segmentation fault\n"
    )
    lines = Tail(tmp_path).read(last=True)
    assert _texts(lines) == ["logged", "Fatal Python error: Segmentation fault"]
    assert lines[1].level == "ERROR"


def test_only_the_last_of_the_last_words_are_kept(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("".join(f"word {number}\n" for number in range(50_000)))
    assert _texts(Tail(tmp_path).read(last=True)) == [
        f"word {number}" for number in range(49_980, 50_000)
    ]


def test_a_bot_that_prints_without_end_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTPUT_BYTES", 1_000)
    output = tmp_path / "output.log"
    tail = Tail(tmp_path)
    output.write_text("x" * 1_000)
    tail.read()
    assert output.stat().st_size == 1_000
    output.write_text("x" * 1_001)
    tail.read()
    assert output.stat().st_size == 0
