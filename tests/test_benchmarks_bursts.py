"""The benchmark's own cue source: its mouth is open exactly while its tone sounds."""

import numpy as np
import pytest

from avatar.controls import MOUTH
from benchmarks.bursts import LENGTH_S, BurstAnimator, burst_sound

OPEN = MOUTH.index("open")


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000])
@pytest.mark.parametrize("chunk", [160, 997, 1_000_000])
def test_segments_tile_the_sound_and_open_with_it(rate_hz: int, chunk: int) -> None:
    pcm = burst_sound(5, rate_hz, seed=1)
    animator = BurstAnimator(rate_hz)
    segments = []
    for start in range(0, len(pcm), chunk):
        segments += animator.feed(pcm[start : start + chunk])
    segments += animator.flush()
    assert sum(segment.samples for segment in segments) == len(pcm)
    assert [s.start for s in segments] == [k * rate_hz // 30 for k in range(len(segments))]
    open_ = np.concatenate([s.curve[:, OPEN] for s in segments])
    opened = np.flatnonzero(np.diff(open_, prepend=0) == 1)
    closed = np.flatnonzero(np.diff(open_, append=0) == -1) + 1
    assert len(opened) == len(closed) == 5
    # Four values a picture: edges are right to 8.3 ms.
    assert np.all(np.abs((closed - opened) / 120 - LENGTH_S) < 0.009)


def test_bursts_meet_every_phase_of_a_picture() -> None:
    pcm = burst_sound(60, 24_000, seed=2)
    starts = np.flatnonzero(np.diff((np.abs(pcm) > 3000).astype(int), prepend=0) == 1)
    starts = starts[np.diff(starts, prepend=-9999) > 6000]
    assert len(starts) == 60
    phases = np.histogram(starts % 800, bins=4, range=(0, 800))[0]
    assert phases.min() >= 5
