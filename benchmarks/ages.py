"""How old sound and pictures are when they come: arrival minus RTP time, least of a session 0.

What a stream is later than at its best moment piled up in the pod or on the way; a player that
does not want to stop must wait for it.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.recording import ARRIVAL, AUDIO_HZ, RTP, VIDEO_HZ, Recording, last_arrivals

OLD_MS = 100.0
"""No sound and no picture should be older."""
WHOLE_AFTER_S = 0.25
"""A picture is counted once this much came after it: then its last packet is there too."""


@dataclass(frozen=True)
class Ages:
    """The ages of one stream's packets or pictures, in order.

    Attributes:
        arrivals_s: (n,) on the peer's clock.
        ages_ms: (n,).
    """

    arrivals_s: np.ndarray
    ages_ms: np.ndarray

    def between(self, start_s: float, end_s: float) -> "Ages":
        """Those that came in a stretch of time."""
        here = (self.arrivals_s >= start_s) & (self.arrivals_s < end_s)
        return Ages(self.arrivals_s[here], self.ages_ms[here])

    def values(self) -> dict[str, float]:
        """Percentiles in milliseconds, and how many are too old; NaN without any."""
        names = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        found = {
            name: float(np.percentile(self.ages_ms, share)) if len(self.ages_ms) else np.nan
            for name, share in names.items()
        }
        return {**found, "old": float((self.ages_ms > OLD_MS).sum()), "n": len(self.ages_ms)}


class AgeLog:
    """Takes recordings of a session one after another, overlapping or not."""

    def __init__(self) -> None:
        self._delays: dict[str, list[np.ndarray]] = {"sound": [], "pictures": []}
        self._last_rtp = {"sound": -np.inf, "pictures": -np.inf}

    def add(self, recording: Recording) -> None:
        """Take what is new in a recording."""
        self._add("sound", recording.audio_packets[:, [ARRIVAL, RTP]], AUDIO_HZ)
        whole = np.array(
            [(arrival, rtp) for rtp, arrival in last_arrivals(recording.video_packets).items()]
        ).reshape(-1, 2)
        if len(whole):
            whole = whole[whole[:, 0] < recording.video_packets[-1, ARRIVAL] - WHOLE_AFTER_S]
        self._add("pictures", whole, VIDEO_HZ)

    def ages(self, stream: str) -> Ages:
        """All ages of "sound" or "pictures" so far."""
        rows = np.concatenate([np.zeros((0, 2)), *self._delays[stream]])
        delays_s = rows[:, 1]
        least_s = delays_s.min() if len(delays_s) else 0.0
        return Ages(rows[:, 0], (delays_s - least_s) * 1e3)

    def _add(self, stream: str, rows: np.ndarray, hz: int) -> None:
        """Take (n, 2) arrivals and RTP timestamps."""
        new = rows[rows[:, 1] > self._last_rtp[stream]]
        if len(new):
            self._last_rtp[stream] = float(new[:, 1].max())
            delays_s = new[:, 0] - new[:, 1] / hz
            self._delays[stream].append(np.stack([new[:, 0], delays_s], axis=1))
