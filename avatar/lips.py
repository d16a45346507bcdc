"""The shape of the mouth: four curves, and where teeth and tongue lie, from the mouth controls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.rig import MouthShape

Curve = NDArray[np.float32]
SMILE_STEPS = 128
"""A smile is rounded to this many steps, too fine to see, so that a resting mouth costs nothing."""


def smoothstep(low: float, high: float, value: float) -> float:
    """0 below low, 1 above high, smooth between."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


@dataclass(frozen=True, slots=True)
class MouthControls:
    """Mouth controls as the drawing wants them; all 0..1 but wide and smile, which are -1..1.

    wide is spread minus round; smile includes the rig's rest smile; open and fv are what the
    pressed lips leave of them.
    """

    jaw: float
    open: float
    wide: float
    pucker: float
    press: float
    fv: float
    tip: float
    th: float
    teeth: float
    smile: float

    @classmethod
    def of(cls, mouth: tuple[float, ...], smile: float) -> "MouthControls":
        """From the first nine controls of MOUTH, already clipped to 0..1, and the whole smile."""
        jaw, opened, spread, rounded, press, fv, tip, th, teeth = mouth
        free = 1.0 - smoothstep(0.3, 0.85, press)
        return cls(
            jaw=jaw,
            open=max(opened, 0.24 * th) * free * (1.0 - 0.45 * fv),
            wide=spread - rounded,
            pucker=rounded,
            press=press,
            fv=fv * free,
            tip=tip,
            th=th,
            teeth=teeth * (1.0 - th),
            smile=round(smile * (1.0 - 0.65 * rounded) * SMILE_STEPS) / SMILE_STEPS,
        )


@dataclass(frozen=True, slots=True)
class Lips:
    """Edges of the lips over some columns, top to bottom; (columns,) float32 design units."""

    across: Curve  # -1 at one corner, 1 at the other
    upper_outer: Curve
    upper_inner: Curve
    lower_inner: Curve
    lower_outer: Curve

    def part(self, columns: slice) -> "Lips":
        """The edges over some of the columns."""
        return Lips(
            self.across[columns],
            self.upper_outer[columns],
            self.upper_inner[columns],
            self.lower_inner[columns],
            self.lower_outer[columns],
        )

    @property
    def gap(self) -> float:
        """Largest distance between the lips."""
        return float(np.max(self.lower_inner - self.upper_inner))


def half_width(shape: MouthShape, c: MouthControls) -> float:
    """From the middle of the mouth to a corner."""
    wider = 0.20 * max(c.wide, 0.0) - 0.14 * max(-c.wide, 0.0) - 0.38 * c.pucker
    return shape.half_width * (1.0 + wider + 0.11 * max(c.smile, 0.0)) * (1.0 - 0.07 * c.jaw)


def corner_height(shape: MouthShape, c: MouthControls) -> float:
    """y of the corners of the mouth."""
    raised = 1.0 + 11.0 * c.smile + 1.2 * max(c.wide, 0.0)
    return shape.center[1] - raised + 3.4 * c.jaw + 0.8 * c.pucker


