"""Move the layers with the head: fields of displacement, weighted by the controls and summed."""

import math

import numpy as np
from numpy.typing import NDArray

from avatar.compositing import composite
from avatar.controls import Pose
from avatar.layers import Buffer, grown, sample
from avatar.rig import Rig

Plane = NDArray[np.float32]
CELL = 8.0  # design units between the places at which displacement is computed


def _rise(low: float, high: float, value: Plane) -> Plane:
    share = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def weights(pose: Pose, smile: float) -> NDArray[np.float32]:
    """What multiplies the fields, in the order of Warp's basis, after the constant first one."""
    angle = math.radians(pose.roll)
    return np.array(
        [
            1.0,
            pose.yaw,
            pose.pitch,
            1.0 - math.cos(angle),
            math.sin(angle),
            pose.brow,
            pose.brow_in,
            smile,
            pose.breath,
        ],
        np.float32,
    )


class Warp:
    """Carries one layer from its buffer to its place in the picture."""

    def __init__(self, rig: Rig, name: str, buffer: Buffer, size: int) -> None:
        """Prepare the fields over the whole picture, at the middles of square cells.

        Args:
            rig: the checked avatar.
            name: "back", "face" or "hair": they lie at different depths.
            buffer: the layer's pixels.
            size: side of the picture in pixels.
        """
        self._buffer, self._size = buffer, size
        layer, unit = rig.layers[name], size / rig.canvas
        self._box = np.array([layer.left, layer.top, layer.right, layer.bottom]) * unit
        self._cell = max(4, round(CELL * unit))
        # One node beyond each side: growing the grid to pixels is then exact up to the rim.
        self._count = count = math.ceil(size / self._cell) + 2
        nodes = (np.arange(count, dtype=np.float32) - np.float32(0.5)) * self._cell / unit
        x, y = np.meshgrid(nodes, nodes)
        fields = _fields(rig, name, x, y)
        inside = (x > layer.left) & (x < layer.right) & (y > layer.top) & (y < layer.bottom)
        self._reach = np.array([np.abs(one[:, inside]).max(1) for one in fields]) * unit
        rest = np.stack([buffer.column(x), buffer.row(y)])
        scale = np.array([buffer.scale_x, buffer.scale_y], np.float32)[:, None, None]
        self._basis = np.stack([rest, *(-one * scale for one in fields)]).astype(np.float32)

    def shift(self, change: NDArray[np.float32]) -> float:
        """How far, at most, the layer moves with this change of the weights; picture pixels."""
        return float(np.hypot(*(np.abs(change[1:]) @ self._reach)))

    def draw(self, weight: NDArray[np.float32], picture: NDArray[np.uint8]) -> None:
        """Lay the layer under these weights over a picture.

        Args:
            weight: (9,) float32, from weights().
            picture: (size, size, 3) uint8 RGB; changed.
        """
        reach_x, reach_y = np.abs(weight[1:]) @ self._reach
        left, top, right, bottom = self._box + np.array([-reach_x, -reach_y, reach_x, reach_y])
        cell, last = self._cell, self._count - 2
        x0, x1 = max(int(left // cell), 0), min(int(right // cell) + 1, last)
        y0, y1 = max(int(top // cell), 0), min(int(bottom // cell) + 1, last)
        basis = self._basis[:, :, y0 : y1 + 2, x0 : x1 + 2]
        count_y, count_x = basis.shape[2:]
        sources = (weight @ basis.reshape(len(basis), -1)).reshape(2, count_y, count_x)
        right, bottom = min(x1 * cell, self._size), min(y1 * cell, self._size)
        left, top = x0 * cell, y0 * cell
        part = np.s_[cell : cell + bottom - top, cell : cell + right - left]
        columns, rows = (grown(one, count_x * cell, count_y * cell)[part] for one in sources)
        composite(picture[top:bottom, left:right], sample(self._buffer.pixels, columns, rows))


def _fields(rig: Rig, name: str, x: Plane, y: Plane) -> list[Plane]:
    """Displacement (2, rows, columns) in design units per unit of each weight but the first."""
    shape = rig.head
    (cx, cy), (rx, ry), (px, py) = shape.center, shape.radius, shape.pivot
    face_y = cy + 0.16 * ry
    across, down = (x - cx) / (0.79 * rx), (y - face_y) / (0.82 * ry)
    bulge = np.clip(1 - 0.8 * across * across - 0.8 * down * down, 0, 1)
    neck = py - 0.10 * ry
    chin = cy + 0.78 * ry
    if name == "back":
        far = np.hypot((x - cx) / rx, (y - cy) / ry)
        follow = (1 - _rise(1.05, 2.0, far)) * (1 - _rise(chin - 20, chin + 92, y))
        turn, nod = follow * 0.16, follow * 0.10
    elif name == "face":
        follow = np.ones_like(x)
        turn, nod = 0.34 + 0.92 * bulge, 0.20 + 0.80 * bulge
    else:
        follow = 1 - 0.72 * _rise(cy + 0.1 * ry, neck + 60, y)
        front = 1 - _rise(cy - 0.2 * ry, cy + 0.8 * ry, y)
        turn = follow * (0.42 + 0.72 * bulge * front + 0.10)
        nod = follow * (0.26 + 0.60 * bulge * front)

    def bump(at_x: float, at_y: float, wide: float, high: float) -> Plane:
        away = ((x - at_x) / wide) ** 2 + ((y - at_y) / high) ** 2
        return np.asarray(np.exp(-away), np.float32)

    def field(dx: Plane | float, dy: Plane | float) -> Plane:
        return np.stack([dx + 0 * x, dy + 0 * x]).astype(np.float32)

    still = field(0, 0)
    fields = [
        field(turn, 0),
        field(0, nod),
        field(follow * (x - px), follow * (y - py)),
        field(-follow * (y - py), follow * (x - px)),
    ]
    if name == "face":
        (lx, ly), (qx, _) = rig.eyes.left, rig.eyes.right
        brows = bump(lx - 2, ly - 40, 42, 15) + bump(qx + 2, ly - 40, 42, 15)
        left, right = bump(lx + 26, ly - 38, 20, 15), bump(qx - 26, ly - 38, 20, 15)
        cheeks = bump(lx - 13, ly + 50, 34, 26) + bump(qx + 13, ly + 50, 34, 26)
        fields += [
            field(0, -6.5 * brows),
            field(2 * (left - right), 5 * (left + right)),
            field(0, -4 * cheeks),
            field(0, -0.8),
        ]
    else:
        chest = _rise(chin + 20, chin + 96, y) if name == "back" else np.zeros_like(x)
        fields += [still, still, still, field(0, -0.8 * follow - 1.7 * chest)]
    return fields
