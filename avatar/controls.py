"""The controls that pose a face: their names, ranges and the fifteen standard visemes."""

from dataclasses import dataclass, fields

MOUTH = ("jaw", "open", "spread", "round", "press", "fv", "tip", "th", "teeth", "speak")
"""Mouth controls, each 0..1, in the order of every (…, 10) array of the project."""

FACE = (
    "smile",
    "blink_left",
    "blink_right",
    "brow",
    "brow_in",
    "squint",
    "gaze_x",
    "gaze_y",
    "yaw",
    "pitch",
    "roll",
    "breath",
)
"""Face controls; yaw, pitch and roll are degrees, gaze, smile and brows -1..1, the others 0..1."""


@dataclass(frozen=True, slots=True)
class Pose:
    """All numbers that draw one picture.

    Mouth (0..1): jaw drop; lip aperture; lips spread; lips rounded; lips pressed together
    (p b m); lower lip under the upper teeth (f v); tongue tip raised (t d n l); tongue between
    the teeth (th); teeth together (s z); speaking at all (not drawn).

    Face: smile and brow -1..1; lids 0 open .. 1 closed; brow_in -1 (worried) .. 1; squint 0..1;
    gaze -1..1 (x to the right of the picture, y down); head angles in degrees; breath 0..1.
    """

    jaw: float = 0.0
    open: float = 0.0
    spread: float = 0.0
    round: float = 0.0
    press: float = 0.0
    fv: float = 0.0
    tip: float = 0.0
    th: float = 0.0
    teeth: float = 0.0
    speak: float = 0.0
    smile: float = 0.0
    blink_left: float = 0.0
    blink_right: float = 0.0
    brow: float = 0.0
    brow_in: float = 0.0
    squint: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    breath: float = 0.0


CONTROLS = tuple(field.name for field in fields(Pose))
"""Every control of a Pose, mouth first."""

VISEME_POSES = {
    "sil": Pose(),
    "PP": Pose(press=1.0, jaw=0.10),
    "FF": Pose(fv=1.0, jaw=0.15, open=0.12),
    "TH": Pose(th=1.0, tip=0.3, jaw=0.22, open=0.34, spread=0.10),
    "DD": Pose(tip=0.9, jaw=0.16, open=0.32, spread=0.25),
    "kk": Pose(jaw=0.35, open=0.42, spread=0.10),
    "CH": Pose(teeth=0.8, jaw=0.10, open=0.38, round=0.50),
    "SS": Pose(teeth=1.0, tip=0.4, jaw=0.05, open=0.30, spread=0.45),
    "nn": Pose(tip=1.0, jaw=0.30, open=0.42),
    "RR": Pose(tip=0.2, jaw=0.22, open=0.32, round=0.50),
    "aa": Pose(jaw=0.90, open=0.85, spread=0.10),
    "E": Pose(jaw=0.50, open=0.55, spread=0.45),
    "I": Pose(jaw=0.25, open=0.35, spread=0.75),
    "O": Pose(jaw=0.50, open=0.55, round=0.65),
    "U": Pose(jaw=0.22, open=0.22, round=0.95),
}
"""A still mouth for each of the fifteen Oculus visemes."""

VISEMES = tuple(VISEME_POSES)
