"""The contact sheet: all labels, all different."""

import numpy as np

from avatar.controls import VISEMES
from avatar.illustrated import IllustratedFace
from avatar.rig import load_rig
from avatar.sheet import MOODS, contact_sheet
from tests.make_tiny_rig import TINY_RIG


def test_every_face_has_its_tile() -> None:
    face = IllustratedFace(load_rig(TINY_RIG), 128)
    sheet = contact_sheet(face.draw, columns=6, tile=128)
    count = len(MOODS) + len(VISEMES)
    rows = -(-count // 6)
    assert sheet.shape == (rows * 128, 6 * 128, 3)
    assert sheet.dtype == np.uint8
    tiles = sheet.reshape(rows, 128, 6, 128, 3).swapaxes(1, 2).reshape(-1, 128, 128, 3)
    assert all(tile.std() > 10 for tile in tiles[:count])
    assert (tiles[count:] == 255).all()
    assert {"neutral", "blink", "smile", "tilt"} <= set(MOODS)


def test_labels_are_written_on_a_copy() -> None:
    face = IllustratedFace(load_rig(TINY_RIG), 128)
    before = face.draw(next(iter(MOODS.values())))
    tile = contact_sheet(lambda _: before, columns=1, tile=128)[:128]
    assert (tile != before).any()
    assert (before == face.draw(next(iter(MOODS.values())))).all()