def lip_curves(shape: MouthShape, c: MouthControls, x: Curve) -> Lips:
    """The four edges of the lips at columns x (design units, float32)."""
    width, corner = half_width(shape, c), corner_height(shape, c)
    across = (x - np.float32(shape.center[0])) / np.float32(width)
    side = np.abs(across)
    arch = np.clip(1.0 - across * across, 0.0, 1.0)
    inner = np.clip(1.0 - (across / 0.93) ** 2, 0.0, 1.0)
    spread, smile = max(c.wide, 0.0), max(c.smile, 0.0)

    opening = shape.aperture * c.open * (1.0 - 0.10 * c.pucker)
    rise = (0.20 + 0.22 * c.pucker) * opening
    rise += (2.4 * spread + 1.6 * smile) * min(1.0, 4.0 * c.open) + 5.4 * c.fv
    fall = (0.80 - 0.18 * c.pucker) * opening
    fall = fall * (1.0 - c.fv) - 0.9 * c.fv

    thin = 0.15 * spread + 0.10 * c.open + 0.12 * smile
    upper = shape.upper_lip * (1.0 + 0.20 * c.pucker - 0.40 * c.press - thin - 0.20 * c.fv)
    lower = shape.lower_lip * (1.0 + 0.14 * c.pucker - 0.34 * c.press - thin - 0.38 * c.fv)

    calm = (1.0 - 0.7 * c.pucker) * (1.0 - 0.5 * min(1.0, 3.0 * c.open))
    ripple = 1.2 * np.exp(-((across / 0.2) ** 2)) - 0.7 * np.exp(-(((side - 0.5) / 0.24) ** 2))
    seam = shape.center[1] + 0.6 * c.press + (corner - shape.center[1]) * side**2.2
    smooth, seam = seam, (seam + calm * (1.0 - 0.4 * c.press) * ripple).astype(np.float32)
    bow = 1.0 - (0.24 - 0.08 * c.pucker) * np.exp(-((across / 0.15) ** 2))
    bow += 0.05 * np.exp(-(((side - 0.30) / 0.16) ** 2))

    upper_inner = seam - rise * inner ** (0.85 - 0.40 * c.pucker - 0.12 * spread)
    lower_inner = seam + fall * inner ** (0.72 - 0.18 * c.pucker - 0.10 * spread - 0.14 * c.open)
    upper_outer = seam - rise * arch ** (0.80 - 0.20 * c.pucker) - 0.15
    upper_outer -= upper * bow * arch ** (0.80 - 0.22 * c.pucker)
    lower_outer = smooth + max(fall, -1.0) * arch ** (0.66 - 0.12 * c.pucker - 0.12 * c.open) + 0.15
    lower_outer += lower * arch ** (0.66 - 0.10 * c.pucker)
    lower_inner = np.minimum(lower_inner, lower_outer - 1.2 * arch)
    # The tongue between the teeth lies on the lower lip.
    onto = min(c.th, 4.0 * c.open) * (2.0 + 0.22 * lower)
    lower_inner = lower_inner + onto * np.exp(-((across / 0.42) ** 2))
    return Lips(
        across,
        upper_outer.astype(np.float32),
        upper_inner.astype(np.float32),
        lower_inner.astype(np.float32),
        lower_outer.astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Interior:
    """Where teeth and tongue lie; heights in design units."""

    upper_edge: float  # lower edge of the upper teeth
    lower_edge: float  # upper edge of the lower teeth
    tongue_top: float
    tongue_scale: float
    tongue_light: float  # 0 in the dark of the mouth .. 1 at the front
    teeth_scale: float  # width of the rows, 1 at rest
    tip_top: float  # the tip between the teeth; out of sight behind the lower lip without th


def inside(shape: MouthShape, c: MouthControls) -> Interior:
    """Places of teeth and tongue."""
    middle, drop = shape.center[1], shape.jaw_drop * c.jaw
    upper = middle + shape.teeth_edge - 6.0 * c.pucker * c.pucker * (1.0 - 0.75 * c.teeth)
    lower = middle + shape.teeth_edge + 1.4 + 0.86 * drop
    lower += (upper - 2.0 - lower) * c.teeth
    low = middle + 6.0 + 0.40 * drop
    raised = upper - 2.5
    hidden = middle + shape.aperture * c.open + 6.0
    return Interior(
        upper_edge=upper,
        lower_edge=lower,
        tongue_top=low + (raised - low) * c.tip * (1.0 - 0.7 * c.teeth),
        tongue_scale=1.0 - 0.10 * c.pucker - 0.08 * c.tip,
        tongue_light=0.66 + 0.30 * c.tip,
        teeth_scale=min(max(half_width(shape, c) / shape.half_width, 1.0), 1.2),
        tip_top=hidden + (upper - 1.5 - hidden) * c.th,
    )
