"""Settings of an avatar: what cannot be used is named when they are made."""

from typing import Any

import pytest

from avatar.config import AvatarConfig


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("size", 127, "between 128 and 1080"),
        ("size", 129, "even"),
        ("size", 512.0, "whole number"),
        ("fps", 9, "between 10 and 60"),
        ("fps", 30.0, "whole number"),
        ("lead_ms", 1001, "between 80 and 1000"),
        ("rig", "mira", "Path"),
        ("model", "lipsync.onnx", "Path"),
        ("language", "English", "name such as en"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        AvatarConfig(**{name: value})
    assert str(refused.value).startswith(name)
