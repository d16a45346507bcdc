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
    """

    number: int = 0
    start: int = 0
    samples: int = 0
    rate_hz: int = 0
    curve: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 10), np.float32))

    def __str__(self) -> str:
        return f"{self.name}(number: {self.number}, samples: {self.samples})"
