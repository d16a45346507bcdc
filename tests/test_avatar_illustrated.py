"""The drawn character: a golden picture, what the lips do, no pops, no pose that breaks it."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.controls import CONTROLS, VISEME_POSES, Pose
from avatar.illustrated import MAX_SIZE, MIN_SIZE, IllustratedFace
from avatar.life import Life
from avatar.rig import Rig, load_rig
from tests.make_tiny_rig import GOLDEN, TINY_RIG, golden_picture

Picture = NDArray[np.uint8]
MIRA = Path(__file__).parent.parent / "avatar" / "assets" / "mira"
SIZE = 512
SIGNED = {"smile", "brow", "brow_in", "gaze_x", "gaze_y"}
DEGREES = {"yaw", "pitch", "roll"}


@cache
def mira() -> Rig:
    return load_rig(MIRA)


@pytest.fixture(scope="module")
def face() -> IllustratedFace:
    return IllustratedFace(mira(), SIZE)


@pytest.fixture(scope="module")
def small() -> IllustratedFace:
    return IllustratedFace(mira(), 256)


def difference(one: Picture, other: Picture) -> NDArray[np.int16]:
    return np.abs(one.astype(np.int16) - other.astype(np.int16))


def mouth_rows(picture: Picture) -> Picture:
    """The middle columns of the mouth of a face that looks ahead: (80, 9, 3)."""
    x, y = (round(value) for value in mira().mouth.center)
    return picture[y - 24 : y + 56, x - 4 : x + 5]


def aperture(picture: Picture) -> float:
    """Height of what is neither skin nor lip, in rows: the dark of the mouth and the teeth."""
    red, _, blue = (mouth_rows(picture)[..., k].astype(int) for k in range(3))
    dark, tooth = red < 105, blue > 208
    return float(np.mean(np.sum(dark | tooth, axis=0)))


def test_a_picture_is_fresh_rgb(face: IllustratedFace) -> None:
    first, second = face.draw(Pose()), face.draw(Pose())
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert first.flags.owndata
    assert (first == second).all()
    first[:] = 0
    assert (face.draw(Pose()) == second).all()
    skin = second[210, 256]
    assert skin[0] > skin[1] > skin[2] > 100  # skin in RGB, not BGR


def test_golden_picture() -> None:
    """Another OpenCV rounds bilinear weights differently: a level or two on smooth ground, more
    on the few pixels along hard edges. A moved or missing part changes hundreds of pixels."""
    golden = cv2.cvtColor(cv2.imread(str(GOLDEN)), cv2.COLOR_BGR2RGB)
    off = difference(golden_picture(), np.asarray(golden, np.uint8))
    assert off.mean() < 0.5
    assert (off.max(axis=2) > 12).mean() < 0.002


def test_a_picture_depends_on_its_pose_alone(face: IllustratedFace) -> None:
    pose = replace(VISEME_POSES["E"], yaw=3, blink_left=0.4, gaze_x=0.3, smile=0.2)
    fresh = IllustratedFace(mira(), SIZE).draw(pose)
    for other in VISEME_POSES.values():
        face.draw(other)
    assert (face.draw(pose) == fresh).all()


@pytest.mark.parametrize("other", ["open", "jaw", "spread", "round", "th", "fv", "teeth", "tip"])
def test_pressed_lips_are_together(face: IllustratedFace, other: str) -> None:
    assert aperture(face.draw(Pose(press=1.0))) == 0
    assert aperture(face.draw(replace(Pose(press=1.0), **{other: 1.0}))) == 0
    assert aperture(face.draw(replace(Pose(press=0.9, smile=0.5), **{other: 1.0}))) == 0


def test_the_mouth_at_rest_is_closed(face: IllustratedFace) -> None:
    for smile in (-0.5, 0.0, 0.5):
        assert aperture(face.draw(Pose(smile=smile))) == 0


@pytest.mark.parametrize("jaw", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rounded", [0.0, 0.8])
def test_the_aperture_grows_with_open(face: IllustratedFace, jaw: float, rounded: float) -> None:
    heights = [
        aperture(face.draw(Pose(open=float(value), jaw=jaw, round=rounded, tip=0)))
        for value in np.linspace(0, 1, 11)
    ]
    assert heights[0] == 0
    # The tongue is neither dark nor white, so that it may hide a row of the growth.
    assert (np.diff(heights) > -1.2).all()
    assert heights[-1] > 8
    assert np.corrcoef(np.linspace(0, 1, 11), heights)[0, 1] > 0.9


def test_the_mouth_widens_when_spread_and_narrows_when_round(face: IllustratedFace) -> None:
    def width(pose: Pose) -> int:
        y = round(mira().mouth.center[1])
        band = face.draw(pose)[y - 20 : y + 40, 180:332].astype(int)
        lip = (band[..., 0] - band[..., 1] > 68) & (band[..., 1] < 140)
        return int(np.ptp(np.flatnonzero(lip.any(axis=0))))

    narrow, rest, wide = (
        width(Pose(open=0.2, **shape)) for shape in ({"round": 1.0}, {}, {"spread": 1.0})
    )
    assert narrow < 0.75 * rest
    assert wide > 1.1 * rest


def test_what_tells_consonants_apart_is_seen(face: IllustratedFace) -> None:
    """No two of the visemes look alike, not even after a viewer's blur."""
    crops = {}
    for name, pose in VISEME_POSES.items():
        x, y = (round(value) for value in mira().mouth.center)
        crop = face.draw(pose)[y - 30 : y + 60, x - 55 : x + 55]
        crops[name] = cv2.GaussianBlur(crop, (0, 0), 1.2)
    names = list(crops)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            off = difference(crops[one], crops[other]).mean()
            assert off > 1.5, (one, other, off)


