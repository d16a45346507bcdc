"""A contact sheet: one avatar in every mouth and some moods, for a person to look at."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.controls import VISEME_POSES, Pose

MOODS = {
    "neutral": Pose(),
    "blink": Pose(blink_left=1, blink_right=1),
    "half blink": Pose(blink_left=0.5, blink_right=0.5),
    "smile": Pose(smile=0.5),
    "laugh": Pose(smile=0.5, open=0.35, jaw=0.3, spread=0.4, brow=0.2),
    "surprise": Pose(brow=1.0, open=0.4, jaw=0.45),
    "concern": Pose(smile=-0.5, brow=0.2, brow_in=-0.9, roll=-4, gaze_y=0.2),
    "look away": Pose(gaze_x=0.7, gaze_y=-0.3, yaw=4),
    "tilt": Pose(roll=6, yaw=8, smile=0.2, gaze_x=0.2),
    "turn": Pose(yaw=-11, pitch=5, gaze_x=-0.3),
}
"""Poses of the sheet besides the visemes, by their labels."""


def contact_sheet(
    draw: Callable[[Pose], NDArray[np.uint8]], columns: int = 5, tile: int = 320
) -> NDArray[np.uint8]:
    """All moods, then the fifteen visemes, labelled.

    Args:
        draw: a renderer's draw: a pose to (size, size, 3) uint8 RGB.
        columns: tiles in a row.
        tile: side of a tile in pixels.

    Returns:
        (rows * tile, columns * tile, 3) uint8 RGB; tiles that remain are white.
    """
    poses = MOODS | VISEME_POSES
    rows = -(-len(poses) // columns)
    sheet = np.full((rows * tile, columns * tile, 3), 255, np.uint8)
    for index, (name, pose) in enumerate(poses.items()):
        picture = cv2.resize(draw(pose), (tile, tile), interpolation=cv2.INTER_AREA)
        for color, thickness in (((255, 255, 255), 4), ((50, 40, 60), 1)):
            cv2.putText(
                picture,
                name,
                (10, 26),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.7,
                color,
                thickness,
                cv2.LINE_AA,
            )
        row, column = divmod(index, columns)
        sheet[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile] = picture
    return sheet
