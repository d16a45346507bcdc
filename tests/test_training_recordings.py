"""Recordings of people: found with their texts, dealt out, some of them kept aside."""

from pathlib import Path

import numpy as np
import pytest

from training.corpus import shards_of
from training.prepare import held_out
from training.recipe import FULL, RECORDED, SMOKE
from training.recordings import recorded
from training.synthesis import SynthesisError, Utterance


def _leave(folder: Path, name: str, text: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.wav").touch()
    if text is not None:
        (folder / f"{name}.txt").write_text(text)


def test_sounds_are_found_with_their_texts(tmp_path: Path) -> None:
    _leave(tmp_path / "b", "p2_001", "Two.")
    _leave(tmp_path / "a", "p3_001", None)
    _leave(tmp_path / "a", "p1_001", None)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "p1_001.txt").write_text("One.")
    found = [(sound.stem, text.read_text()) for sound, text in recorded(tmp_path)]
    assert found == [("p1_001", "One."), ("p2_001", "Two.")]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=r"<speaker>_<number>\.wav"):
        recorded(tmp_path)


def test_recordings_are_dealt_out_to_shards(tmp_path: Path) -> None:
    recipe = SMOKE.with_recordings(tmp_path, "ours")
    shards = [shard for shard in shards_of(recipe, 1) if shard.source == RECORDED]
    assert [shard.index for shard in shards] == list(range(shards[0].count))
    assert {shard.recordings for shard in shards} == {tmp_path}
    assert RECORDED not in SMOKE.shards


def test_about_one_person_in_twelve_is_kept_aside() -> None:
    people = [f"{RECORDED}-p{number}" for number in range(600)]
    pcm = np.zeros(1, np.int16)
    kept = [held_out(Utterance(who, "canonical", pcm, []), "recorded-00") for who in people]
    assert 25 < sum(kept) < 85


def test_every_step_has_its_cycle() -> None:
    first, second = FULL.cycles[:2]
    assert FULL.cycle(0) == (first, 0)
    assert FULL.cycle(first.steps - 1) == (first, first.steps - 1)
    assert FULL.cycle(first.steps) == (second, 0)
    last = FULL.cycles[-1]
    assert FULL.cycle(FULL.steps - 1) == (last, last.steps - 1)
    assert FULL.cycle(FULL.steps + 5) == (last, last.steps)
