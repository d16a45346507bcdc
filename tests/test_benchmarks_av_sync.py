"""The lag of speech that benchmarks read from received sound and pictures, where it is known."""

import cv2
import numpy as np
import pytest

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.controls import MOUTH, Pose
from avatar.mouth_curve import picture_mouth
from benchmarks.av_sync import clocks_of, mouth_track, speech_lags
from benchmarks.mouth_reading import MouthReader, fit_reader
from benchmarks.reception import mouth_crop
from benchmarks.recording import AUDIO_HZ, VIDEO_HZ, Recording

FPS = 30
LENGTH_S = 6.0


def babble() -> np.ndarray:
    """(samples,) int16, 48 kHz: 4 s of a buzz that swells and fades like syllables."""
    seconds = np.arange(int(LENGTH_S * AUDIO_HZ)) / AUDIO_HZ
    rng = np.random.default_rng(4)
    knots_s = np.arange(0, LENGTH_S, 0.09)
    loudness = rng.uniform(0, 1, len(knots_s)) ** 2 * ((knots_s > 1) & (knots_s < 5))
    buzz = sum(np.sin(2 * np.pi * 140 * k * seconds) / k for k in range(1, 20))
    return (buzz * np.interp(seconds, knots_s, loudness) * 9000).astype(np.int16)


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load()


@pytest.fixture(scope="module")
def reader(avatar: Avatar) -> MouthReader:
    return fit_reader(avatar.face().draw, drawings=300)


@pytest.fixture(scope="module")
def crops(avatar: Avatar) -> np.ndarray:
    """(pictures, 64, 64) uint8 mouths for `babble`, each of its picture's middle."""
    face, pcm = avatar.face(), babble()
    segments = (animator := Animator(avatar.model, AUDIO_HZ)).feed(pcm) + animator.flush()
    mouths = [picture_mouth(segment.curve) for segment in segments]
    poses = [Pose(**dict(zip(MOUTH, mouth.tolist(), strict=True))) for mouth in mouths]
    drawn = [cv2.cvtColor(face.draw(pose), cv2.COLOR_RGB2YUV_I420)[:512] for pose in poses]
    return np.array([mouth_crop(luma) for luma in drawn])


@pytest.mark.parametrize("late_ms", [-45.0, 0.0, 30.0])
def test_the_lag_that_was_put_in_is_found(
    late_ms: float, avatar: Avatar, reader: MouthReader, crops: np.ndarray
) -> None:
    pcm, pictures_s = babble(), np.arange(len(crops)) / FPS
    packets_s = np.arange(len(pcm) // 960) * 0.02
    arrivals = 50 + pictures_s + late_ms / 1e3
    video = np.stack([arrivals, pictures_s * VIDEO_HZ, pictures_s * 0 + 900], axis=1)
    recording = Recording(
        audio_packets=np.stack([50 + packets_s, packets_s * AUDIO_HZ, packets_s * 0 + 80], axis=1),
        video_packets=video,
        audio_reports=np.zeros((0, 3)),
        video_reports=np.zeros((0, 3)),
        pcm=pcm,
        pcm_rtp=0.0,
        pictures=crops,
        picture_rtp=video[:, 1],
        events=[(50.0, "/speak")],
    )
    clocks = clocks_of(recording)
    assert list(clocks) == ["wire"]
    (lag,) = speech_lags(recording, reader, avatar.model, clocks["wire"])
    assert lag.lag_ms == pytest.approx(late_ms, abs=6)
    assert lag.correlation > 0.9


def test_a_track_covers_its_sound(avatar: Avatar) -> None:
    positions, opening = mouth_track(babble(), avatar.model)
    assert np.all(np.diff(positions) > 0)
    assert positions[-1] == pytest.approx(LENGTH_S * AUDIO_HZ, abs=AUDIO_HZ / FPS)
    assert opening.min() >= 0
    assert opening.max() <= 1
