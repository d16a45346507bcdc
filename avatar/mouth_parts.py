"""The parts of a mouth, drawn over one another: lips, teeth, tongue and the dark behind."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.compositing import over, planes
from avatar.layers import moved, sample, scaled
from avatar.lips import Lips, MouthControls, inside
from avatar.rig import Rig

Plane = NDArray[np.float32]
EDGE_SHARE = 0.8  # height of the biting edge in the picture of the upper teeth


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece of the face that is being drawn.

    picture: (3, height, width) float32 0..255, changed in place.
    x, y: (width,) and (height, 1) float32, design units of the pixels' middles.
    lips: the lips' edges at the columns.
    scale: pixels per design unit.
    """

    picture: Plane
    x: Plane
    y: Plane
    lips: Lips
    scale: float

    def between(self, top: float, bottom: float) -> "Patch":
        """The part between two heights that the mouth can touch, corner to corner."""
        touched = np.flatnonzero(np.abs(self.lips.across) < 1.04)
        columns = slice(int(touched[0]), int(touched[-1]) + 1)
        line = self.y[:, 0]
        rows = slice(int(np.searchsorted(line, top)), int(np.searchsorted(line, bottom)))
        return replace(
            self,
            picture=self.picture[:, rows, columns],
            x=self.x[columns],
            y=self.y[rows],
            lips=self.lips.part(columns),
        )

    def below(self, curve: Plane) -> Plane:
        """How far each pixel lies below a curve y(x), in pixels; (height, width)."""
        slope = np.gradient(curve) * self.scale
        return np.asarray((self.y - curve) * (self.scale / np.sqrt(1 + slope * slope)), np.float32)

    def blend(self, color: Plane, share: NDArray[np.floating]) -> None:
        """Mix a colour in; share is (height, width), 0..1."""
        self.picture[...] += (color - self.picture) * np.asarray(share, np.float32)


class LipPaint:
    """Paints lips: a flat drawing of them, bent between their edges."""

    def __init__(self, rig: Rig) -> None:
        """Take the drawing and the colour of the seam from the rig."""
        self._flat = np.asarray(
            cv2.cvtColor(rig.layers["lips"].pixels, cv2.COLOR_RGB2RGBA), np.uint8
        )
        self._seam = np.array(rig.palette.seam, np.float32)[:, None, None]

    def draw(self, patch: Patch, half_width: float) -> None:
        """Paint both lips, closed; what lies between them is drawn over."""
        lips, y = patch.lips, patch.y
        ends = np.clip((1 - np.abs(lips.across)) * (half_width * patch.scale) + 0.5, 0, 1)
        share = np.minimum(patch.below(lips.upper_outer), -patch.below(lips.lower_outer))
        share = np.clip(share + 0.5, 0, 1) * ends
        height, width = self._flat.shape[:2]
        half = height / 2
        upper = (y - lips.upper_outer) / np.maximum(lips.upper_inner - lips.upper_outer, 0.5)
        lower = (y - lips.lower_inner) / np.maximum(lips.lower_outer - lips.lower_inner, 0.5)
        rows = np.where(
            y < 0.5 * (lips.upper_inner + lips.lower_inner),
            np.clip(upper, 0, 1) * (half - 1),
            np.clip(lower, 0, 1) * (half - 1) + half,
        )
        columns = np.clip(lips.across * 0.5 + 0.5, 0, 1) * (width - 1)
        columns = np.repeat(columns[None, :], len(y), axis=0)
        color = sample(self._flat, columns, rows)
        patch.blend(planes(color[..., :3]), share)

    def draw_seam(self, patch: Patch, press: float) -> None:
        """The dark line between lips that (nearly) touch."""
        lips = patch.lips
        closed = 1 - lips.gap / 4
        if closed <= 0:
            return
        away = (patch.y - 0.5 * (lips.upper_inner + lips.lower_inner)) / (0.85 + 0.35 * press)
        taper = np.clip(1.02 - np.abs(lips.across), 0, 1) ** 0.35 * (0.8 * closed)
        patch.blend(self._seam, np.exp(-away * away) * taper)


