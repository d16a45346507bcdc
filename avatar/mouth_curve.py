"""Mouth evidence into mouth movement: closures held, values at the pictures' own times."""

import numpy as np
from numpy.typing import NDArray

from avatar.controls import MOUTH

SUBSTEPS = 4
"""Values of every control for each picture, so that a picture drawn late is still right."""

CLOSURE_OFF = 0.9
"""A closure ends where the evidence falls below this part of what began it."""

CLOSURE_ROWS = 3
"""A closure lasts three rows (60 ms) or more: it is seen in at least two pictures at 30 fps."""

_OPEN, _PRESS, _FV = MOUTH.index("open"), MOUTH.index("press"), MOUTH.index("fv")
_FV_APERTURE = 0.15


class Closures:
    """Makes flat tops of the two closing controls: lips pressed (p b m), lip under teeth (f v).

    Evidence above the model's threshold closes fully at once; the closure ends when it falls
    below CLOSURE_OFF of that, and not before CLOSURE_ROWS rows. While closed the aperture gives
    way.
    """

    def __init__(self, press_threshold: float, fv_threshold: float) -> None:
        self._threshold = {_PRESS: press_threshold, _FV: fv_threshold}
        self._age = {_PRESS: 0, _FV: 0}

    def shape(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (rows, 10) float32 evidence of the model as movement, same shape."""
        shaped = rows.copy()
        for row in shaped:
            for control, age in self._age.items():
                threshold = self._threshold[control] * (CLOSURE_OFF if age else 1.0)
                if 0 < age < CLOSURE_ROWS or row[control] >= threshold:
                    self._age[control] = age + 1
                    row[control] = 1.0
                else:
                    self._age[control] = 0
            row[_OPEN] *= 1.0 - row[_PRESS]
            if row[_FV] == 1.0:
                row[_OPEN] = min(row[_OPEN], _FV_APERTURE)
        return shaped


def mouth_at(
    rows: NDArray[np.float32], first_row: int, row_s: float, times_s: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate rows at any times.

    Args:
        rows: (rows, 10) float32; row i is the mouth at (first_row + i + 0.5) * row_s.
        first_row: Number of the first row given.
        row_s: Seconds between rows.
        times_s: (times,) seconds, rising. Outside the rows the nearest row holds.

    Returns:
        (times, 10) float32.
    """
    place = np.clip(times_s / row_s - 0.5 - first_row, 0, len(rows) - 1)
    before = np.minimum(place.astype(np.int64), max(len(rows) - 2, 0))
    after = np.minimum(before + 1, len(rows) - 1)
    weight = (place - before).astype(np.float32)[:, None]
    between: NDArray[np.float32] = rows[before] * (1 - weight) + rows[after] * weight
    return between


def picture_mouth(curve: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (10,) mouth of a picture that shows for the whole (steps, 10) curve.

    The middle of the curve, but closures at their peak: no p, b, m, f or v falls between
    two pictures.
    """
    middle = len(curve) // 2
    mouth: NDArray[np.float32] = (curve[(len(curve) - 1) // 2] + curve[middle]) / 2
    mouth[_PRESS] = curve[:, _PRESS].max()
    mouth[_FV] = curve[:, _FV].max()
    mouth[_OPEN] = min(mouth[_OPEN], 1.0 - mouth[_PRESS])
    return mouth
