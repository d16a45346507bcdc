"""What a face does by itself: blink, look about, sway, breathe; from a seed and the time."""

import math
from typing import NamedTuple

import numpy as np

from avatar.motion import Noise, Spring

BLINKS_PER_MIN = {False: 17.0, True: 26.0}  # by speaking; Bentivoglio et al. 1997
BLINK_CLOSE_S, BLINK_HOLD_S, BLINK_OPEN_S = 0.080, 0.030, 0.170
BLINK_GAP_MIN_S = 0.45  # a new blink starts only after the last has ended
BLINK_GAP_SPREAD = 0.55  # sigma of the log-normal gaps
DOUBLE_SHARE, DOUBLE_GAP_S = 0.08, 0.36
PARTIAL_SHARE = 0.5

SACCADE_S = 0.045
FIXATION_MIN_S, FIXATION_S, FIXATION_AWAY_S = 0.35, 1.3, 0.7
AWAY_TIME_SHARE = {False: 0.12, True: 0.25}  # by speaking

LONGEST_STEP_S = 10.0  # a pause longer than this passes without blinks and glances
BREATH_S = 4.1
TALKING_SWAY = 1.8  # times the sway at rest
NOD_S = 0.50
INTERRUPT_GAZE_S = 1.2


class LifeFace(NamedTuple):
    """The FACE controls, by the same names and in the same order and units."""

    smile: float
    blink_left: float
    blink_right: float
    brow: float
    brow_in: float
    squint: float
    gaze_x: float
    gaze_y: float
    yaw: float
    pitch: float
    roll: float
    breath: float


class Life:
    """One face's own life. The same seed and the same calls give the same life."""

    def __init__(self, seed: int) -> None:
        """A face that looks at the camera; its clock starts with the first call of face()."""
        rng, *parts = np.random.default_rng(seed).spawn(8)
        self._blinks, self._gaze = _Blinks(parts[0]), _Gaze(parts[1])
        rates_hz = (0.22, 0.27, 0.18, 0.30, 0.15)
        self._yaw, self._pitch, self._roll, self._brow, self._mood = (
            Noise(part, rate_hz) for part, rate_hz in zip(parts[2:], rates_hz, strict=True)
        )
        self._breath_phase = float(rng.uniform(0, 1))
        self._start_s: float | None = None
        self._time_s = 0.0
        self._nod_s = -math.inf
        self._sway = Spring(0.9, 1.0)
        self._turn, self._lift = Spring(0.25), Spring(0.25)
        self._nod = Spring(0.25)
        self._brow_spring = Spring(0.12)
        self._smile_spring = Spring(0.40)
        self._loudness = 0.0

    def face(self, time_s: float, speaking: bool, energy: float) -> LifeFace:
        """The face at a time.

        Args:
            time_s: seconds on any clock; never earlier than in the call before.
            speaking: the face speaks now; it then blinks, looks away and moves more.
            energy: loudness of its own speech, 0..1; emphasis lifts the brows and nods.

        Raises:
            ValueError: time runs backwards or is not finite, or energy is not finite.
        """
        if not math.isfinite(time_s) or not math.isfinite(energy):
            raise ValueError(f"time_s is {time_s}, energy is {energy}: both must be finite")
        if self._start_s is None:
            self._start_s = self._time_s = time_s
        if time_s < self._time_s:
            raise ValueError(f"time runs backwards: {time_s} s after {self._time_s} s")
        step_s, self._time_s = time_s - self._time_s, time_s
        age_s = time_s - self._start_s
        energy = min(max(energy, 0.0), 1.0) if speaking else 0.0

        usual = self._loudness
        self._loudness += (energy - usual) * (1 - math.exp(-step_s / 1.5))
        emphasis = min(max(2.5 * (energy - usual - 0.12), 0.0), 1.0)

        blink = self._blinks.lid(time_s, speaking)
        gaze_x, gaze_y = self._gaze.at(time_s, speaking)
        sway = self._sway.follow(TALKING_SWAY if speaking else 1.0, step_s)
        since_s = time_s - self._nod_s
        nod = math.sin(math.pi * since_s / NOD_S) ** 2 if 0 <= since_s < NOD_S else 0.0
        mood = self._mood.at(age_s)
        yaw = 2.6 * sway * self._yaw.at(age_s)
        pitch = 1.5 * sway * self._pitch.at(age_s)
        breath = 0.5 - 0.5 * math.cos(2 * math.pi * (age_s / BREATH_S + self._breath_phase))
        return LifeFace(
            smile=self._smile_spring.follow((0.08 if speaking else 0.02) + 0.08 * mood, step_s),
            blink_left=blink,
            blink_right=0.98 * blink,
            brow=self._brow_spring.follow(
                (0.08 if speaking else 0.03)
                + 0.10 * self._brow.at(age_s)
                + 0.30 * emphasis
                + 0.20 * nod,
                step_s,
            ),
            brow_in=0.05 * mood,
            squint=max(0.0, 0.08 * mood),
            gaze_x=gaze_x,
            gaze_y=gaze_y,
            yaw=yaw + self._turn.follow(3.0 * gaze_x, step_s),
            pitch=pitch
            + self._lift.follow(1.5 * gaze_y, step_s)
            + self._nod.follow(2.4 * emphasis, step_s)
            + 2.6 * nod,
            roll=1.2 * sway * self._roll.at(age_s),
            breath=breath,
        )

    def interrupt(self, time_s: float) -> None:
        """Somebody cuts in: look at the camera at once and nod a little.

        Args:
            time_s: now, on the clock of face(); an earlier time counts as that of its last call.

        Raises:
            ValueError: time_s is not finite.
        """
        if not math.isfinite(time_s):
            raise ValueError(f"time_s is {time_s}: must be finite")
        if self._start_s is not None:
            time_s = max(time_s, self._time_s)
        self._nod_s = time_s
        self._gaze.to_camera(time_s)


