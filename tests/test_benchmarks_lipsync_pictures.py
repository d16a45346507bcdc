"""Closures at the picture: read from drawings of the face, counted by the labels."""

from pathlib import Path

import numpy as np
import pytest

from avatar.config import AvatarConfig
from avatar.controls import VISEME_POSES, Pose
from avatar.features import SAMPLE_RATE
from avatar.illustrated import IllustratedFace
from avatar.lipsync import LipSyncModel
from avatar.rig import load_rig
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_pictures import SIZE, Pictures, lips_together, near_speech, poses, seen

TINY = Path(__file__).parent / "data" / "tiny.onnx"
SEGMENTS = [(0.3, 0.4, "m"), (0.4, 0.6, "aa"), (0.6, 0.7, "p"), (0.7, 0.9, "iy")]


@pytest.fixture(scope="module")
def face() -> IllustratedFace:
    return IllustratedFace(load_rig(AvatarConfig().rig), SIZE)


def _recording(seconds: float = 1.0) -> Recording:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pcm = (0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    return Recording("tone", pcm, SEGMENTS, "my pea")


def test_lips_that_touch_are_told_from_lips_that_do_not(face: IllustratedFace) -> None:
    assert lips_together(face, VISEME_POSES["PP"])
    assert lips_together(face, Pose(jaw=0.6, open=0.5, press=1.0, yaw=3.0, smile=0.5))
    for name, pose in VISEME_POSES.items():
        assert lips_together(face, pose) == (name in ("sil", "PP")), name
    assert not lips_together(face, Pose(open=0.1))


def test_a_picture_counts_within_forty_milliseconds() -> None:
    times_s = np.array([0.27, 0.50, 0.73, 0.80])
    together = np.array([True, False, True, True])
    opening = np.array([0.05, 0.7, 0.3, 0.02])
    found = seen([_recording()], [Pictures(times_s, together, opening)])
    assert (found.labials, found.closed, found.read_closed) == (2, 1.0, 0.5)
    assert (found.vowels_shut, found.vowel_opening) == (0.5, pytest.approx(0.36))
    late = Pictures(times_s + 0.02, together, opening)
    assert seen([_recording()], [late]).closed == 0.5


def test_an_open_mouth_is_never_seen_closed() -> None:
    times_s = np.arange(30) / 30
    gaping = Pictures(times_s, np.zeros(30, bool), np.full(30, 0.8))
    found = seen([_recording()], [gaping])
    assert (found.closed, found.read_closed, found.vowels_shut) == (0.0, 0.0, 0.0)


def test_pictures_are_those_of_a_session() -> None:
    recording = _recording()
    for reads in (False, True):
        posed = poses(LipSyncModel.load(TINY), recording, 0.24, reads)
        times_s = [time_s for time_s, _ in posed]
        np.testing.assert_allclose(times_s, (np.arange(30) + 0.5) / 30, atol=1e-3)
    looked_at = [time_s for time_s, _ in near_speech(recording, posed)]
    assert all(0.25 < time_s < 0.85 for time_s in looked_at)
    assert len(looked_at) < len(posed)
