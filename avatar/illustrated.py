"""Draw the layered character: a pose in, a picture out."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar.controls import CONTROLS, FACE, MOUTH, Pose
from avatar.eyes import Eye, EyeControls
from avatar.head import Warp, weights
from avatar.layers import Buffer, scaled
from avatar.lips import MouthControls
from avatar.mouth import Mouth
from avatar.rig import Rig

SHARPNESS = 1.25
"""Buffer pixels per picture pixel: at 1 the sharpness would breathe with the head's sway."""

STILL_PX = 0.2
"""What lies behind the face is drawn anew when some of it has moved by more than this."""

MIN_SIZE, MAX_SIZE = 128, 1080


class IllustratedFace:
    """Draws one character. One instance per session: it keeps what it drew and is not thread-safe.

    Drawing takes a few milliseconds on one core and gains nothing from more: switch OpenCV's own
    threads off for the process (`cv2.setNumThreads(1)`), as Avatar.load() does.
    """

    def __init__(self, rig: Rig, size: int = 512) -> None:
        """Prepare the layers for one size of picture.

        Args:
            rig: the checked avatar.
            size: side of the picture in pixels, 128 to 1080.

        Raises:
            ValueError: size is out of range.
        """
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"size must be {MIN_SIZE} to {MAX_SIZE} pixels, not {size}")
        scale = size * SHARPNESS / rig.canvas
        self._rig = rig
        self._size = size
        self._background = scaled(rig.layers["background"], size / rig.canvas)
        face = Buffer.of(rig.layers["face"], scale)
        self._mouth = Mouth(rig, face)
        self._eyes = (Eye(rig, face, -1), Eye(rig, face, 1))
        self._below: NDArray[np.uint8] | None = None
        self._below_weight = np.zeros(0, np.float32)
        self._warps = [
            Warp(rig, name, face if name == "face" else Buffer.of(rig.layers[name], scale), size)
            for name in ("back", "face", "hair")
        ]

    def draw(self, pose: Pose) -> NDArray[np.uint8]:
        """One picture.

        Args:
            pose: any finite numbers; those out of their range are clipped to it.

        Returns:
            (size, size, 3) uint8 RGB, C-contiguous, the caller's own.

        Raises:
            ValueError: a control is not a finite number; the message names it.
        """
        pose = self._clipped(pose)
        rest = self._rig.mouth.rest_smile
        smile = min(max(pose.smile + rest, -0.6), 1.0)
        lips = tuple(getattr(pose, name) for name in MOUTH[:-1])
        self._mouth.draw(MouthControls.of(lips, smile))
        squint = min(1.0, pose.squint + 0.8 * max(smile - rest, 0.0))
        wide = 0.16 * max(pose.brow - 0.5, 0.0)
        for eye, lid in zip(self._eyes, (pose.blink_left, pose.blink_right), strict=True):
            eye.draw(EyeControls(lid - wide * (1 - lid), squint, pose.gaze_x, pose.gaze_y))
        weight = weights(pose, max(smile - rest, 0.0))
        back, *front = self._warps
        if self._below is None or back.shift(weight - self._below_weight) > STILL_PX:
            self._below, self._below_weight = self._background.copy(), weight
            back.draw(weight, self._below)
        picture = self._below.copy()
        for warp in front:
            warp.draw(weight, picture)
        return picture

    def _clipped(self, pose: Pose) -> Pose:
        head = self._rig.head
        limits = {
            "yaw": (-head.yaw_max, head.yaw_max),
            "pitch": (-head.pitch_max, head.pitch_max),
            "roll": (-head.roll_max, head.roll_max),
        }
        values = {}
        for name in CONTROLS:
            value = float(getattr(pose, name))
            if not math.isfinite(value):
                raise ValueError(f"pose.{name} is {value}")
            low, high = limits.get(name) or _LIMITS[name]
            values[name] = min(max(value, low), high)
        return replace(pose, **values)


_SIGNED = ("smile", "brow", "brow_in", "gaze_x", "gaze_y")
_LIMITS = {name: (-1.0, 1.0) if name in _SIGNED else (0.0, 1.0) for name in MOUTH + FACE}
