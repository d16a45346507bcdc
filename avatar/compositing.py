"""Put premultiplied pictures over one another."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def composite(below: Pixels, above: Pixels) -> None:
    """Lay a picture with alpha over an opaque one, in place.

    Args:
        below: (height, width, 3) uint8; changed.
        above: (height, width, 4) uint8, premultiplied alpha in the last channel.
    """
    clear = cv2.bitwise_not(cv2.extractChannel(above, 3))
    dimmed = cv2.multiply(below, cv2.merge((clear, clear, clear)), scale=1 / 255)
    cv2.add(dimmed, cv2.cvtColor(above, cv2.COLOR_RGBA2RGB), dst=below)


def over(below: NDArray[np.float32], above: NDArray[np.float32]) -> None:
    """Lay a float picture with alpha over an opaque one, in place.

    Args:
        below: (3, height, width) float32, 0..255; changed.
        above: (4, height, width) float32, 0..255, premultiplied alpha in the last plane.
    """
    below *= 1.0 - above[3] * np.float32(1 / 255)
    below += above[:3]


def planes(pixels: Pixels) -> NDArray[np.float32]:
    """A picture as contiguous planes: (height, width, n) uint8 to (n, height, width) float32."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
