"""Other people's lip-sync models: any ONNX file that takes a window of sound, by its card."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar.errors import ModelError
from avatar.features import Float32Array
from avatar.labels import mixing_matrix
from avatar.onnx import ORT_ERRORS, open_session, ort, read_card

WINDOWED = "windowed"
"""What such a card has as its kind."""

ROW_S = 0.02
"""A mouth for every 20 ms, whatever the model's own pace was."""

LONGEST_LOOKAHEAD_S = 0.5
"""Speech is held for so long at most."""

_RATES_HZ = (8_000, 48_000)
_LONGEST_WINDOW_S = 10.0
_AT_ONCE = 16
"""Rows in one call, where the model takes several windows."""

_ACTIVATIONS = ("none", "sigmoid", "softmax")


@dataclass(frozen=True, slots=True)
class WindowCard:
    """What stands beside the model; docs/lipsync.md describes the file."""

    name: str
    sample_rate_hz: int
    window_samples: int
    at_samples: int
    """Where in its window the moment lies that the output describes."""
    scale: float
    """What full scale is for the model: 1, or 32768."""
    input: str
    output: str
    labels: tuple[str, ...]
    activation: str
    """What still has to be done to the output: "none", "sigmoid" or "softmax"."""
    matrix: Float32Array
    """(labels, 10): the labels in terms of our controls."""
    press_threshold: float
    fv_threshold: float
    row_s: float = ROW_S

    @property
    def lookahead_s(self) -> float:
        """Seconds of sound that a row needs beyond its own middle."""
        return (self.window_samples - self.at_samples) / self.sample_rate_hz

    @classmethod
    def read(cls, path: Path) -> "WindowCard":
        """The card in a JSON file.

        Raises:
            ModelError: the file is missing, no JSON, lacks a field, or one cannot be used.
        """
        try:
            return cls._of(read_card(path))
        except KeyError as error:
            raise ModelError(f"{path}: lacks the field {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{path}: {error}") from error

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> "WindowCard":
        takes, gives = fields["input"], fields["output"]
        labels = tuple(str(label) for label in gives["labels"])
        thresholds = fields.get("thresholds", {})
        rate_hz = int(fields["sample_rate_hz"])
        card = cls(
            name=str(fields["name"]),
            sample_rate_hz=rate_hz,
            window_samples=int(takes["samples"]),
            at_samples=round(float(takes["at_s"]) * rate_hz),
            scale=float(takes.get("scale", 1.0)),
            input=str(takes["name"]),
            output=str(gives["name"]),
            labels=labels,
            activation=str(gives.get("activation", "none")),
            matrix=mixing_matrix(labels, gives.get("controls")),
            press_threshold=float(thresholds.get("press", 0.5)),
            fv_threshold=float(thresholds.get("fv", 0.5)),
        )
        card._check()
        return card

    def _check(self) -> None:
        low, high = _RATES_HZ
        row_samples = self.sample_rate_hz * ROW_S
        if not low <= self.sample_rate_hz <= high or row_samples % 1:
            raise ValueError(
                f"sample_rate_hz is {self.sample_rate_hz}, not a multiple of 50 in {low} .. {high}"
            )
        longest = int(_LONGEST_WINDOW_S * self.sample_rate_hz)
        if not row_samples <= self.window_samples <= longest:
            raise ValueError(
                f"input.samples is {self.window_samples}, not within {row_samples:.0f} .. {longest}"
            )
        if not 0 <= self.at_samples <= self.window_samples:
            raise ValueError("input.at_s is not within the window")
        if self.lookahead_s > LONGEST_LOOKAHEAD_S:
            raise ValueError(
                f"input.at_s leaves {self.lookahead_s:.3f} s of the window behind it; sound can be "
                f"held for {LONGEST_LOOKAHEAD_S} s at most"
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"input.scale is {self.scale}, not above 0")
        if self.activation not in _ACTIVATIONS:
            raise ValueError(f"output.activation is {self.activation!r}, not one of {_ACTIVATIONS}")
        for name, threshold in (("press", self.press_threshold), ("fv", self.fv_threshold)):
            if not 0.0 < threshold < 1.0:
                raise ValueError(f"threshold of {name} is not between 0 and 1")


