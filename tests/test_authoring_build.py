"""The committed layers are what the drawing code draws."""

import importlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from avatar.rig import LAYER_CHANNELS, load_rig, read_png

MIRA = Path(__file__).parent.parent / "avatar" / "assets" / "mira"

if importlib.util.find_spec("skia") is None:
    HOW = "skia-python is needed: pip install -r authoring/requirements.txt"
    if os.environ.get("CI") == "true":
        pytest.fail(HOW, pytrace=False)
    pytest.skip(HOW, allow_module_level=True)

build = importlib.import_module("authoring.build")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all layers, drawn now."""
    folder: Path = tmp_path_factory.mktemp("mira") / "new"
    build.build(folder)
    return folder


def test_every_layer_of_a_rig_is_drawn(drawn: Path) -> None:
    assert list(build.DRAWINGS) == list(LAYER_CHANNELS)
    assert {path.stem for path in drawn.iterdir()} == set(LAYER_CHANNELS)


@pytest.mark.parametrize("name", LAYER_CHANNELS)
def test_the_committed_layer_is_the_drawn_one(name: str, drawn: Path) -> None:
    """Skia may blend a level differently on another processor, and more along an edge."""
    new, committed = (
        read_png(folder / f"{name}.png", LAYER_CHANNELS[name]).astype(np.int16)
        for folder in (drawn, MIRA)
    )
    assert new.shape == committed.shape
    off = np.abs(new - committed)
    assert off.mean() < 0.5
    assert (off > 16).mean() < 0.002


@pytest.mark.parametrize("name", LAYER_CHANNELS)
def test_the_manifest_places_it_where_it_was_drawn(name: str) -> None:
    placed, drawing = load_rig(MIRA).layers[name], build.DRAWINGS[name]
    if name in ("background", "back", "face", "hair"):
        assert (placed.left, placed.top, placed.right, placed.bottom) == drawing.box
    height, width = placed.pixels.shape[:2]
    assert width / height == pytest.approx(placed.width / placed.height, rel=0.03)
