"""Smooth movement: critically damped springs and slow noise, at any time step."""

import math

import numpy as np


class Spring:
    """A value that follows its target without overshoot.

    The solution of the critically damped equation is exact, so that the way does not depend on
    the time steps.
    """

    def __init__(self, settle_s: float, value: float = 0.0) -> None:
        """At rest at a value.

        Args:
            settle_s: time in which 90 % of a step to a new target is covered.
            value: where it starts.
        """
        self._omega = 3.89 / settle_s
        self._value = value
        self._speed = 0.0

    def follow(self, target: float, step_s: float) -> float:
        """The value after step_s seconds with the target held still."""
        away = self._value - target
        push = self._speed + self._omega * away
        decay = math.exp(-self._omega * step_s)
        self._value = target + (away + push * step_s) * decay
        self._speed = (self._speed - self._omega * push * step_s) * decay
        return self._value


class Noise:
    """Smooth noise in -1..1 of three octaves, never repeating; time only moves forward."""

    OCTAVES = 3

    def __init__(self, rng: np.random.Generator, frequency_hz: float) -> None:
        """Random values about `frequency_hz` times a second, finer ones on top."""
        self._rngs = rng.spawn(self.OCTAVES)  # so that time steps do not change their order
        self._rates = [frequency_hz * 1.9**octave for octave in range(self.OCTAVES)]
        self._gains = [0.45**octave for octave in range(self.OCTAVES)]
        self._phases = [float(phase) for phase in rng.uniform(0, 1, self.OCTAVES)]
        self._cells = [0] * self.OCTAVES
        self._ends = [(float(a), float(b)) for a, b in rng.uniform(-1, 1, (self.OCTAVES, 2))]

    def at(self, time_s: float) -> float:
        """The noise at a time since the start, not earlier than the one asked before."""
        total = 0.0
        for octave, rate in enumerate(self._rates):
            place = time_s * rate + self._phases[octave]
            cell = math.floor(place)
            for _ in range(min(cell - self._cells[octave], 2)):
                self._ends[octave] = (
                    self._ends[octave][1],
                    float(self._rngs[octave].uniform(-1, 1)),
                )
            self._cells[octave] = cell
            here, there = self._ends[octave]
            share = place - cell
            share = share * share * share * (10 - 15 * share + 6 * share * share)
            total += self._gains[octave] * (here + (there - here) * share)
        return total / sum(self._gains)
