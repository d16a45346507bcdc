"""Recordings of people: found with their texts, dealt out, some of them kept aside."""

import sys
from pathlib import Path

import numpy as np
import pytest

from training import speechocean
from training.corpus import shards_of
from training.neural import HELD_OUT_VOICES, VOICE_SHAPE, read_voices
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


def test_of_speechocean_all_but_small_children_are_laid_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    people = {"0001": 25, "0002": 9, "0003": 10}
    said = {"u1": "0001", "u2": "0002", "u3": "0003"}
    for part, utterances in (("train", ("u1", "u2")), ("test", ("u3",))):
        folder = corpus / part
        folder.mkdir(parents=True)
        (folder / "spk2age").write_text("".join(f"{p} {age}\n" for p, age in people.items()))
        (folder / "utt2spk").write_text("".join(f"{u} {said[u]}\n" for u in utterances))
        (folder / "text").write_text("".join(f"{u}\tWE CALL IT {u}\n" for u in utterances))
        for utterance in utterances:
            sound = corpus / "WAVE" / f"SPEAKER{said[utterance]}" / f"{utterance}.WAV"
            sound.parent.mkdir(parents=True, exist_ok=True)
            sound.touch()
    monkeypatch.setattr(sys, "argv", ["speechocean", str(corpus), str(out)])
    speechocean.main()
    assert capsys.readouterr().out.startswith("2 sentences")
    found = [(sound.stem, text.read_text().strip()) for sound, text in recorded(out)]
    assert found == [("0001_u1", "we call it u1"), ("0003_u3", "we call it u3")]
    assert all(sound.resolve().is_file() for sound, _ in recorded(out))
    (corpus / "test" / "spk2age").unlink()
    with pytest.raises(SystemExit) as ended:
        speechocean.main()
    assert ended.value.code == 1
    assert "as it is published" in capsys.readouterr().err


def test_voices_of_kokoro_are_read_and_checked(tmp_path: Path) -> None:
    for number, name in enumerate((*HELD_OUT_VOICES, "af_sky")):
        np.full(VOICE_SHAPE, number, np.float32).tofile(tmp_path / f"{name}.bin")
    voices = read_voices(tmp_path)
    assert set(voices) == {*HELD_OUT_VOICES, "af_sky"}
    assert voices["af_sky"].shape == VOICE_SHAPE and (voices["af_sky"] == 4).all()
    (tmp_path / f"{HELD_OUT_VOICES[0]}.bin").unlink()
    with pytest.raises(SynthesisError, match=HELD_OUT_VOICES[0]):
        read_voices(tmp_path)
    (tmp_path / "af_sky.bin").write_bytes(bytes(1000))
    with pytest.raises(SynthesisError, match="250 numbers"):
        read_voices(tmp_path)


def test_some_voices_of_kokoro_are_kept_aside() -> None:
    pcm = np.zeros(1, np.int16)
    for voice, kept in (("kokoro", False), (f"kokoro+{HELD_OUT_VOICES[1]}", True)):
        assert held_out(Utterance(voice, "canonical", pcm, []), "kokoro-00") == kept


def test_going_on_trains_the_last_cycle_alone(tmp_path: Path) -> None:
    recipe = FULL.going_on(tmp_path / "model.onnx")
    assert recipe.cycles == FULL.cycles[-1:] and recipe.begin_with == tmp_path / "model.onnx"
