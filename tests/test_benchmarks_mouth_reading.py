"""The mouth that benchmarks read from pictures, on drawings of the avatar itself."""

import cv2
import numpy as np
import pytest

from avatar.avatar import Avatar
from avatar.controls import VISEME_POSES, Pose
from benchmarks.av_sync import normalised
from benchmarks.mouth_reading import TOGETHER, MouthReader, fit_reader
from benchmarks.reception import mouth_crop


@pytest.fixture(scope="module")
def face():  # type: ignore[no-untyped-def]
    return Avatar.load().face()


@pytest.fixture(scope="module")
def reader(face) -> MouthReader:  # type: ignore[no-untyped-def]
    return fit_reader(face.draw, drawings=500)


def crop(face, pose: Pose) -> np.ndarray:  # type: ignore[no-untyped-def]
    picture = face.draw(pose)
    return mouth_crop(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)[: len(picture)])


def test_held_out_drawings_are_read(reader: MouthReader) -> None:
    assert reader.correlation > 0.97
    assert reader.error < 0.05


def test_the_head_may_move(face, reader: MouthReader) -> None:  # type: ignore[no-untyped-def]
    turned = [Pose(yaw=yaw, roll=roll, pitch=2) for yaw in (-4, 0, 4) for roll in (-2, 2)]
    open_ = [Pose(open=0.6, jaw=0.5, yaw=p.yaw, roll=p.roll, pitch=2) for p in turned]
    closed_read = reader.opening(np.array([crop(face, pose) for pose in turned]))
    open_read = reader.opening(np.array([crop(face, pose) for pose in open_]))
    assert np.all(closed_read < TOGETHER)
    assert np.all(np.abs(open_read - 0.6) < 0.15)


def test_lips_pressed_together_are_together(face, reader: MouthReader) -> None:  # type: ignore[no-untyped-def]
    visemes = {name: crop(face, pose) for name, pose in VISEME_POSES.items()}
    read = dict(zip(visemes, reader.opening(np.array(list(visemes.values()))), strict=True))
    assert max(read["sil"], read["PP"]) < TOGETHER < min(read["aa"], read["E"], read["O"])
    assert max(read, key=lambda name: read[name]) == "aa"


def test_no_pictures_no_opening(reader: MouthReader) -> None:
    assert reader.opening(np.zeros((0, 64, 64), np.uint8)).shape == (0,)


def test_a_read_out_is_scaled_from_closed_to_wide() -> None:
    opening = np.array([0.1] * 70 + [0.7] * 30)
    assert np.allclose(np.unique(normalised(opening)), [0, 1])
