"""Speech in, pictures of a talking face out; runs without Pipecat.

In a Pipecat bot: AvatarProcessor and avatar_params, from avatar.processor.
"""

from avatar.avatar import Avatar
from avatar.config import AvatarConfig
from avatar.controls import Pose
from avatar.errors import AvatarError, ModelError, RigError

__all__ = ["Avatar", "AvatarConfig", "AvatarError", "ModelError", "Pose", "RigError"]
