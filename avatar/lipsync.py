"""The lip-sync model: speech in, mouth controls out, as the sound arrives."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.controls import MOUTH, VISEMES
from avatar.errors import ModelError
from avatar.features import BANDS, HOP_SAMPLES, SILENCE, Float32Array, LogMel
from avatar.follower import Reading
from avatar.model_card import HOPS_PER_ROW, ROW_SAMPLES, ModelCard
from avatar.onnx import ORT_ERRORS, open_session, ort
from avatar.phones import PHONES, Segment
from avatar.text_reader import TextReader
from avatar.words import Word, timed_words

DEFAULT_MODEL = Path(__file__).parent / "assets" / "lipsync.onnx"

States = list[Float32Array]

_HEADS = {"mouth": len(MOUTH), "visemes": len(VISEMES), "phones": len(PHONES)}
"""The outputs that describe the mouth, and how many numbers each gives."""


@dataclass(frozen=True, slots=True)
class Heads:
    """What the network makes of a stretch of sound; D sets of heads, one for each delay.

    Row n of head d describes the mouth delays_rows[d] rows before the newest sound.
    """

    mouth: Float32Array
    """(rows, D, 10) in [0, 1], columns as in MOUTH."""
    visemes: Float32Array
    """(rows, D, 15) probabilities, columns as in VISEMES."""
    phones: Float32Array
    """(rows, D, P) log-probabilities, columns as in PHONES."""

    def followed_by(self, later: "Heads") -> "Heads":
        """These rows and then those."""
        return Heads(
            np.concatenate((self.mouth, later.mouth)),
            np.concatenate((self.visemes, later.visemes)),
            np.concatenate((self.phones, later.phones)),
        )

    def without_first(self, rows: int) -> "Heads":
        """The rows behind the first so many."""
        return Heads(self.mouth[rows:], self.visemes[rows:], self.phones[rows:])


class LipSyncModel:
    """The network, loaded and checked once; any number of sessions and threads share it."""

    def __init__(self, path: Path, card: ModelCard, session: ort.InferenceSession) -> None:
        self.path = path
        self.card = card
        self._session = session
        self._outputs = [*_HEADS, *(state.output for state in card.states)]

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

    def run(self, mel: Float32Array, states: States) -> tuple[Heads, States]:
        """One step of the network over any number of rows.

        Args:
            mel: (2 * rows, 40) float32 from LogMel.
            states: what the previous call returned, or first_states().

        Returns:
            The heads' rows and the next states.

        Raises:
            ModelError: the network failed or gave values that are not finite.
        """
        inputs = {"mel": mel[None]}
        for tensor, value in zip(self.card.states, states, strict=True):
            inputs[tensor.input] = value
        try:
            given = self._session.run(self._outputs, inputs)
        except ORT_ERRORS as error:
            raise ModelError(f"{self.path}: failed to run: {error}") from error
        heads, next_states = given[: len(_HEADS)], given[len(_HEADS) :]
        for (name, width), values in zip(_HEADS.items(), heads, strict=True):
            shape = (1, len(mel) // HOPS_PER_ROW, len(self.card.delays_s), width)
            if values.shape != shape:
                raise ModelError(f"{self.path}: gave {name} of shape {values.shape}, not {shape}")
            if not np.isfinite(values).all():
                raise ModelError(f"{self.path}: gave values of {name} that are not finite")
        mouth, visemes, phones = (values[0] for values in heads)
        return Heads(np.clip(mouth, 0.0, 1.0), visemes, phones), next_states


def _check_tensors(path: Path, card: ModelCard, session: ort.InferenceSession) -> None:
    """Compare names, types and fixed dimensions of the network with its card."""
    states_in = {state.input: state.shape for state in card.states}
    states_out = {state.output: state.shape for state in card.states}
    wanted_in: dict[str, tuple[int | None, ...]] = {"mel": (1, None, BANDS), **states_in}
    wanted_out: dict[str, tuple[int | None, ...]] = {
        **{name: (1, None, len(card.delays_s), width) for name, width in _HEADS.items()},
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


MOST_LOOKAHEAD_S = 0.240
"""More sound than this ahead of a row makes no difference to it."""

_TEXT_SHARE = np.array(
    [1.0 if control in ("press", "fv") else 0.8 for control in MOUTH], np.float32
)
"""What the text counts where it is trusted wholly; the rest is the model's own view."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a row is as it is, for people who debug a mouth.

    Attributes:
        phones: (P,) float32 log-probabilities of PHONES, from the sound alone.
        reading: What the text says about it; None without a text.
    """

    phones: Float32Array
    reading: Reading | None


class LipSyncState:
    """The running lip-sync of one session; not thread-safe.

    Row r describes the mouth at (r + 0.5) * row_s of the sound. It is given out once enough sound
    has come behind it: card.lookahead_s at first. Where `lookahead_s` allows more, each row waits
    for 20 ms more than the one before it, so that nothing is given out later than the sound allows.
    """

    def __init__(self, model: LipSyncModel) -> None:
        self._model = model
        self._log_mel = LogMel()
        self._delays = model.card.delays_rows
        self._first_delay = model.card.first_delay_rows
        self._allowed_rows = self._first_delay
        self.watch: Callable[[Evidence], None] | None = None
        """Called with the evidence of each row that is given."""
        self.reset()

    @property
    def lookahead_s(self) -> float:
        """How much sound beyond its own middle a row may wait for; set it at any time."""
        return self._allowed_rows * self._model.card.row_s

    @lookahead_s.setter
    def lookahead_s(self, seconds: float) -> None:
        rows = int(min(seconds, MOST_LOOKAHEAD_S) / self._model.card.row_s + 1e-6)
        self._allowed_rows = max(self._first_delay, rows)

    @property
    def used_lookahead_s(self) -> float:
        """How much the newest row has waited for."""
        return self._wait_rows * self._model.card.row_s

    def reset(self) -> None:
        """Forget all sound and text; the next sample fed is the first of row 0."""
        self._log_mel.reset()
        self._states = self._model.first_states()
        # One silent hop first: it puts the last hop that a row needs exactly lookahead_s
        # behind the middle of the row.
        self._mel = np.full((1, BANDS), SILENCE, np.float32)
        self._heads: Heads | None = None
        self._fed_samples = 0
        self._heard_rows = 0
        self._first_kept = 0
        self._given_rows = 0
        self._wait_rows = self._first_delay
        self._text = TextReader(self._model.card)

    def expect(self, words: Sequence[Word]) -> None:
        """Take note of what will be spoken next, behind what was expected before."""
        self._text.expect(words, self._given_rows)

    def expect_phones(self, phones: Sequence[Segment]) -> None:
        """Take note of what will be spoken next and when, behind what was expected before.

        Args:
            phones: canonical, in order, seconds from the first sample fed.
        """
        self.expect(timed_words(phones))
        self.told(phones)

    def told(self, phones: Sequence[Segment]) -> None:
        """Take note of when the voice itself says that it speaks what.

        It sharpens what is known from the text; without a text it is of no use.

        Args:
            phones: canonical, in order, seconds from the first sample fed; they take the place
                of those told before from their first time on.
        """
        self._text.told(phones)

    def told_word(self, text: str, start_s: float) -> None:
        """Take note of when the voice says that it begins a word that is expected.

        Args:
            text: as in `Word.text`.
            start_s: seconds from the first sample fed.
        """
        self._text.told_word(text, start_s)

    @property
    def words_ahead(self) -> tuple[Word, ...]:
        """Expected words that have not been heard yet."""
        return self._text.words_ahead

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
        self._hear(mel)
        return self._given()

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
        longest = max(self._wait_rows, self._allowed_rows)
        needed_hops = HOPS_PER_ROW * (rows + longest) - 1
        padding = max(0, needed_hops * HOP_SAMPLES - self._fed_samples)
        self._hear(self._log_mel.feed(np.zeros(padding, np.float32)))
        given = self._given(rows)
        self.reset()
        return given

    def _hear(self, mel: Float32Array) -> None:
        """Run the network over all whole rows that are waiting, in one call."""
        waiting = np.concatenate((self._mel, mel)) if len(mel) else self._mel
        ready = len(waiting) // HOPS_PER_ROW * HOPS_PER_ROW
        self._mel = waiting[ready:]
        if ready == 0:
            return
        heads, self._states = self._model.run(waiting[:ready], self._states)
        self._heard_rows += ready // HOPS_PER_ROW
        self._heads = heads if self._heads is None else self._heads.followed_by(heads)

    def _given(self, end: int | None = None) -> tuple[Float32Array, Float32Array]:
        """The rows before `end` that have waited for enough sound."""
        if self._heads:
            self._text.listen(self._heads.phones, self._first_kept)
        mouth, visemes = [], []
        while self._heads and (end is None or self._given_rows < end):
            wait = self._wait_of(self._given_rows)
            if self._given_rows + wait >= self._heard_rows:
                break
            self._wait_rows = wait
            shown, seen = self._row(self._given_rows, wait)
            mouth.append(shown)
            visemes.append(seen)
            self._given_rows += 1
        self._forget()
        if not mouth:
            return np.empty((0, len(MOUTH)), np.float32), np.empty((0, len(VISEMES)), np.float32)
        return np.array(mouth), np.array(visemes)

    def _wait_of(self, row: int) -> int:
        """How many rows behind a row are waited for: one more each row, as many as are allowed."""
        if row == 0:
            return self._first_delay
        most = self._allowed_rows
        # Where that costs no head, two rows look at the same newest one: following a text back
        # from there is then done once for both.
        if row % 2 and most > self._delays[-1]:
            most -= 1
        return min(self._wait_rows + 1, most)

    def _row(self, row: int, wait: int) -> tuple[Float32Array, Float32Array]:
        """Mouth and visemes of a row that may look at the `wait` rows behind it."""
        assert self._heads
        head = bisect_right(self._delays, wait) - 1
        at = row + self._delays[head] - self._first_kept
        mouth, visemes = self._heads.mouth[at, head], self._heads.visemes[at, head]
        phones = self._heads.phones[at, head]
        reading = self._text.read(row, wait)
        if self.watch:
            self.watch(Evidence(phones, reading))
        return _informed(mouth, visemes, reading) if reading else (mouth, visemes)

    def _forget(self) -> None:
        """Drop the rows of the network that no row to come looks at."""
        if self._heads is None:
            return
        spent = self._given_rows - self._first_kept
        if spent > 0:
            self._heads = self._heads.without_first(spent)
            self._first_kept += spent


def _informed(
    mouth: Float32Array, visemes: Float32Array, reading: Reading
) -> tuple[Float32Array, Float32Array]:
    """What was heard, as far as the text does not know better."""
    trust = np.float32(reading.trust)
    return (
        mouth + trust * _TEXT_SHARE * (reading.mouth - mouth),
        visemes + trust * (reading.visemes - visemes),
    )
