"""The lag of speech that benchmarks read from received sound and pictures, where it is known."""

import asyncio

import cv2
import numpy as np
import pytest
import soxr

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.controls import MOUTH, Pose
from avatar.mouth_curve import picture_mouth
from benchmarks.av_sync import clocks_of, mouth_track, speech_lags
from benchmarks.mouth_reading import MouthReader, fit_reader
from benchmarks.reception import mouth_crop
from benchmarks.recording import AUDIO_HZ, VIDEO_HZ, Recording
from offline.voice import SAMPLE_RATE_HZ
from tests.offline_speech import said

FPS = 30
LENGTH_S = 6.0


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """(samples,) int16, 48 kHz: four seconds of speech between two of silence."""
    text = "The quick brown fox jumps over the lazy dog, and my father was home by five."
    (raw,) = asyncio.run(said([text]))
    heard = soxr.resample(raw, SAMPLE_RATE_HZ, AUDIO_HZ)[: 4 * AUDIO_HZ]
    pcm = np.zeros(int(LENGTH_S * AUDIO_HZ), np.int16)
    pcm[AUDIO_HZ : AUDIO_HZ + len(heard)] = heard
    return pcm


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load()


@pytest.fixture(scope="module")
def reader(avatar: Avatar) -> MouthReader:
    return fit_reader(avatar.face().draw, drawings=300)


@pytest.fixture(scope="module")
def crops(avatar: Avatar, speech: np.ndarray) -> np.ndarray:
    """(pictures, 64, 64) uint8 mouths for the speech, each of its picture's middle."""
    face = avatar.face()
    segments = (animator := Animator(avatar.model, AUDIO_HZ)).feed(speech) + animator.flush()
    mouths = [picture_mouth(segment.curve) for segment in segments]
    poses = [Pose(**dict(zip(MOUTH, mouth.tolist(), strict=True))) for mouth in mouths]
    drawn = [cv2.cvtColor(face.draw(pose), cv2.COLOR_RGB2YUV_I420)[:512] for pose in poses]
    return np.array([mouth_crop(luma) for luma in drawn])


@pytest.mark.parametrize("late_ms", [-45.0, 0.0, 30.0])
def test_the_lag_that_was_put_in_is_found(
    late_ms: float, avatar: Avatar, reader: MouthReader, speech: np.ndarray, crops: np.ndarray
) -> None:
    pictures_s = np.arange(len(crops)) / FPS
    packets_s = np.arange(len(speech) // 960) * 0.02
    arrivals = 50 + pictures_s + late_ms / 1e3
    video = np.stack([arrivals, pictures_s * VIDEO_HZ, pictures_s * 0 + 900], axis=1)
    recording = Recording(
        audio_packets=np.stack([50 + packets_s, packets_s * AUDIO_HZ, packets_s * 0 + 80], axis=1),
        video_packets=video,
        audio_reports=np.zeros((0, 3)),
        video_reports=np.zeros((0, 3)),
        pcm=speech,
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


def test_a_track_covers_its_sound(avatar: Avatar, speech: np.ndarray) -> None:
    positions, opening = mouth_track(speech, avatar.model)
    assert np.all(np.diff(positions) > 0)
    assert positions[-1] == pytest.approx(LENGTH_S * AUDIO_HZ, abs=AUDIO_HZ / FPS)
    assert opening.min() >= 0
    assert opening.max() <= 1
