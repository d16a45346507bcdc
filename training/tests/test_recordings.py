"""Recordings of people: those that fit their texts are aligned, the others left out."""

import subprocess
import wave
from pathlib import Path

from training.recordings import recorded, recorded_utterances


def _say(path: Path, spoken: str, told: str) -> None:
    subprocess.run(["flite", "-voice", "slt", "-t", spoken, "-o", str(path)], check=True)
    path.with_suffix(".txt").write_text(told)


def test_what_fits_its_text_is_aligned(tmp_path: Path) -> None:
    _say(tmp_path / "anna_1.wav", "Seven of clubs.", "Seven of clubs.")
    _say(tmp_path / "anna_2.wav", "Seven of clubs.", "Qwrtz is no word of the dictionary.")
    _say(
        tmp_path / "anna_3.wav",
        "Seven of clubs and a pair of brown boots.",
        "Seven of clubs and a chair of small green leaves.",
    )
    with wave.open(str(tmp_path / "bert_1.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    (tmp_path / "bert_1.txt").write_text("There is no speech in this.")
    (said,) = recorded_utterances(recorded(tmp_path))
    assert said.voice == "recorded-anna"
    assert [phone for _, _, phone in said.segments if phone != "SIL"] == (
        ["S", "EH", "V", "AH", "N", "AH", "V", "K", "L", "AH", "B", "Z"]
    )
