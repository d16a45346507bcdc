"""What other models call what a mouth does, in terms of our controls."""

from collections.abc import Mapping, Sequence

import numpy as np

from avatar.controls import MOUTH, VISEME_POSES
from avatar.features import Float32Array

_ARKIT: dict[str, dict[str, float]] = {
    "jawOpen": {"jaw": 1.0, "open": 1.0},
    "mouthClose": {"open": -1.0},
    "mouthFunnel": {"round": 0.6, "open": 0.2},
    "mouthPucker": {"round": 0.9},
    "mouthStretchLeft": {"spread": 0.4},
    "mouthStretchRight": {"spread": 0.4},
    "mouthSmileLeft": {"spread": 0.25},
    "mouthSmileRight": {"spread": 0.25},
    "mouthPressLeft": {"press": 0.5},
    "mouthPressRight": {"press": 0.5},
    "mouthRollLower": {"fv": 0.5},
    "mouthLowerDownLeft": {"open": 0.25},
    "mouthLowerDownRight": {"open": 0.25},
    "mouthUpperUpLeft": {"open": 0.15},
    "mouthUpperUpRight": {"open": 0.15},
    "tongueOut": {"th": 1.0},
}
"""The face of ARKit and its like: what moves the mouth; all its other labels move nothing."""


def mixing_matrix(
    labels: Sequence[str], given: Mapping[str, Mapping[str, float]] | None = None
) -> Float32Array:
    """How much of each mouth control a unit of each label is.

    Args:
        labels: What a model's outputs are called, in order.
        given: Control -> label -> weight, where the labels are none that are known here: our
            own controls, the fifteen Oculus visemes (also as "viseme_PP"), ARKit's blendshapes.

    Returns:
        (labels, 10) float32, columns as in MOUTH.

    Raises:
        ValueError: a label twice, an unknown one, or an unknown control; the message names it.
    """
    twice = sorted({label for label in labels if list(labels).count(label) > 1})
    if twice:
        raise ValueError(f"labels has {twice[0]!r} twice")
    if given is not None:
        return _given(labels, given)
    meanings = [_meaning(label) for label in labels]
    unknown = [label for label, meaning in zip(labels, meanings, strict=True) if meaning is None]
    if unknown:
        raise ValueError(
            f"labels has {unknown[0]!r}, which is no control of ours, viseme or ARKit blendshape: "
            'say with "controls" what the labels do'
        )
    matrix = np.array(
        [[(meaning or {}).get(name, 0.0) for name in MOUTH] for meaning in meanings], np.float32
    )
    if not matrix.any():
        raise ValueError("labels has none that moves the mouth")
    return matrix


def _meaning(label: str) -> Mapping[str, float] | None:
    if label in MOUTH:
        return {label: 1.0}
    viseme = label.removeprefix("viseme_")
    for name, pose in VISEME_POSES.items():
        if viseme.lower() == name.lower():
            speaks = {} if name == "sil" else {"speak": 1.0}
            return {control: getattr(pose, control) for control in MOUTH} | speaks
    if label in _ARKIT:
        return _ARKIT[label]
    arkit = ("brow", "cheek", "eye", "jaw", "mouth", "nose", "tongue", "_neutral", "head")
    return {} if label.startswith(arkit) else None


def _given(labels: Sequence[str], given: Mapping[str, Mapping[str, float]]) -> Float32Array:
    matrix = np.zeros((len(labels), len(MOUTH)), np.float32)
    for control, weights in given.items():
        if control not in MOUTH:
            raise ValueError(f"controls has {control!r}, which is none of {', '.join(MOUTH)}")
        for label, weight in weights.items():
            if label not in labels:
                raise ValueError(f"controls.{control} names {label!r}, which is not in labels")
            matrix[list(labels).index(label), MOUTH.index(control)] = float(weight)
    return matrix
