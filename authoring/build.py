"""All layers of the character and the files they are kept in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from authoring.background import draw_background
from authoring.body import draw_back
from authoring.brush import Box, render
from authoring.eyes import IRIS_BOX, draw_iris
from authoring.face import draw_face
from authoring.hair import draw_hair
from authoring.mouth import (
    LIPS_BOX,
    TEETH_LOWER_BOX,
    TEETH_UPPER_BOX,
    TONGUE_BOX,
    draw_lips,
    draw_teeth_lower,
    draw_teeth_upper,
    draw_tongue,
)

FOLDER = Path(__file__).resolve().parent.parent / "avatar" / "assets" / "mira"


@dataclass(frozen=True)
class Drawing:
    """How one layer comes about: box in design units, opaque layers are stored without alpha."""

    draw: Callable[[skia.Canvas], None]
    box: Box
    opaque: bool = False
    finer: float = 1.0


DRAWINGS = {
    "background": Drawing(draw_background, (0, 0, 512, 512), opaque=True),
    "back": Drawing(draw_back, (38, 288, 474, 516)),
    "face": Drawing(draw_face, (144, 88, 382, 408)),
    "hair": Drawing(draw_hair, (78, 42, 432, 458)),
    "lips": Drawing(draw_lips, LIPS_BOX, opaque=True),
    "teeth_upper": Drawing(draw_teeth_upper, TEETH_UPPER_BOX, finer=1.6),
    "teeth_lower": Drawing(draw_teeth_lower, TEETH_LOWER_BOX, finer=1.6),
    "tongue": Drawing(draw_tongue, TONGUE_BOX, finer=1.6),
    "iris": Drawing(draw_iris, IRIS_BOX, finer=1.6),
}


def layer(name: str) -> NDArray[np.uint8]:
    """One layer drawn anew: (height, width, 3 or 4) uint8, RGB or straight RGBA."""
    drawing = DRAWINGS[name]
    picture = render(drawing.draw, drawing.box, 2.5 * drawing.finer)
    return np.ascontiguousarray(picture[..., :3]) if drawing.opaque else picture


def build(folder: Path = FOLDER) -> None:
    """Draw every layer into PNG files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DRAWINGS:
        picture = layer(name)
        order = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        path = folder / f"{name}.png"
        stored = cv2.cvtColor(picture, order)
        if not cv2.imwrite(str(path), stored, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise OSError(f"{path}: cannot be written")
