"""Lips by loudness: rows as the model gives them, open with the sound, shut without."""

import numpy as np
import pytest

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.controls import MOUTH
from avatar.lipsync import ROW_SAMPLES
from avatar.loudness import LoudnessLips

OPEN = MOUTH.index("open")


def noise(samples: int, level: float) -> np.ndarray:
    """Return (samples,) float32 of white noise."""
    return (np.random.default_rng(1).standard_normal(samples) * level).astype(np.float32)


@pytest.mark.parametrize("chunk", [1, 97, 320, 5000])
def test_chunks_do_not_matter_and_every_sample_is_covered(chunk: int) -> None:
    pcm = noise(4000, 0.1)
    lips = LoudnessLips()
    parts = [lips.feed(pcm[start : start + chunk]) for start in range(0, len(pcm), chunk)]
    rows = np.concatenate([*parts, lips.flush()])
    assert rows.shape == (-(-4000 // ROW_SAMPLES), len(MOUTH))
    whole = LoudnessLips()
    np.testing.assert_array_equal(rows, np.concatenate((whole.feed(pcm), whole.flush())))


def test_the_mouth_opens_with_loudness_and_is_shut_in_silence() -> None:
    loud, soft, silent = (LoudnessLips().feed(noise(3200, x))[:, OPEN] for x in (0.2, 0.03, 0.0))
    assert loud.mean() > 0.6 > soft.mean() > 0.1
    assert not silent.any()


def test_an_animator_can_do_without_the_model(avatar: Avatar) -> None:
    pcm = (noise(24_000, 0.1) * 32767).astype(np.int16)
    animator = Animator(avatar.model, 24_000, simple=True)
    segments = animator.feed(pcm) + animator.flush()
    assert sum(segment.samples for segment in segments) == len(pcm)
    assert np.mean([segment.curve[:, OPEN].mean() for segment in segments]) > 0.2
