"""An avatar ready to perform: its model and its rig, loaded and tried once for all sessions."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.config import AvatarConfig
from avatar.controls import Pose
from avatar.illustrated import IllustratedFace
from avatar.mouth_model import MouthModel, load_model
from avatar.rig import Rig, load_rig


@dataclass(frozen=True, slots=True)
class Avatar:
    """What sessions share: read-only, so any number of threads may use it."""

    config: AvatarConfig
    model: MouthModel
    rig: Rig

    @classmethod
    def load(cls, config: AvatarConfig | None = None) -> "Avatar":
        """Load model and rig and draw one picture, so that what is broken fails here.

        Once for each config: asked again, it gives the same avatar.

        Switches OpenCV's own threads off for the process: a picture is too small to gain by
        them, and they would take the other cores from the sound.

        Raises:
            ModelError: The model or its card is unusable; the message names file and reason.
            RigError: The avatar's folder is unusable; the message names file and reason.
        """
        return _load(config or AvatarConfig())

    def face(self, size: int | None = None) -> IllustratedFace:
        """Return a face that draws pictures of a size, config.size unless given.

        One for each session.
        """
        return IllustratedFace(self.rig, size or self.config.size)

    def still(self) -> NDArray[np.uint8]:
        """Return the (size, size, 3) uint8 RGB picture of the avatar at rest."""
        return self.face().draw(Pose())


@cache
def _load(config: AvatarConfig) -> Avatar:
    cv2.setNumThreads(1)
    avatar = Avatar(config, load_model(config.model), load_rig(config.rig))
    avatar.still()
    return avatar
