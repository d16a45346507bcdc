"""Rebuilds tests/data/tiny_rig, the default avatar at a fifth of its resolution, and the golden
picture drawn from it: python tests/make_tiny_rig.py"""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from avatar.controls import Pose
from avatar.illustrated import IllustratedFace
from avatar.rig import LAYER_CHANNELS, MANIFEST, load_rig

DATA = Path(__file__).parent / "data"
TINY_RIG = DATA / "tiny_rig"
GOLDEN = DATA / "golden.png"
GOLDEN_SIZE = 192
GOLDEN_POSE = Pose(
    jaw=0.4, open=0.5, spread=0.3, tip=0.3, smile=0.2, blink_left=0.2, brow=0.3,
    gaze_x=0.4, yaw=4.0, pitch=-2.0, roll=3.0, breath=0.5,
)  # fmt: skip
ASSETS = Path(__file__).parents[1] / "avatar" / "assets" / "mira"


def golden_picture() -> NDArray[np.uint8]:
    """The pose above, drawn now: (192, 192, 3) uint8 RGB."""
    return IllustratedFace(load_rig(TINY_RIG), GOLDEN_SIZE).draw(GOLDEN_POSE)


def main() -> None:
    """Write the layers, the manifest and the golden picture."""
    TINY_RIG.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ASSETS / MANIFEST, TINY_RIG / MANIFEST)
    for name in LAYER_CHANNELS:
        layer = cv2.imread(str(ASSETS / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        size = (max(8, layer.shape[1] // 5), max(8, layer.shape[0] // 5))
        small = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(TINY_RIG / f"{name}.png"), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    cv2.imwrite(str(GOLDEN), cv2.cvtColor(golden_picture(), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
