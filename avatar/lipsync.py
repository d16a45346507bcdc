"""The lip-sync model: speech in, mouth controls out, as the sound arrives."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar.controls import MOUTH, VISEMES
from avatar.errors import ModelError
from avatar.features import BANDS, HOP_SAMPLES, SAMPLE_RATE, SILENCE, Float32Array, LogMel
from avatar.onnx import ORT_ERRORS, open_session, ort, read_card

DEFAULT_MODEL = Path(__file__).parent / "assets" / "lipsync.onnx"

HOPS_PER_ROW = 2
ROW_SAMPLES = HOPS_PER_ROW * HOP_SAMPLES
LONGEST_LOOKAHEAD_S = 0.080

States = list[Float32Array]


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One tensor that the model hands from call to call."""

    input: str
    """Name under which the model takes it."""
    output: str
    """Name under which the model gives its next value."""
    shape: tuple[int, ...]
    """Fixed shape; a new session starts from zeros."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What stands beside the model in lipsync.onnx.json, as far as running it needs."""

    name: str
    version: str
    row_s: float
    """Seconds of sound per row of output."""
    lookahead_s: float
    """Seconds of sound that a row needs beyond its own middle: the model's whole delay."""
    states: tuple[StateTensor, ...]
    press_threshold: float
    """Evidence of `press` above which the lips are together."""
    fv_threshold: float
    """Evidence of `fv` above which the lip is under the teeth."""

    @classmethod
    def read(cls, path: Path) -> "ModelCard":
        """The card in a JSON file.

        Raises:
            ModelError: the file is missing, no JSON, lacks a field or contradicts this code.
        """
        fields = read_card(path)
        try:
            card = cls(
                name=str(fields["name"]),
                version=str(fields["version"]),
                row_s=float(fields["row_s"]),
                lookahead_s=float(fields["lookahead_s"]),
                states=tuple(
                    StateTensor(str(s["input"]), str(s["output"]), tuple(map(int, s["shape"])))
                    for s in fields["states"]
                ),
                press_threshold=float(fields["thresholds"]["press"]),
                fv_threshold=float(fields["thresholds"]["fv"]),
            )
            card._check(fields)
        except KeyError as error:
            raise ModelError(f"{path}: lacks the field {error}") from error
        except (TypeError, ValueError) as error:
            raise ModelError(f"{path}: {error}") from error
        return card

    @property
    def sample_rate_hz(self) -> int:
        """Of the speech that LipSyncState is fed."""
        return SAMPLE_RATE

    @property
    def delay_rows(self) -> int:
        """How many rows the model's output lags behind its input."""
        return round(self.lookahead_s / self.row_s)

    def _check(self, fields: dict[str, Any]) -> None:
        expected = {
            "sample_rate_hz": SAMPLE_RATE,
            "hop_samples": HOP_SAMPLES,
            "bands": BANDS,
            "controls": list(MOUTH),
            "visemes": list(VISEMES),
        }
        for name, value in expected.items():
            if fields[name] != value:
                raise ValueError(f"{name} is {fields[name]!r}, needed is {value!r}")
        if not math.isclose(self.row_s, ROW_SAMPLES / SAMPLE_RATE):
            raise ValueError(f"row_s is {self.row_s}, needed is {ROW_SAMPLES / SAMPLE_RATE}")
        if not 0.0 <= self.lookahead_s <= LONGEST_LOOKAHEAD_S + 1e-9:
            raise ValueError(f"lookahead_s is {self.lookahead_s}, not within 0 .. 0.08")
        if not math.isclose(self.delay_rows * self.row_s, self.lookahead_s, abs_tol=1e-9):
            raise ValueError(f"lookahead_s {self.lookahead_s} is no whole number of rows")
        for name in ("press", "fv"):
            if not 0.0 < float(fields["thresholds"][name]) < 1.0:
                raise ValueError(f"threshold of {name} is not between 0 and 1")


