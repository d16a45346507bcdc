"""How far sound and mouth are apart in a recording: by the edges of bursts, and by correlation.

Skew is video minus audio: above zero the mouth is late. A picture counts from its arrival for as
long as it is shown, so a mouth drawn for the middle of its picture has, on average, no skew.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from benchmarks.recording import AUDIO_HZ, Recording, RtpClock

QUIET_S = 0.1
"""A burst begins after at least this much quiet."""
HOLE_S = 0.003
"""A longer pause inside a burst is a hole."""
PAIR_WITHIN_S = 0.25
"""A mouth edge belongs to a sound edge at most this far away."""
PICTURE_S, LONGEST_PICTURE_S = 1 / 30, 0.1
"""How long the last picture is shown, and how long any other at most, until the next one comes."""
LAG_STEP_S = 0.002
"""Step at which correlations are taken; the peak is interpolated between steps."""


@dataclass(frozen=True)
class Spread:
    """A sample's median and tails, in milliseconds."""

    n: int
    median: float
    p05: float
    p95: float
    abs_p95: float

    @classmethod
    def of(cls, values_ms: np.ndarray) -> "Spread":
        """The spread of (n,) milliseconds; NaN throughout when there are none."""
        if not len(values_ms):
            return cls(0, np.nan, np.nan, np.nan, np.nan)
        p05, median, p95 = (float(v) for v in np.percentile(values_ms, [5, 50, 95]))
        abs_p95 = float(np.percentile(np.abs(values_ms), 95))
        return cls(len(values_ms), median, p05, p95, abs_p95)

    def as_numbers(self) -> dict[str, float]:
        """The same for JSON, rounded to a tenth."""
        return {name: round(value, 1) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.median:7.1f} {self.p05:7.1f} {self.p95:7.1f}   n={self.n}"


def loud_edges(
    pcm: np.ndarray, threshold: int = 2500, quiet_s: float = QUIET_S
) -> tuple[np.ndarray, np.ndarray]:
    """Where sound begins and ends.

    Args:
        pcm: (samples,) int16, 48 kHz.
        threshold: a sample this far from zero is loud.
        quiet_s: shorter pauses do not end a sound.

    Returns:
        Starts and ends, each (sounds,) float64 sample indices: first and last loud sample.
    """
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= threshold)
    if not len(loud):
        return np.zeros(0), np.zeros(0)
    breaks = np.flatnonzero(np.diff(loud) > quiet_s * AUDIO_HZ)
    starts = np.concatenate([loud[:1], loud[breaks + 1]])
    ends = np.concatenate([loud[breaks], loud[-1:]])
    return starts.astype(np.float64), ends.astype(np.float64)


def holes(pcm: np.ndarray) -> int:
    """How often silence was put into sound that has none: pauses of 3 to 100 ms in tone bursts.

    Args:
        pcm: (samples,) int16, 48 kHz, bursts of an even tone.
    """
    return len(loud_edges(pcm, quiet_s=HOLE_S)[0]) - len(loud_edges(pcm)[0])


def mouth_edges(opening: np.ndarray, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Where a mouth opens and closes.

    Args:
        opening: (pictures,) how far open each picture's mouth is.
        threshold: above it a mouth is open.

    Returns:
        Indices of the first open picture and of the first closed picture after each opening.
    """
    steps = np.diff((opening > threshold).astype(np.int8), prepend=0)
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


@dataclass(frozen=True)
class BurstSkew:
    """Skew of each burst's two edges, (n,) milliseconds each; `missed`: edges without a mouth."""

    opening_ms: np.ndarray
    closing_ms: np.ndarray
    missed: int


def burst_skew(
    recording: Recording, opening: np.ndarray, clocks: tuple[RtpClock, RtpClock]
) -> BurstSkew:
    """Skew of mouth against tone bursts.

    Args:
        recording: bursts of a tone with pauses of more than 100 ms.
        opening: (pictures,) in [0, 1], read from `recording.pictures`.
        clocks: of sound and pictures, from the recording.
    """
    sound, sight = clocks
    edges_ms, missed = [], 0
    for at_samples, at_pictures in zip(
        loud_edges(recording.pcm), mouth_edges(opening), strict=True
    ):
        heard = sound(recording.pcm_rtp + at_samples)
        seen = sight(recording.picture_rtp[at_pictures])
        skews = _nearest(heard, seen)
        missed += int(np.isnan(skews).sum())
        edges_ms.append(skews[~np.isnan(skews)] * 1e3)
    return BurstSkew(edges_ms[0], edges_ms[1], missed)


def _nearest(heard: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """For each time heard the nearest time seen minus it, NaN when none is within reach."""
    if not len(seen) or not len(heard):
        return np.full(len(heard), np.nan)
    gaps = seen[None, :] - heard[:, None]
    best = gaps[np.arange(len(heard)), np.abs(gaps).argmin(axis=1)]
    return np.where(np.abs(best) <= PAIR_WITHIN_S, best, np.nan)


@dataclass(frozen=True)
class Lag:
    """The shift of best correlation, above zero when the mouth is late, and how good it is."""

    lag_ms: float
    correlation: float


def correlation_lag(
    track_s: np.ndarray,
    track: np.ndarray,
    seen_s: np.ndarray,
    opening: np.ndarray,
    furthest_s: float = 0.3,
) -> Lag:
    """How much later the pictures' mouth is than the track of the sound.

    Args:
        track_s: (rows,) seconds, increasing, at which the sound was heard.
        track: (rows,) mouth opening that belongs to that sound.
        seen_s: (pictures,) arrival of each picture, on the same clock.
        opening: (pictures,) mouth opening seen in it.
        furthest_s: shifts up to this are tried.
    """
    lags = np.arange(-furthest_s, furthest_s + LAG_STEP_S / 2, LAG_STEP_S)
    shown_for = np.diff(seen_s, append=seen_s[-1:] + PICTURE_S)
    shown = seen_s + np.clip(shown_for, 0, LONGEST_PICTURE_S) / 2
    expected = np.interp(shown[None, :] - lags[:, None], track_s, track)
    expected -= expected.mean(axis=1, keepdims=True)
    seen = opening - opening.mean()
    norms = np.sqrt((expected**2).sum(axis=1) * (seen**2).sum())
    correlations = expected @ seen / np.maximum(norms, 1e-12)
    best = int(correlations.argmax())
    shift = 0.0
    if 0 < best < len(lags) - 1:
        before, here, after = correlations[best - 1 : best + 2]
        bend = before - 2 * here + after
        shift = float(0.5 * (before - after) / bend) if bend < 0 else 0.0
    return Lag(float((lags[best] + shift * LAG_STEP_S) * 1e3), float(correlations[best]))


def tone_envelope(pcm: np.ndarray, rate_hz: int, span_s: float = 0.0008) -> np.ndarray:
    """Peak level around each sample, without delay.

    Args:
        pcm: (samples,) int16.
        rate_hz: its rate.
        span_s: half a period of the lowest tone is bridged.

    Returns:
        (samples,) float32 in [0, 1].
    """
    level = np.abs(pcm.astype(np.float32)) / 32768
    envelope: np.ndarray = maximum_filter1d(level, max(1, round(span_s * rate_hz)))
    return envelope