class _Blinks:
    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._time_s: float | None = None
        self._onset_s = -math.inf
        self._depth = 1.0
        self._wait = float(rng.uniform(0.2, 0.9))  # in mean gaps, so that the rate may change

    def lid(self, time_s: float, speaking: bool) -> float:
        """How far the lids are closed, 0..1."""
        rate = BLINKS_PER_MIN[speaking] / 60
        if self._time_s is None:
            self._time_s = time_s
        self._wait -= min(time_s - self._time_s, LONGEST_STEP_S) * rate
        self._time_s = time_s
        while self._wait <= 0:
            self._onset_s = time_s + self._wait / rate
            self._wait += self._gap_s(rate) * rate
            partial = self._rng.random() < PARTIAL_SHARE
            self._depth = float(self._rng.uniform(0.55, 0.85)) if partial else 1.0
        return self._depth * _blink_curve(time_s - self._onset_s)

    def _gap_s(self, rate: float) -> float:
        if self._rng.random() < DOUBLE_SHARE:
            return DOUBLE_GAP_S
        mean = (1 / rate - DOUBLE_SHARE * DOUBLE_GAP_S) / (1 - DOUBLE_SHARE) - BLINK_GAP_MIN_S
        middle = math.log(mean) - BLINK_GAP_SPREAD**2 / 2
        return BLINK_GAP_MIN_S + float(self._rng.lognormal(middle, BLINK_GAP_SPREAD))


def _blink_curve(since_s: float) -> float:
    if since_s < BLINK_CLOSE_S:
        share = max(since_s / BLINK_CLOSE_S, 0.0)
    elif since_s < BLINK_CLOSE_S + BLINK_HOLD_S:
        share = 1.0
    else:
        share = max(1 - (since_s - BLINK_CLOSE_S - BLINK_HOLD_S) / BLINK_OPEN_S, 0.0)
    return share * share * (3 - 2 * share)


class _Gaze:
    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._from = self._to = (0.0, 0.0)
        self._start_s = -math.inf
        self._until_s: float | None = None

    def at(self, time_s: float, speaking: bool) -> tuple[float, float]:
        """Where the eyes look, -1..1 to the right and down."""
        if self._until_s is None:
            self._until_s = time_s + 0.8
        self._until_s = max(self._until_s, time_s - LONGEST_STEP_S)
        while time_s >= self._until_s:
            self._jump(self._until_s, speaking)
        return self._position(time_s)

    def to_camera(self, time_s: float) -> None:
        """Look into the camera and stay there a while."""
        self._from, self._to = self._position(time_s), (0.0, 0.0)
        self._start_s, self._until_s = time_s, time_s + INTERRUPT_GAZE_S

    def _jump(self, time_s: float, speaking: bool) -> None:
        rng, share = self._rng, AWAY_TIME_SHARE[speaking]
        stay, stay_away = FIXATION_MIN_S + FIXATION_S, FIXATION_MIN_S + FIXATION_AWAY_S
        away = rng.random() < share * stay / (share * stay + (1 - share) * stay_away)
        self._from, self._start_s = self._position(time_s), time_s
        if away:
            side = 1.0 if rng.random() < 0.5 else -1.0
            self._to = (side * float(rng.uniform(0.30, 0.75)), float(rng.uniform(-0.35, 0.25)))
            gap_s = rng.exponential(FIXATION_AWAY_S)
        else:
            x, y = rng.normal(0, 1, 2)
            self._to = (0.06 * float(np.clip(x, -2, 2)), 0.04 * float(np.clip(y, -2, 2)))
            gap_s = rng.exponential(FIXATION_S)
        self._until_s = time_s + FIXATION_MIN_S + float(gap_s)

    def _position(self, time_s: float) -> tuple[float, float]:
        share = min(max((time_s - self._start_s) / SACCADE_S, 0.0), 1.0)
        share = share * share * share * (10 - 15 * share + 6 * share * share)
        (x0, y0), (x1, y1) = self._from, self._to
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
