"""Pipecat frames of ours."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import DataFrame


@dataclass
class AvatarCueFrame(DataFrame):
    """The mouth that belongs to the speech right behind this frame.

    It rides the output transport's audio queue, so it comes out when the speech before it
    has been handed to the track, and an interruption drops it together with its speech.

    Parameters:
        number: Counts the cues of a session.
        start: First sample of the speech, counted since the transport's audio buffer was empty.
        samples: Length of the speech in samples.
        rate_hz: Sample rate of the speech.
        curve: (steps, 10) float32 mouth controls, evenly spread over the speech.
        due_s: When the next sound is due that the transport gets after this frame, on the
            monotonic clock. The transport's output notes it as the frame leaves, if it knows: the
            frame may be taken in only when that sound has been handed on.
        put_samples: Samples that had been handed to the track by then.
    """

    number: int = 0
    start: int = 0
    samples: int = 0
    rate_hz: int = 0
    curve: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 10), np.float32))
    due_s: float | None = None
    put_samples: int = 0

    def __str__(self) -> str:
        return f"{self.name}(number: {self.number}, samples: {self.samples})"
