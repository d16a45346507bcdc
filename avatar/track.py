"""The poses of a whole speech, picture by picture, for files rather than live sessions."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from avatar.animator import Animator
from avatar.controls import Pose
from avatar.lipsync import MOST_LOOKAHEAD_S
from avatar.mouth_curve import picture_mouth
from avatar.mouth_model import MouthModel
from avatar.performance import Performance
from avatar.phones import Segment
from avatar.words import Word

_PIECE_S = 1.0


def poses(
    model: MouthModel,
    pcm: NDArray[np.int16],
    rate_hz: int,
    fps: int = 30,
    seed: int = 1,
    words: Sequence[Word] = (),
    phones: Sequence[Segment] = (),
) -> Iterator[tuple[float, Pose]]:
    """Yield time and pose of every picture of a speech.

    Args:
        model: The lip-sync model.
        pcm: (samples,) int16, mono.
        rate_hz: Its sample rate, 8000 to 192000 Hz.
        fps: Pictures a second.
        seed: Seed of blinks, glances and head movement.
        words: What is spoken, if it is known.
        phones: What is spoken and when, if that is known instead.

    Yields:
        Seconds from the start of the sound to the middle of the picture's time, and its pose.

    Raises:
        ModelError: The model failed.
        ValueError: The rate is out of range.
    """
    animator = Animator(model, rate_hz, fps)
    animator.lookahead_s = MOST_LOOKAHEAD_S
    animator.expect(words)
    animator.expect_phones(phones)
    performance = Performance(seed)
    step = int(rate_hz * _PIECE_S)
    for start in range(0, len(pcm) + step, step):
        segments = animator.feed(pcm[start : start + step])
        if start + step >= len(pcm) + step:
            segments += animator.flush()
        for segment in segments:
            time_s = (segment.start + segment.samples / 2) / rate_hz
            yield time_s, performance.pose(time_s, picture_mouth(segment.curve))


def picture_count(samples: int, rate_hz: int, fps: int) -> int:
    """Return how many pictures `poses()` yields for this many samples."""
    return -(-samples * fps // rate_hz)