class Inside:
    """Paints what is seen between the lips."""

    def __init__(self, rig: Rig, scale: float) -> None:
        """Prepare teeth and tongue at `scale` pixels per design unit."""
        self._shape = rig.mouth
        self._textures = {
            name: (scaled(rig.layers[name], scale), rig.layers[name])
            for name in ("teeth_upper", "teeth_lower", "tongue")
        }
        self._cavity, self._deep = (
            np.array(one, np.float32)[:, None, None]
            for one in (rig.palette.cavity, rig.palette.cavity_deep)
        )

    def draw(self, patch: Patch, c: MouthControls) -> None:
        """Paint the gap between the lips."""
        lips, y, scale = patch.lips, patch.y, patch.scale
        below_upper, below_lower = patch.below(lips.upper_inner), patch.below(lips.lower_inner)
        # A difference of two coverages stays right where the gap is thinner than a pixel.
        share = np.clip(below_upper + 0.5, 0, 1) - np.clip(below_lower + 0.5, 0, 1)
        depth = (y - lips.upper_inner) / np.maximum(lips.lower_inner - lips.upper_inner, 1)
        depth = np.clip(depth, 0, 1)
        light = depth * depth * (1 - 0.5 * lips.across * lips.across)
        picture = self._deep + (self._cavity - self._deep) * light
        self._draw_teeth_and_tongue(replace(patch, picture=picture), c)
        shadow = np.clip(1 - below_upper / (3.6 * scale), 0, 1) ** 2 * 0.50
        shadow += np.clip(1 + below_lower / (2.2 * scale), 0, 1) ** 2 * 0.28
        far = np.clip((np.abs(lips.across) - 0.55) / 0.45, 0, 1)
        picture *= 1 - np.clip(shadow + far * far * 0.6, 0, 0.85)
        patch.blend(picture, np.clip(share, 0, 1))

    def _draw_teeth_and_tongue(self, patch: Patch, c: MouthControls) -> None:
        place = inside(self._shape, c)
        wide, size = place.teeth_scale, place.tongue_scale
        self._stamp(patch, "tongue", place.tongue_top, size, size, place.tongue_light)
        self._stamp(patch, "teeth_lower", place.lower_edge, wide, 1.0, 1.0)
        if c.th > 0:
            self._stamp(patch, "tongue", place.tip_top, 0.92, 0.85, 1.0)
        edge = EDGE_SHARE * self._textures["teeth_upper"][1].height
        self._stamp(patch, "teeth_upper", place.upper_edge - edge, wide, 1.0, 1.0)

    def _stamp(
        self, patch: Patch, name: str, top_y: float, wide: float, high: float, light: float
    ) -> None:
        """Lay a texture over the inside, its top at top_y, scaled by wide and high."""
        texture, layer = self._textures[name]
        height, width = patch.picture.shape[1:]
        left_x = self._shape.center[0] - layer.width * wide / 2
        x0 = (left_x - float(patch.x[0])) * patch.scale + wide / 2
        y0 = (top_y - float(patch.y[0, 0])) * patch.scale + high / 2
        left, top = max(int(x0), 0), max(int(y0), 0)
        right = min(int(x0 + texture.shape[1] * wide) + 2, width)
        bottom = min(int(y0 + texture.shape[0] * high) + 2, height)
        if right <= left or bottom <= top:
            return
        matrix = np.array([[wide, 0, x0 - left], [0, high, y0 - top]], np.float64)
        stamp = planes(moved(texture, matrix, right - left, bottom - top))
        if light < 1:  # farther back, the colour nears that of the cavity
            stamp[:3] += (self._cavity * (stamp[3] / np.float32(255)) - stamp[:3]) * (1 - light)
        over(patch.picture[:, top:bottom, left:right], stamp)
