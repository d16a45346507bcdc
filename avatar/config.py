"""What an avatar is made of and how it is shown; checked once, never changed."""

import re
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class AvatarConfig:
    """Settings of one avatar.

    Attributes:
        rig: Folder with the avatar's manifest and layers.
        model: The lip-sync model; its card lies beside it as `<model>.json`.
        size: Width and height of a picture in pixels, even, 128 to 1080.
        fps: Pictures a second, 10 to 60. Pipecat's own SmallWebRTC track stamps pictures
            1/30 s apart whatever their real rate, so live sessions keep 30.
        lead_ms: How far speech may run ahead of playback, 80 to 1000 ms.
        seed: Seed of blinks, glances and head movement.
        language: Of what is spoken, as espeak-ng names it: en, en-gb, de, fr … Texts of other
            languages than English help the lips where espeak-ng is installed.

    Raises:
        ValueError: A value is out of range, or of another type; the message names it.
    """

    rig: Path = ASSETS / "mira"
    model: Path = ASSETS / "lipsync.onnx"
    size: int = 512
    fps: int = 30
    lead_ms: int = 240
    seed: int = 1
    language: str = "en"

    def __post_init__(self) -> None:
        for name in ("rig", "model"):
            if not isinstance(getattr(self, name), Path):
                raise ValueError(f"{name} must be a pathlib.Path, not {getattr(self, name)!r}")
        for name, low, high in (("size", 128, 1080), ("fps", 10, 60), ("lead_ms", 80, 1000)):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, not {value}")
        if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", self.language):
            raise ValueError(f"language must be a name such as en or pt-br, not {self.language!r}")
        if self.size % 2:
            raise ValueError(f"size must be even, not {self.size}")
