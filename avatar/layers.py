"""Layers at the scale they are drawn: pixels and the way from design units to them."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.rig import Layer

Pixels = NDArray[np.uint8]


def scaled(layer: Layer, scale: float) -> Pixels:
    """The pixels of a layer at `scale` pixels per design unit, never less than one."""
    size = (max(1, round(layer.width * scale)), max(1, round(layer.height * scale)))
    shrinks = size[0] < layer.pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = cv2.resize(layer.pixels, size, interpolation=method)
    if resized.shape[2] == 4:  # cubic overshoot may lift a colour above its alpha
        np.minimum(resized[..., :3], resized[..., 3:], out=resized[..., :3])
    return np.asarray(resized, np.uint8)


def sample(pixels: Pixels, x: NDArray[np.float32], y: NDArray[np.float32]) -> Pixels:
    """Pixels read, bilinearly, at columns x and rows y; what lies outside is transparent."""
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR), np.uint8)


def moved(pixels: Pixels, matrix: NDArray[np.float64], width: int, height: int) -> Pixels:
    """Pixels scaled and shifted by a (2, 3) matrix into width x height; transparent around."""
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8)


def grown(grid: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A coarse grid of numbers, brought bilinearly to width x height pixels."""
    return np.asarray(cv2.resize(grid, (width, height)), np.float32)


@dataclass(frozen=True)
class Buffer:
    """A layer at drawing scale.

    pixels: (height, width, 4) uint8 RGBA, premultiplied.
    left, top: design units of the outer corner of the first pixel.
    scale: nominal pixels per design unit; scale_x and scale_y are the exact ones.
    """

    pixels: Pixels
    left: float
    top: float
    scale: float
    scale_x: float
    scale_y: float

    @classmethod
    def of(cls, layer: Layer, scale: float) -> "Buffer":
        """A layer at `scale` pixels per design unit."""
        pixels = scaled(layer, scale)
        height, width = pixels.shape[:2]
        return cls(pixels, layer.left, layer.top, scale, width / layer.width, height / layer.height)

    def x(self, column: Any) -> Any:
        """Design units of the middle of a column."""
        return (column + np.float32(0.5)) / np.float32(self.scale_x) + np.float32(self.left)

    def y(self, row: Any) -> Any:
        """Design units of the middle of a row."""
        return (row + np.float32(0.5)) / np.float32(self.scale_y) + np.float32(self.top)

    def column(self, x: Any) -> Any:
        """Column, with its fraction, at design units x."""
        return (x - np.float32(self.left)) * np.float32(self.scale_x) - np.float32(0.5)

    def row(self, y: Any) -> Any:
        """Row, with its fraction, at design units y."""
        return (y - np.float32(self.top)) * np.float32(self.scale_y) - np.float32(0.5)

    def rect(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[int, int, int, int]:
        """Pixel rectangle (left, top, right, bottom) of a design one, inside the buffer."""
        height, width = self.pixels.shape[:2]

        def clip(value: float, limit: int) -> int:
            return min(max(round(value), 0), limit)

        return (
            clip((left - self.left) * self.scale_x, width),
            clip((top - self.top) * self.scale_y, height),
            clip((right - self.left) * self.scale_x, width),
            clip((bottom - self.top) * self.scale_y, height),
        )