class LipSyncModel:
    """The network, loaded and checked once; any number of sessions and threads share it."""

    def __init__(self, path: Path, card: ModelCard, session: ort.InferenceSession) -> None:
        self.path = path
        self.card = card
        self._session = session
        self._outputs = ["mouth", "visemes", *(state.output for state in card.states)]

    @classmethod
    def load(cls, path: Path | None = None) -> "LipSyncModel":
        """The model of this file and its card, `path` + ".json", proven to fit each other.

        Args:
            path: an ONNX file; None is the model that comes with the package.

        Raises:
            ModelError: a file is missing or broken, the two disagree, or the model does not
                run; the message names file and reason.
        """
        path = DEFAULT_MODEL if path is None else path
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file")
        card = ModelCard.read(path.with_name(path.name + ".json"))
        session = open_session(path)
        _check_tensors(path, card, session)
        model = cls(path, card, session)
        model.run(np.full((HOPS_PER_ROW, BANDS), SILENCE, np.float32), model.first_states())
        return model

    def new_state(self) -> "LipSyncState":
        """Return what one session needs."""
        return LipSyncState(self)

    def first_states(self) -> States:
        """The states of a session that has heard nothing: zeros, float32."""
        return [np.zeros(state.shape, np.float32) for state in self.card.states]

    def run(self, mel: Float32Array, states: States) -> tuple[Float32Array, Float32Array, States]:
        """One step of the network over any number of rows.

        Args:
            mel: (2 * rows, 40) float32 from LogMel.
            states: what the previous call returned, or first_states().

        Returns:
            Mouth (rows, 10) float32 in [0, 1], columns as in MOUTH; viseme probabilities
            (rows, 15) float32; the next states. The rows lag by card.delay_rows.

        Raises:
            ModelError: the network failed or gave values that are not finite.
        """
        inputs = {"mel": mel[None]}
        for tensor, value in zip(self.card.states, states, strict=True):
            inputs[tensor.input] = value
        try:
            mouth, visemes, *next_states = self._session.run(self._outputs, inputs)
        except ORT_ERRORS as error:
            raise ModelError(f"{self.path}: failed to run: {error}") from error
        if mouth.shape != (1, len(mel) // HOPS_PER_ROW, len(MOUTH)):
            raise ModelError(f"{self.path}: gave mouth of shape {mouth.shape}")
        if visemes.shape != (1, len(mel) // HOPS_PER_ROW, len(VISEMES)):
            raise ModelError(f"{self.path}: gave visemes of shape {visemes.shape}")
        if not (np.isfinite(mouth).all() and np.isfinite(visemes).all()):
            raise ModelError(f"{self.path}: gave values that are not finite")
        return np.clip(mouth[0], 0.0, 1.0), visemes[0], next_states


def _check_tensors(path: Path, card: ModelCard, session: ort.InferenceSession) -> None:
    """Compare names, types and fixed dimensions of the network with its card."""
    states_in = {state.input: state.shape for state in card.states}
    states_out = {state.output: state.shape for state in card.states}
    wanted_in: dict[str, tuple[int | None, ...]] = {"mel": (1, None, BANDS), **states_in}
    wanted_out: dict[str, tuple[int | None, ...]] = {
        "mouth": (1, None, len(MOUTH)),
        "visemes": (1, None, len(VISEMES)),
        **states_out,
    }
    for side, wanted, tensors in (
        ("inputs", wanted_in, session.get_inputs()),
        ("outputs", wanted_out, session.get_outputs()),
    ):
        found = {tensor.name: tensor for tensor in tensors}
        if set(found) != set(wanted):
            raise ModelError(f"{path}: {side} are {sorted(found)}, card says {sorted(wanted)}")
        for name, shape in wanted.items():
            if found[name].type != "tensor(float)":
                raise ModelError(f"{path}: {name} is {found[name].type}, not tensor(float)")
            dims = found[name].shape
            fits = len(dims) == len(shape) and all(
                need is None or not isinstance(dim, int) or dim == need
                for dim, need in zip(dims, shape, strict=True)
            )
            if not fits:
                raise ModelError(f"{path}: {name} has shape {dims}, card says {list(shape)}")


class LipSyncState:
    """The running lip-sync of one session; not thread-safe.

    Row r describes the mouth at (r + 0.5) * row_s of the sound and is given out once the sound
    up to that time + lookahead_s has been fed.
    """

    def __init__(self, model: LipSyncModel) -> None:
        self._model = model
        self._log_mel = LogMel()
        self.reset()

    def reset(self) -> None:
        """Forget all sound; the next sample fed is the first of row 0."""
        self._log_mel.reset()
        self._states = self._model.first_states()
        # One silent hop first: it puts the last hop that a row needs exactly lookahead_s
        # behind the middle of the row.
        self._mel = np.full((1, BANDS), SILENCE, np.float32)
        self._rows_to_drop = self._model.card.delay_rows
        self._fed_samples = 0
        self._given_rows = 0

    def feed(self, pcm: Float32Array) -> Float32Array:
        """Mouth controls of the rows that these samples complete.

        Args:
            pcm: (samples,) float32 in [-1, 1], mono, 16 kHz; any number of samples.

        Returns:
            (rows, 10) float32 in [0, 1], columns as in MOUTH; rows may be 0.

        Raises:
            ValueError: pcm is not one-dimensional or not finite.
            ModelError: the network failed.
        """
        return self.feed_with_visemes(pcm)[0]

    def feed_with_visemes(self, pcm: Float32Array) -> tuple[Float32Array, Float32Array]:
        """As feed(), and beside it (rows, 15) float32, the probability of each of VISEMES."""
        mel = self._log_mel.feed(pcm)
        self._fed_samples += len(pcm)
        return self._advance(mel)

    def flush(self) -> Float32Array:
        """The rows still missing, so that all sound fed is covered, as if silence followed.

        Returns:
            (rows, 10) float32 in [0, 1]; feed() and flush() together gave
            ceil(samples / 320) rows. The state is then as after reset().

        Raises:
            ModelError: the network failed.
        """
        return self.flush_with_visemes()[0]

    def flush_with_visemes(self) -> tuple[Float32Array, Float32Array]:
        """As flush(), and beside it (rows, 15) float32, the probability of each of VISEMES."""
        rows = math.ceil(self._fed_samples / ROW_SAMPLES)
        missing_rows = rows - self._given_rows
        needed_hops = HOPS_PER_ROW * (rows + self._model.card.delay_rows) - 1
        padding = max(0, needed_hops * HOP_SAMPLES - self._fed_samples)
        mouth, visemes = self._advance(self._log_mel.feed(np.zeros(padding, np.float32)))
        self.reset()
        return mouth[:missing_rows], visemes[:missing_rows]

    def _advance(self, mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Run the network over all whole rows that are waiting, in one call."""
        waiting = np.concatenate((self._mel, mel)) if len(mel) else self._mel
        ready = len(waiting) // HOPS_PER_ROW * HOPS_PER_ROW
        self._mel = waiting[ready:]
        if ready == 0:
            return np.empty((0, len(MOUTH)), np.float32), np.empty((0, len(VISEMES)), np.float32)
        mouth, visemes, self._states = self._model.run(waiting[:ready], self._states)
        dropped = min(self._rows_to_drop, len(mouth))
        self._rows_to_drop -= dropped
        self._given_rows += len(mouth) - dropped
        return mouth[dropped:], visemes[dropped:]