class WindowModel:
    """A network that tells the mouth at one moment of a window; shared by all sessions."""

    def __init__(self, path: Path, card: WindowCard, session: ort.InferenceSession) -> None:
        self.path = path
        self.card = card
        self._session = session
        self._shape = _window_shape(path, card, session)

    @classmethod
    def load(cls, path: Path) -> "WindowModel":
        """Load a model and its card, and try them on silence.

        Raises:
            ModelError: file or card is unusable, or they do not fit; the message says why.
        """
        card = WindowCard.read(path.with_name(path.name + ".json"))
        model = cls(path, card, open_session(path))
        model.run(np.zeros((1, card.window_samples), np.float32))
        return model

    def new_state(self) -> "WindowState":
        """Return what one session needs."""
        return WindowState(self)

    def run(self, windows: Float32Array) -> Float32Array:
        """The mouth of each window.

        Args:
            windows: (rows, window_samples) float32 in [-1, 1].

        Returns:
            (rows, 10) float32 in [0, 1], columns as in MOUTH.

        Raises:
            ModelError: the network failed, or gave something else than its card says.
        """
        card = self.card
        several = self._shape[0] is None
        step = _AT_ONCE if several else 1
        parts = [
            self._weights(windows[start : start + step] * np.float32(card.scale))
            for start in range(0, len(windows), step)
        ]
        weights = np.concatenate([np.zeros((0, len(card.labels)), np.float32), *parts])
        if card.activation == "sigmoid":
            weights = 1 / (1 + np.exp(-weights))
        elif card.activation == "softmax":
            weights = np.exp(weights - weights.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
        mouth: Float32Array = np.clip(weights @ card.matrix, 0.0, 1.0).astype(np.float32)
        return mouth

    def _weights(self, windows: Float32Array) -> Float32Array:
        shape = [len(windows) if size is None else size for size in self._shape]
        try:
            (given,) = self._session.run(
                [self.card.output], {self.card.input: windows.reshape(shape)}
            )
        except ORT_ERRORS as error:
            raise ModelError(f"{self.path}: failed to run: {error}") from error
        labels = len(self.card.labels)
        if given.size != len(windows) * labels:
            raise ModelError(
                f"{self.path}: {self.card.output} has shape {given.shape} for {len(windows)} "
                f"windows, and the card {labels} labels"
            )
        if not np.isfinite(given).all():
            raise ModelError(f"{self.path}: gave values that are not finite")
        weights: Float32Array = given.reshape(len(windows), labels).astype(np.float32)
        return weights


def _window_shape(
    path: Path, card: WindowCard, session: ort.InferenceSession
) -> tuple[int | None, ...]:
    """The shape that the network takes, None where the number of windows goes.

    Raises:
        ModelError: names, types or shapes are not as the card says.
    """
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor for tensor in session.get_outputs()}
    for side, name, found in (("input", card.input, inputs), ("output", card.output, outputs)):
        if name not in found:
            raise ModelError(f"{path}: has no {side} {name!r}; its {side}s are {sorted(found)}")
        if found[name].type != "tensor(float)":
            raise ModelError(f"{path}: {name} is {found[name].type}, not tensor(float)")
    if len(inputs) > 1:
        others = sorted(set(inputs) - {card.input})
        raise ModelError(f"{path}: needs the inputs {others} too, for which a card has no words")
    dims = inputs[card.input].shape
    fixed = [size if isinstance(size, int) and size > 0 else None for size in dims]
    # The last dimension is the window unless another is; what else there is must be one, or,
    # as the first one, any number of windows.
    place = next((i for i, size in enumerate(fixed) if size == card.window_samples), len(fixed) - 1)
    if fixed and fixed[place] is None:
        fixed[place] = card.window_samples
    rest = [size for i, size in enumerate(fixed) if i != place]
    free = place != 0 and fixed[0] is None
    shape: tuple[int | None, ...] = tuple(
        card.window_samples if i == place else None if i == 0 and free else 1
        for i in range(len(fixed))
    )
    if not fixed or fixed[place] != card.window_samples or any((size or 1) != 1 for size in rest):
        raise ModelError(
            f"{path}: {card.input} has shape {dims}, which takes no window of "
            f"{card.window_samples} samples"
        )
    return shape


class WindowState:
    """The running lip-sync of one session; not thread-safe.

    As LipSyncState: row r describes the mouth at (r + 0.5) * row_s and is given out once its
    window has been heard. Before the speech there is silence.
    """

    def __init__(self, model: WindowModel) -> None:
        self._model = model
        self._row_samples = round(ROW_S * model.card.sample_rate_hz)
        self.reset()

    def reset(self) -> None:
        """Forget all sound; the next sample fed is the first of row 0."""
        card = self._model.card
        # The window of row 0 begins here; further windows begin a row later each.
        before = max(0, card.at_samples - self._row_samples // 2)
        self._heard = np.zeros(before, np.float32)
        self._skip = max(0, self._row_samples // 2 - card.at_samples)
        self._fed = 0
        self._given = 0

    def feed(self, pcm: Float32Array) -> Float32Array:
        """Mouth controls of the rows that these samples complete.

        Args:
            pcm: (samples,) float32 in [-1, 1], mono, at the card's rate; any number of samples.

        Returns:
            (rows, 10) float32 in [0, 1], columns as in MOUTH; rows may be 0.

        Raises:
            ModelError: the network failed.
        """
        self._fed += len(pcm)
        return self._advance(pcm)

    def flush(self) -> Float32Array:
        """The rows still missing, as if silence followed; the state is then as after reset()."""
        rows = -(-self._fed // self._row_samples) - self._given
        rest = self._advance(
            np.zeros(self._model.card.window_samples + self._row_samples, np.float32)
        )
        self.reset()
        return rest[:rows]

    def _advance(self, pcm: Float32Array) -> Float32Array:
        skipped = min(self._skip, len(pcm))
        self._skip -= skipped
        self._heard = np.concatenate((self._heard, pcm[skipped:]))
        window, step = self._model.card.window_samples, self._row_samples
        rows = max(0, (len(self._heard) - window) // step + 1)
        if not rows:
            return self._model.run(np.zeros((0, window), np.float32))
        windows = np.lib.stride_tricks.sliding_window_view(self._heard, window)[
            : rows * step : step
        ]
        mouth = self._model.run(windows)
        self._heard = self._heard[rows * step :]
        self._given += rows
        return mouth