def test_lids_close(face: IllustratedFace) -> None:
    (x, y), _ = mira().eyes.left, mira().eyes.right
    opened = face.draw(Pose())[round(y) - 8 : round(y) + 8, round(x) - 14 : round(x) + 14]
    closed = face.draw(Pose(blink_left=1))[
        round(y) - 8 : round(y) + 2, round(x) - 14 : round(x) + 14
    ]
    assert (opened.max(axis=2) < 60).any()  # the pupil
    assert not (closed.max(axis=2) < 90).any()


def sweep(name: str) -> NDArray[np.float64]:
    low = -1.0 if name in SIGNED else 0.0
    if name in DEGREES:
        return np.linspace(-10, 10, 161)
    return np.linspace(low, 1.0, 121)


@pytest.mark.parametrize("base", ["rest", "aa"])
@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "speak"])
def test_no_control_makes_a_pop(small: IllustratedFace, name: str, base: str) -> None:
    """Equal steps of a control change the picture about equally: no step is a jump."""
    start = Pose() if base == "rest" else VISEME_POSES["aa"]
    previous = small.draw(replace(start, **{name: float(sweep(name)[0])}))
    changes = []
    for value in sweep(name)[1:]:
        picture = small.draw(replace(start, **{name: float(value)}))
        blocks = cv2.blur(difference(previous, picture).astype(np.float32), (8, 8))
        changes.append(float(blocks.max()))
        previous = picture
    assert max(changes) < 16, (max(changes), sweep(name)[int(np.argmax(changes)) + 1])


def test_no_pops_in_speech(small: IllustratedFace) -> None:
    """A mouth that passes through all visemes at a fast talker's pace, in a living face."""
    life, previous = Life(3), None
    shapes = list(VISEME_POSES.values())
    for index in range(240):
        place = index / 4
        here, there = (shapes[(int(place) + k) % len(shapes)] for k in (0, 1))
        share = place % 1
        mouth = {
            name: (1 - share) * getattr(here, name) + share * getattr(there, name)
            for name in CONTROLS[:10]
        }
        face = life.face(index / 30, True, mouth["open"])
        picture = small.draw(Pose(**mouth, **face._asdict()))
        if previous is not None:
            whole = difference(previous, picture)
            assert whole.mean() < 4.0
        previous = picture


def test_sharpness_does_not_breathe_with_the_sway(face: IllustratedFace) -> None:
    for angle in ("yaw", "pitch", "roll"):
        detail = []
        for shift in np.linspace(0, 1.6, 17):  # degrees: the face moves by about two pixels
            grey = cv2.cvtColor(face.draw(replace(Pose(), **{angle: shift})), cv2.COLOR_RGB2GRAY)
            detail.append(cv2.Laplacian(grey[190:350, 170:340], cv2.CV_32F).var())
        assert 2 * np.std(detail) / np.mean(detail) < 0.05, angle


@pytest.mark.parametrize("size", [MIN_SIZE, 199, 333, 720, MAX_SIZE])
def test_any_size_shows_the_same_face(face: IllustratedFace, size: int) -> None:
    pose = replace(VISEME_POSES["aa"], roll=3, yaw=-4, smile=0.3, blink_right=0.3)
    picture = IllustratedFace(mira(), size).draw(pose)
    assert picture.shape == (size, size, 3)
    side = min(size, 256)
    shrunk = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    wanted = cv2.resize(face.draw(pose), (side, side), interpolation=cv2.INTER_AREA)
    off = difference(np.asarray(shrunk, np.uint8), np.asarray(wanted, np.uint8))
    assert off.mean() < 2.5


@pytest.mark.parametrize("size", [0, -5, MIN_SIZE - 1, MAX_SIZE + 1])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        IllustratedFace(mira(), size)


def test_any_finite_pose_is_drawn() -> None:
    rng = np.random.default_rng(5)
    face = IllustratedFace(load_rig(TINY_RIG), 128)
    for trial in range(400):
        spread = 10.0 ** float(rng.integers(-2, 4)) if trial % 4 else 1e30
        values = {name: float(rng.normal(0, spread)) for name in CONTROLS}
        picture = face.draw(Pose(**values))
        assert picture.shape == (128, 128, 3)
        assert picture.std() > 10
    assert (face.draw(Pose()) == IllustratedFace(load_rig(TINY_RIG), 128).draw(Pose())).all()


@pytest.mark.filterwarnings("error")
def test_extreme_corners_raise_no_warning() -> None:
    rng = np.random.default_rng(6)
    face = IllustratedFace(load_rig(TINY_RIG), 160)
    for _ in range(300):
        values = {name: float(rng.choice([-1.0, 0.0, 1.0, 0.5])) for name in CONTROLS}
        angles = {name: float(rng.choice([-30, 0, 30])) for name in DEGREES}
        face.draw(Pose(**values | angles))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", CONTROLS)
def test_what_is_not_finite_is_refused(small: IllustratedFace, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        small.draw(replace(Pose(), **{name: value}))
