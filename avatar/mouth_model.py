"""What the avatar needs of a lip-sync model, ours or another, and which of them a file is."""

from pathlib import Path
from typing import Protocol

from avatar.features import Float32Array
from avatar.lipsync import LipSyncModel
from avatar.onnx import read_card
from avatar.window_model import WINDOWED, WindowModel


class MouthCard(Protocol):
    """What must be known of a model."""

    @property
    def name(self) -> str:
        """For `/status` and the log."""

    @property
    def sample_rate_hz(self) -> int:
        """Of the speech that its states are fed."""

    @property
    def row_s(self) -> float:
        """Seconds between its rows."""

    @property
    def lookahead_s(self) -> float:
        """Seconds of sound that a row needs beyond its own middle."""

    @property
    def press_threshold(self) -> float:
        """Evidence of `press` above which the lips are together."""

    @property
    def fv_threshold(self) -> float:
        """Evidence of `fv` above which the lip is under the teeth."""


class MouthState(Protocol):
    """The running lip-sync of one session; row r describes the mouth at (r + 0.5) * row_s."""

    def feed(self, pcm: Float32Array) -> Float32Array:
        """Return the (rows, 10) float32 that these (samples,) float32 complete."""

    def flush(self) -> Float32Array:
        """Return the rows still missing, as if silence followed; then as after `reset()`."""

    def reset(self) -> None:
        """Forget all sound."""


class MouthModel(Protocol):
    """A lip-sync model, shared by any number of sessions."""

    @property
    def card(self) -> MouthCard:
        """What is known of it."""

    def new_state(self) -> MouthState:
        """Return what one session needs."""


def load_model(path: Path) -> MouthModel:
    """Load a lip-sync model: one of ours, or any that its card, `<model>.json`, makes usable.

    Raises:
        ModelError: file or card is unusable; the message names it and the reason.
    """
    fields = read_card(path.with_name(path.name + ".json"))
    kind = fields.get("kind") if isinstance(fields, dict) else None
    return WindowModel.load(path) if kind == WINDOWED else LipSyncModel.load(path)
