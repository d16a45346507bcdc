"""The live face: the mouth comes to rest, quickly after an interruption, and life goes on."""

import numpy as np

from avatar.controls import CONTROLS, MOUTH, Pose
from avatar.performance import Performance, movement

PICTURE_S = 1 / 30
WIDE_OPEN = np.array([0.9, 0.9, 0.1, 0, 0, 0, 0, 0, 0, 1], np.float32)


def _speaking() -> tuple[Performance, float]:
    performance = Performance(seed=1)
    for number in range(30):
        pose = performance.pose(number * PICTURE_S, WIDE_OPEN)
    assert pose.open > 0.8
    return performance, 29 * PICTURE_S


def test_shows_the_mouth_it_is_given() -> None:
    mouth = np.linspace(0, 0.9, len(MOUTH), dtype=np.float32)
    pose = Performance(seed=1).pose(1.0, mouth)
    np.testing.assert_allclose([getattr(pose, name) for name in MOUTH], mouth)


def test_lips_meet_within_two_pictures_of_an_interruption() -> None:
    performance, now_s = _speaking()
    performance.interrupt(now_s)
    performance.pose(now_s + PICTURE_S, None)
    pose = performance.pose(now_s + 2 * PICTURE_S, None)
    assert pose.open == 0
    assert pose.jaw == 0


def test_the_mouth_comes_to_rest_when_speech_ends() -> None:
    performance, now_s = _speaking()
    openings = [performance.pose(now_s + n * PICTURE_S, None).open for n in range(1, 8)]
    assert openings == sorted(openings, reverse=True)
    assert openings[0] > 0.2, "not in one jump"
    assert openings[-1] == 0


def test_speech_after_an_interruption_moves_the_mouth_again() -> None:
    performance, now_s = _speaking()
    performance.interrupt(now_s)
    assert performance.pose(now_s + PICTURE_S, None).open < 0.1
    assert performance.pose(now_s + 2 * PICTURE_S, WIDE_OPEN).open > 0.8


def test_the_face_lives_without_speech() -> None:
    performance = Performance(seed=1)
    poses = [performance.pose(n * PICTURE_S, None) for n in range(600)]
    assert max(pose.blink_left for pose in poses) > 0.5
    assert np.ptp([pose.yaw for pose in poses]) > 0.5
    assert max(pose.open for pose in poses) == 0


def test_movement_is_seen_in_every_control_that_is_drawn() -> None:
    rest = Pose()
    assert movement(rest, rest) == 0
    for name in CONTROLS:
        moved = movement(rest, Pose(**{name: 0.5}))
        assert (moved > 0.3) == (name != "speak"), name
