"""Other people's models: usable by their card alone, refused with the reason where they misfit."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.config import AvatarConfig
from avatar.controls import MOUTH, VISEMES
from avatar.errors import ModelError
from avatar.labels import mixing_matrix
from avatar.lipsync import LipSyncModel
from avatar.mouth_model import load_model
from avatar.window_model import WindowModel

DATA = Path(__file__).parent / "data"
RATE_HZ, ROW = 16_000, 320
JAW, OPEN, ROUND = (MOUTH.index(name) for name in ("jaw", "open", "round"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the model and its card, to be changed."""
    for name in ("window.onnx", "window.onnx.json"):
        shutil.copy(DATA / name, tmp_path)
    return tmp_path / "window.onnx"


def change(model: Path, **fields: Any) -> None:
    """Change fields of a card; "input.at_s" is written input__at_s, None takes one away."""
    card = model.with_name(model.name + ".json")
    content = json.loads(card.read_text())
    for name, value in fields.items():
        *path, last = name.split("__")
        place = content
        for step in path:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    card.write_text(json.dumps(content))


def sound(samples: int) -> np.ndarray:
    """Return (samples,) float32 that swell and fade."""
    time_s = np.arange(samples) / RATE_HZ
    swell = np.sin(2 * np.pi * 2 * time_s) ** 2
    return (0.2 * swell * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)


def rows_of(model: WindowModel, pcm: np.ndarray, chunk: int) -> np.ndarray:
    """Return all rows of a speech fed in pieces."""
    state = model.new_state()
    rows = [state.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    return np.concatenate([*rows, state.flush()])


def test_the_card_says_which_kind_a_model_is() -> None:
    assert isinstance(load_model(DATA / "window.onnx"), WindowModel)
    assert isinstance(load_model(DATA / "tiny.onnx"), LipSyncModel)


@pytest.mark.parametrize("chunk", [1, 319, 1000, 100_000])
def test_chunks_do_not_matter(chunk: int) -> None:
    model = WindowModel.load(DATA / "window.onnx")
    pcm = sound(8_123)
    rows = rows_of(model, pcm, chunk)
    assert rows.shape == (math.ceil(len(pcm) / ROW), len(MOUTH))
    np.testing.assert_allclose(rows, rows_of(model, pcm, len(pcm)), atol=1e-6)


def test_each_row_hears_its_own_window() -> None:
    model = WindowModel.load(DATA / "window.onnx")
    pcm = sound(8_000)
    rows = rows_of(model, pcm, len(pcm))
    padded = np.concatenate((np.zeros(2_000, np.float32), pcm, np.zeros(2_000, np.float32)))
    for row in (0, 3, 12, 24):
        start = 2_000 + row * ROW + ROW // 2 - 960
        level = np.abs(padded[start : start + 1_600]).mean()
        assert rows[row, JAW] == pytest.approx(4 * level, abs=1e-5)
        assert rows[row, ROUND] == pytest.approx(0.45 * level, abs=1e-5)


def test_rows_come_when_promised() -> None:
    model = WindowModel.load(DATA / "window.onnx")
    assert model.card.lookahead_s == pytest.approx(0.04)
    state = model.new_state()
    given = fed = 0
    for piece in np.split(sound(3_200), 200):
        given += len(state.feed(piece))
        fed += len(piece)
        assert given == max(0, math.floor((fed / RATE_HZ - 0.04) / 0.02 - 0.5 + 1e-9) + 1)


def test_an_avatar_performs_with_it() -> None:
    avatar = Avatar.load(AvatarConfig(model=DATA / "window.onnx"))
    animator = Animator(avatar.model, 24_000)
    pcm = np.repeat((sound(16_000) * 32_767).astype(np.int16), 3)[::2]
    segments = animator.feed(pcm) + animator.flush()
    assert sum(segment.samples for segment in segments) == len(pcm)
    assert max(segment.curve[:, OPEN].max() for segment in segments) > 0.3


def test_softmax_visemes(copy: Path) -> None:
    change(copy, output__labels=["viseme_aa", "sil", "PP"], output__activation="softmax")
    model = load_model(copy)
    assert isinstance(model, WindowModel)
    silent = model.run(np.zeros((1, 1_600), np.float32))
    loud = model.run(np.ones((1, 1_600), np.float32))
    assert silent[0, MOUTH.index("press")] == pytest.approx(1 / 3, abs=1e-3)
    assert loud[0, JAW] > 2 * silent[0, JAW]


def test_labels_of_any_name_with_controls(copy: Path) -> None:
    change(copy, output__labels=["a", "b", "c"])
    with pytest.raises(ModelError, match="labels has 'a', which is no control"):
        load_model(copy)
    change(copy, output__controls={"jaw": {"a": 0.5, "b": 2.0}})
    model = load_model(copy)
    assert isinstance(model, WindowModel)
    mouth = model.run(np.full((1, 1_600), 0.1, np.float32))
    assert mouth[0, JAW] == pytest.approx(0.5 * 0.4 + 2.0 * 0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": None}, "lacks the field 'name'"),
        ({"input__name": "sound"}, r"has no input 'sound'; its inputs are \['audio'\]"),
        ({"output__name": "mouth"}, r"has no output 'mouth'; its outputs are \['shapes'\]"),
        ({"input__samples": 1_000}, r"shape .*1600.*, which takes no window of 1000 samples"),
        ({"input__samples": 10}, "not within 320 .. 160000"),
        ({"input__at_s": 0.2}, "at_s is not within the window"),
        ({"input__at_s": "soon"}, "could not convert"),
        ({"input__scale": 0}, "scale is 0.0, not above 0"),
        ({"output__labels": ["jawOpen", "mouthPucker"]}, "the card 2 labels"),
        ({"output__labels": ["jawOpen"] * 3}, "labels has 'jawOpen' twice"),
        ({"output__labels": ["browA", "browB", "browC"]}, "none that moves the mouth"),
        ({"output__activation": "tanh"}, "activation is 'tanh'"),
        ({"output__controls": {"chin": {}}}, "controls has 'chin', which is none of jaw"),
        ({"output__controls": {"jaw": {"x": 1}}}, "names 'x', which is not in labels"),
        ({"sample_rate_hz": 16_010}, "sample_rate_hz is 16010, not a multiple of 50"),
        ({"thresholds": {"press": 2}}, "threshold of press"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    copy: Path, fields: dict[str, Any], reason: str
) -> None:
    change(copy, **fields)
    with pytest.raises(ModelError, match=reason):
        load_model(copy)


def test_sound_is_not_held_for_longer_than_half_a_second(copy: Path) -> None:
    change(copy, input__samples=16_000, input__at_s=0.4)
    with pytest.raises(ModelError, match=r"leaves 0.600 s .* 0.5 s at most"):
        load_model(copy)


def test_files_that_are_none(copy: Path) -> None:
    copy.write_bytes(b"no model")
    with pytest.raises(ModelError, match="not a usable ONNX model"):
        load_model(copy)
    card = copy.with_name("window.onnx.json")
    card.write_text("[]")
    with pytest.raises(ModelError):
        load_model(copy)
    card.unlink()
    with pytest.raises(ModelError, match=r"window.onnx.json: cannot be read"):
        load_model(copy)


def test_our_own_names_are_known_as_they_are() -> None:
    np.testing.assert_array_equal(mixing_matrix(MOUTH), np.eye(len(MOUTH), dtype=np.float32))
    visemes = mixing_matrix(VISEMES)
    assert visemes[VISEMES.index("PP"), MOUTH.index("press")] == 1.0
    assert not visemes[VISEMES.index("sil")].any()
