"""Draw the eyes into the face layer: lids, lashes, the white and the iris."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.compositing import over, planes
from avatar.layers import Buffer, moved, scaled
from avatar.rig import Rig

Plane = NDArray[np.float32]
LID_STEPS, SQUINT_STEPS, GAZE_STEPS = 96, 32, 128
"""Controls are rounded to this many steps, too fine to see, so that a fixation costs nothing."""


@dataclass(frozen=True, slots=True)
class EyeControls:
    """One eye: lid 0 open .. 1 closed (below 0 wide open), squint 0..1, gaze -1..1."""

    lid: float
    squint: float
    gaze_x: float
    gaze_y: float

    def rounded(self) -> "EyeControls":
        """The nearest controls that are drawn."""
        return EyeControls(
            round(self.lid * LID_STEPS) / LID_STEPS,
            round(self.squint * SQUINT_STEPS) / SQUINT_STEPS,
            round(self.gaze_x * GAZE_STEPS) / GAZE_STEPS,
            round(self.gaze_y * GAZE_STEPS) / GAZE_STEPS,
        )


class Eye:
    """Draws one eye into one face buffer; keeps what it drew last."""

    def __init__(self, rig: Rig, face: Buffer, side: int) -> None:
        """Prepare curves and textures at the buffer's scale.

        Args:
            rig: the checked avatar.
            face: the face layer; draw() changes its pixels.
            side: -1 for the eye on the left of the picture, 1 for the right.
        """
        self._shape = shape = rig.eyes
        self._face, self._side = face, side
        self._center = shape.left if side < 0 else shape.right
        self._drawn: EyeControls | None = None
        cx, cy = self._center
        reach = shape.half_width + 10
        left, top, right, bottom = face.rect(cx - reach, cy - 28, cx + reach, cy + 17)
        self._region = face.pixels[top:bottom, left:right]
        self._rest = planes(self._region[..., :3])
        self._x = face.x(np.arange(left, right, dtype=np.float32))[None, :]
        self._y = face.y(np.arange(top, bottom, dtype=np.float32))[:, None]
        self._along = (side * (self._x - cx) / shape.half_width + 1) / 2
        along = np.clip(self._along, 1e-4, 1 - 1e-4)
        slant = cy + 5.6 - 4.0 * along
        self._arch = np.sin(np.pi * along) ** 0.6
        self._upper = slant - shape.upper * np.sin(np.pi * along**0.90) ** 0.70
        self._lower = slant + shape.lower * np.sin(np.pi * along**1.12) ** 0.80
        self._closed = slant + 0.88 * shape.lower * np.sin(np.pi * along) ** 0.85
        self._iris = scaled(rig.layers["iris"], face.scale)
        color = rig.palette
        self._lid, self._crease, self._lash, self._white, self._white_shade = (
            np.array(one, np.float32)[:, None, None]
            for one in (color.lid, color.crease, color.lash, color.sclera, color.sclera_shade)
        )

    def draw(self, controls: EyeControls) -> None:
        """Bring the face buffer to these controls; free of cost when they did not change."""
        controls = controls.rounded()
        if controls == self._drawn:
            return
        self._drawn = controls
        shut = max(controls.lid, 0.0)
        upper = self._upper + (self._closed - self._upper) * controls.lid
        upper = upper + 2.4 * controls.gaze_y * (1 - shut)
        lower = self._lower + (self._closed + 0.4 - self._lower) * (0.35 * shut)
        lower = lower - 4.2 * controls.squint * np.sin(np.pi * np.clip(self._along, 0, 1))
        lower = np.maximum(lower, upper)
        picture = self._rest.copy()
        self._draw_lid(picture, upper, shut)
        if controls.lid < 0.985:
            self._draw_ball(picture, upper, lower, controls)
        self._draw_lashes(picture, upper, lower, shut)
        np.clip(picture, 0, 255, out=picture)
        self._region[..., :3] = picture.astype(np.uint8).transpose(1, 2, 0)

    def _below(self, curve: Plane) -> Plane:
        """Signed distance below a curve in pixels."""
        scale = self._face.scale
        slope = np.gradient(curve[0]) * scale
        return np.asarray((self._y - curve) * (scale / np.sqrt(1 + slope * slope)), np.float32)

    def _draw_lid(self, picture: Plane, upper: Plane, shut: float) -> None:
        y, along, arch = self._y, self._along, self._arch
        share = np.exp(-np.clip(upper - y, 0, 99) / np.float32(5 + 4 * shut)) * (y < upper + 1)
        picture += (self._lid - picture) * (share * arch * np.float32(0.22 + 0.20 * shut))
        fold = self._upper - 5.2 + (self._closed - self._upper) * (0.22 * shut)
        fold = fold + 1.5 * (1 - np.sin(np.pi * np.clip(along, 0, 1)))
        line = np.exp(-(((y - fold) / 1.05) ** 2))
        line *= np.clip(np.sin(np.pi * np.clip(along - 0.04, 0, 1)), 0, 1) ** 0.8
        picture += (self._crease - picture) * (line * np.float32(0.60 - 0.25 * shut))

    def _draw_ball(self, picture: Plane, upper: Plane, lower: Plane, c: EyeControls) -> None:
        shape, scale, (cx, cy) = self._shape, self._face.scale, self._center
        along, below = self._along, self._below(upper)
        wide = 2 * shape.half_width * scale
        share = np.clip(np.minimum(below, -self._below(lower)) + 0.5, 0, 1)
        share = share * np.clip(np.minimum(along, 1 - along) * wide + 0.5, 0, 1)
        deep = np.clip(below, 0, None)
        shade = np.exp(-deep / np.float32(6 * scale)) * 0.6 + 0.9 * (along - 0.48) ** 2
        ball = self._white + (self._white_shade - self._white) * np.clip(shade, 0, 1)
        corner = np.exp(-(((along * 2 * shape.half_width - 1.5) / 3.2) ** 2)) * np.float32(0.5)
        ball = (ball + (self._lid + 30 - ball) * corner).astype(np.float32)
        ix = cx + c.gaze_x * shape.gaze[0] - 0.8 * self._side
        iy = cy - 2.0 + c.gaze_y * shape.gaze[1]
        x0, y0 = float(self._x[0, 0]), float(self._y[0, 0])
        half_h, half_w = self._iris.shape[0] / 2, self._iris.shape[1] / 2
        matrix = np.array(
            [[1, 0, (ix - x0) * scale - half_w + 0.5], [0, 1, (iy - y0) * scale - half_h + 0.5]]
        )
        height, width = ball.shape[1:]
        over(ball, planes(moved(self._iris, matrix, width, height)))
        ball *= 1 - np.exp(-deep / np.float32(4.2 * scale)) * np.float32(0.42)
        for dx, dy, radius, strength in ((-4.6, -5.0, 4.1, 0.97), (4.6, 5.2, 1.9, 0.55)):
            # the light stays where it is, so its reflection follows the gaze only a little
            hx, hy = ix + dx - 1.5 * c.gaze_x, iy + dy - 1.2 * c.gaze_y
            distance = np.sqrt((self._x - hx) ** 2 + (self._y - hy) ** 2)
            spot = np.clip((radius - distance) * scale + 0.5, 0, 1) * np.float32(strength)
            ball += (255 - ball) * spot
        picture += (ball - picture) * share

    def _draw_lashes(self, picture: Plane, upper: Plane, lower: Plane, shut: float) -> None:
        scale, y, along = self._face.scale, self._y, self._along
        width = 2 * self._shape.half_width
        line = np.clip(1.05 - np.abs(y - lower - 0.2) * (0.8 * scale), 0, 1)
        line = line * np.clip((along - 0.25) / 0.6, 0, 1) * (along < 1) * np.float32(0.5)
        picture += (self._lash - picture) * line
        wing = np.clip(along - 1, 0, 1) * width
        edge = upper + wing * np.float32(-0.62 + 0.81 * shut)
        inside = np.clip(along, 0, 1)
        thick = (1.0 + 3.6 * inside**1.2) * np.clip(along * 9 + 0.25, 0, 1)
        thick = np.where(along <= 1, thick, 4.4 * np.clip(1 - wing / 7, 0, 1))
        lash = np.minimum(y - (edge - 0.72 * thick), edge + 0.28 * thick - y) * scale
        lash = np.clip(lash + 0.5, 0, 1) * ((along > -0.02) & (thick > 0.15))
        picture += (self._lash - picture) * lash.astype(np.float32)
