"""Tone bursts and the mouth that belongs to them: a cue source whose truth is known."""

import numpy as np
from numpy.typing import NDArray

from avatar.animator import MouthSegment
from avatar.controls import MOUTH
from avatar.mouth_curve import SUBSTEPS
from benchmarks.skew import tone_envelope

PERIOD_S = 0.617
"""Off the grid of 30 pictures a second, so that every phase is met."""
JITTER_S = 0.05
LENGTH_S = 0.2
LEAD_S = 0.02
TONE_HZ = 700.0
LEVEL = 0.5
OPEN_ABOVE = 0.1


def burst_sound(count: int, rate_hz: int, seed: int) -> NDArray[np.int16]:
    """Tone bursts of 0.2 s, about 0.617 s apart, with hard edges.

    Args:
        count: how many.
        rate_hz: sample rate.
        seed: of the jitter.

    Returns:
        (samples,) int16, mono; the first burst begins within 0.07 s.
    """
    rng = np.random.default_rng(seed)
    pcm = np.zeros(round((LEAD_S + JITTER_S + count * PERIOD_S) * rate_hz), np.float32)
    tone_s = np.arange(round(LENGTH_S * rate_hz)) / rate_hz
    tone = LEVEL * np.cos(2 * np.pi * TONE_HZ * tone_s)
    for burst in range(count):
        start = round((LEAD_S + burst * PERIOD_S + rng.uniform(0, JITTER_S)) * rate_hz)
        pcm[start : start + len(tone)] = tone
    return (pcm * 32767).astype(np.int16)


class BurstAnimator:
    """Takes the place of avatar.animator.Animator: wide open while a tone sounds, else closed.

    It knows the mouth at once; segments go out as soon as they are whole.
    """

    lookahead_s = used_lookahead_s = 0.0
    reads = False

    def __init__(self, rate_hz: int, fps: int = 30) -> None:
        """Start at the beginning of a speech at rate_hz."""
        self.rate_hz = rate_hz
        self._fps = fps
        self._wide = np.array([name in ("open", "jaw", "speak") for name in MOUTH], np.float32)
        self.reset()

    def reset(self) -> None:
        """Drop what is held and start a new speech."""
        self._held: NDArray[np.int16] = np.zeros(0, np.int16)
        self._picture = 0

    def feed(self, pcm: NDArray[np.int16]) -> list[MouthSegment]:
        """Take (samples,) int16; give the segments that are whole."""
        self._held = np.concatenate((self._held, pcm))
        return self._segments(shortest=None)

    def flush(self) -> list[MouthSegment]:
        """End the speech; give the rest and start anew."""
        segments = self._segments(shortest=1)
        self.reset()
        return segments

    def _segments(self, shortest: int | None) -> list[MouthSegment]:
        envelope = tone_envelope(self._held, self.rate_hz)
        segments, used = [], 0
        while True:
            start = self._picture * self.rate_hz // self._fps
            whole = (self._picture + 1) * self.rate_hz // self._fps - start
            samples = min(whole, len(self._held) - used)
            if samples < (shortest or whole):
                break
            centres = used + ((np.arange(SUBSTEPS) + 0.5) / SUBSTEPS * samples).astype(int)
            open_ = envelope[centres] > OPEN_ABOVE
            curve = open_[:, None].astype(np.float32) * self._wide
            segments.append(MouthSegment(start, samples, curve))
            used += samples
            self._picture += 1
        self._held = self._held[used:]
        return segments
