"""Draw the mouth into the face layer: the fallen jaw, the skin around, the inside and the lips."""

import numpy as np

from avatar.compositing import planes
from avatar.layers import Buffer, grown, sample
from avatar.lips import MouthControls, corner_height, half_width, lip_curves
from avatar.mouth_parts import Inside, LipPaint, Patch
from avatar.rig import Rig

JAW_START = 13.0  # design units above the middle of the mouth where skin begins to move
MARGIN = 17.0  # design units around the lips that their shading may touch


class Mouth:
    """Draws one mouth into one face buffer; keeps what it drew last."""

    def __init__(self, rig: Rig, face: Buffer) -> None:
        """Prepare the textures at the buffer's scale.

        Args:
            rig: the checked avatar.
            face: the face layer; draw() changes its pixels.
        """
        self._shape = rig.mouth
        self._face = face
        self._rest = face.pixels.copy()
        self._drawn: MouthControls | None = None
        self._inside = Inside(rig, face.scale)
        self._lips = LipPaint(rig)
        self._skin_shade = np.array(rig.palette.skin_shade, np.float32)[:, None, None]
        self._prepare_jaw()

    def draw(self, controls: MouthControls) -> None:
        """Bring the face buffer to these controls; free of cost when they did not change."""
        if controls != self._drawn:
            self._drawn = controls
            self._drop_jaw(controls.jaw)
            self._paint(controls)

    def _prepare_jaw(self) -> None:
        shape, face = self._shape, self._face
        (cx, cy), wide = shape.center, shape.jaw_half_width
        low = shape.chin + shape.jaw_drop + 6
        self._touched = face.rect(cx - wide, cy - 46, cx + wide, low)
        self._jaw_rect = face.rect(cx - wide, cy - JAW_START, cx + wide, low)
        left, top, right, bottom = self._jaw_rect
        columns, rows = 40, 36
        x = face.x(left + (np.arange(columns) + 0.5) * (right - left) / columns - 0.5)[None, :]
        y = face.y(top + (np.arange(rows) + 0.5) * (bottom - top) / rows - 0.5)[:, None]
        far = np.clip((np.abs(x - cx) / wide - 0.08) / 0.88, 0, 1)
        self._jaw_share = (1 - far * far * (3 - 2 * far)).astype(np.float32)
        self._jaw_x = np.broadcast_to(x, (rows, columns)).astype(np.float32)
        self._jaw_y = y.astype(np.float32)

    def _drop_jaw(self, jaw: float) -> None:
        """Stretch the skin below the mouth, anchored at the chin, into the buffer."""
        shape, face = self._shape, self._face
        left, top, right, bottom = self._touched
        face.pixels[top:bottom, left:right] = self._rest[top:bottom, left:right]
        if jaw == 0.0:
            return
        left, top, right, bottom = self._jaw_rect
        region = face.pixels[top:bottom, left:right]
        start = shape.center[1] - JAW_START + 4.0
        fall = shape.jaw_drop * jaw * self._jaw_share
        depth = np.clip((self._jaw_y - start) / (shape.chin + fall - start), 0, 1)
        down = fall * depth * depth * (1.5 - 0.5 * depth)
        narrow = (shape.center[0] - self._jaw_x) * self._jaw_share * depth * (0.05 * jaw)
        width, height = right - left, bottom - top
        columns = grown(face.column(self._jaw_x - narrow).astype(np.float32), width, height)
        rows = grown(face.row(self._jaw_y - down).astype(np.float32), width, height)
        # The rim, half a cell wide, is where growing is not exact; nothing moves there.
        rim_y, rim_x = height // down.shape[0] + 1, width // down.shape[1] + 1
        inner = np.s_[rim_y:-rim_y, rim_x:-rim_x]
        region[inner] = sample(self._rest, columns[inner], rows[inner])

    def _paint(self, c: MouthControls) -> None:
        shape, face = self._shape, self._face
        cx = shape.center[0]
        reach = half_width(shape, c) + MARGIN
        left, _, right, _ = face.rect(cx - reach, 0, cx + reach, 1)
        x = face.x(np.arange(left, right, dtype=np.float32))
        lips = lip_curves(shape, c, x)
        corner = corner_height(shape, c)
        high = min(float(lips.upper_outer.min()), corner - 8) - 2
        _, top, _, bottom = face.rect(0, high, 1, float(lips.lower_outer.max()) + 14)
        y = face.y(np.arange(top, bottom, dtype=np.float32))[:, None]
        region = face.pixels[top:bottom, left:right]
        patch = Patch(planes(region[..., :3]), x, y, lips, face.scale)
        self._shade_skin(patch, c, corner)
        edge = 2 / face.scale
        mouth = patch.between(lips.upper_outer.min() - edge, lips.lower_outer.max() + edge)
        self._lips.draw(mouth, half_width(shape, c))
        if lips.gap > 0.02:
            gap = patch.between(lips.upper_inner.min() - edge, lips.lower_inner.max() + edge)
            self._inside.draw(gap, c)
        self._lips.draw_seam(mouth, c.press)
        np.clip(patch.picture, 0, 255, out=patch.picture)
        region[..., :3] = patch.picture.astype(np.uint8).transpose(1, 2, 0)

    def _shade_skin(self, patch: Patch, c: MouthControls, corner: float) -> None:
        """The shadow under the lower lip and the dimples; smooth, so drawn at half size."""
        x, y, lips = patch.x[None, ::2], patch.y[::2], patch.lips
        arch = np.clip(1 - lips.across[None, ::2] ** 2, 0, 1)
        below = y - (lips.lower_outer[None, ::2] + 5.5)
        shade = np.exp(-((below / 4.2) ** 2)) * (arch**0.8 * (0.30 - 0.08 * c.open))
        beyond = np.abs(x - self._shape.center[0]) - half_width(self._shape, c)
        side = np.exp(-(((beyond - 0.5) / 3.4) ** 2)) * 0.12
        level = np.exp(-(((y - corner) / (2.6 + 2.0 * max(c.smile, 0.0))) ** 2))
        shade = np.minimum(shade + side * level, 0.6)
        height, width = patch.picture.shape[1:]
        patch.blend(self._skin_shade, grown(np.asarray(shade, np.float32), width, height))
