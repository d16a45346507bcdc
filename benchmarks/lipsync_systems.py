"""What is compared in the lip-sync benchmark: ways of moving a mouth, and how they are scored."""

import copy
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.signal import lfilter
from tqdm import tqdm

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS, HOP_SAMPLES, SAMPLE_RATE, SILENCE, LogMel
from avatar.lipsync import MOST_LOOKAHEAD_S, Heads, LipSyncModel, LipSyncState, States
from avatar.model_card import HOPS_PER_ROW, ROW_SAMPLES
from avatar.phones import canonical
from avatar.pronunciation import words_of
from avatar.words import Word, timed_words
from benchmarks.bootstrap import (
    Interval,
    coarse_parts,
    correlation_parts,
    interval,
    pearson,
    share,
)
from benchmarks.labelled_speech import Recording
from training.metrics import Scores, Track, closure_parts, f1, score
from training.synthesis import flite_utterances

Float32Array = npt.NDArray[np.float32]
System = Callable[[Recording], Track]
"""Makes a track of a recording: of its sound, and of its text where the system reads."""

Told = Sequence[tuple[int, Sequence[Word]]]
"""Words, each lot with the sample before which it is told."""

AUDIO_80, AUDIO_240 = "audio alone, 80 ms", "audio alone, 240 ms"
TEXT_80, TEXT_240 = "audio + text, 80 ms", "audio + text, 240 ms"
TIMINGS = "engine timings, 80 ms"
SHORT_S, LONG_S = 0.08, 0.24

CLOSURE_FIGURES = ("recall", "precision", "f1")

PROFILE_VOICES = ("slt", "rms", "awb", "kal16")
PROFILE_UTTERANCES = 25
CEPSTRA = 12
LOUD_RANGE = 5.0
"""Speech lies within this range of mean log-mel below the loudest frame."""
SMOOTH_S = 0.02
QUIET = -9.5
"""Mean log-mel that no speech is below."""


class KnownSound(LipSyncModel):
    """A model that has heard one sound already and gives the rows again.

    The network is causal and does not know how much text or look-ahead a session has, so all
    systems on one sound may share its rows; a test compares with the model streaming.
    """

    def __init__(self, model: LipSyncModel, pcm: Float32Array) -> None:
        """Hear a whole sound.

        Args:
            model: the model.
            pcm: (samples,) float32, mono, 16 kHz.
        """
        self.path, self.card = model.path, model.card
        rows = math.ceil(len(pcm) / ROW_SAMPLES) + math.ceil(MOST_LOOKAHEAD_S / self.card.row_s) + 1
        silence = np.zeros(rows * ROW_SAMPLES - len(pcm), np.float32)
        mel = LogMel().feed(np.concatenate((pcm, silence)))
        mel = np.concatenate((np.full((1, BANDS), SILENCE, np.float32), mel))
        self._heads, _ = model.run(mel[: HOPS_PER_ROW * rows], model.first_states())

    def first_states(self) -> States:
        """The number of the row that comes next."""
        return [np.zeros(1, np.float32)]

    def run(self, mel: Float32Array, states: States) -> tuple[Heads, States]:
        """The next rows, as many as there are pairs of hops in mel."""
        first = int(states[0][0])
        end = first + len(mel) // HOPS_PER_ROW
        if end > len(self._heads.mouth):
            raise ValueError(f"rows up to {end} are asked for, {len(self._heads.mouth)} are known")
        rows = slice(first, end)
        heads = Heads(self._heads.mouth[rows], self._heads.visemes[rows], self._heads.phones[rows])
        return heads, [np.full(1, end, np.float32)]


@lru_cache(maxsize=2)
def _known(model: LipSyncModel, sound: bytes) -> KnownSound:
    return KnownSound(model, np.frombuffer(sound, np.float32))


def least_lookahead_s(model: LipSyncModel) -> float:
    """The shortest look-ahead that the model has heads for."""
    return min(model.card.delays_s)


def state_at(model: LipSyncModel, lookahead_s: float) -> LipSyncState:
    """A session that may wait so long; it begins with the model's own delay or, if that is more
    than the look-ahead, with the longest one of its heads that is not.

    Raises:
        ValueError: no head of the model is so early.
    """
    fitting = [
        delay_s
        for delay_s in model.card.delays_s
        if delay_s <= min(lookahead_s, model.card.lookahead_s) + 1e-9
    ]
    if not fitting:
        raise ValueError(f"{model.path}: needs more look-ahead than {lookahead_s} s")
    early = copy.copy(model)
    early.card = replace(model.card, lookahead_s=max(fitting))
    state = LipSyncState(early)
    state.lookahead_s = lookahead_s
    return state


def hear(
    model: LipSyncModel, pcm: Float32Array, lookahead_s: float, told: Told = ()
) -> tuple[Float32Array, Float32Array]:
    """Mouth (rows, 10) and visemes (rows, 15) of a whole sound.

    Args:
        model: the model.
        pcm: (samples,) float32, mono, 16 kHz.
        lookahead_s: what a row may wait for.
        told: words and when they are told, in order.
    """
    state = state_at(_known(model, pcm.tobytes()), lookahead_s)
    pieces, at = [], 0
    for sample, words in told:
        pieces.append(state.feed_with_visemes(pcm[at:sample]))
        state.expect(words)
        at = sample
    pieces += [state.feed_with_visemes(pcm[at:]), state.flush_with_visemes()]
    mouth, visemes = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return mouth, visemes


def lip_sync(
    model: LipSyncModel, lookahead_s: float, told: Callable[[Recording], Told] | None = None
) -> System:
    """The model.

    Args:
        model: the model.
        lookahead_s: what a row may wait for.
        told: the words that it gets for a recording; none without this.
    """

    def track(recording: Recording) -> Track:
        words = told(recording) if told else ()
        mouth, visemes = hear(model, recording.pcm, lookahead_s, words)
        return Track.of_rows(mouth, visemes, model.card.row_s, recording.seconds)

    return track


def told_text(recording: Recording) -> Told:
    """All words of the recording before its sound."""
    return [(0, words_of(recording.text))]


def told_times(recording: Recording) -> Told:
    """The phones' own times before the sound, as a voice that tells them would."""
    return [(0, timed_words(recording.segments))]


def model_systems(model: LipSyncModel, reads: bool) -> dict[str, System]:
    """The model by itself, and where there is text, with it.

    Args:
        model: the model.
        reads: whether the recordings have words.
    """
    systems = {AUDIO_80: lip_sync(model, SHORT_S), AUDIO_240: lip_sync(model, LONG_S)}
    if reads:
        systems[TEXT_80] = lip_sync(model, SHORT_S, told_text)
        systems[TEXT_240] = lip_sync(model, LONG_S, told_text)
    systems[TIMINGS] = lip_sync(model, SHORT_S, told_times)
    return systems


def loudness() -> System:
    """The jaw follows the level, from 30 dB below its running peak upwards."""

    def track(recording: Recording) -> Track:
        mel = LogMel().feed(recording.pcm)
        level_db = 10 / np.log(10) * np.log(np.exp(mel).sum(axis=1))
        peak_db = np.maximum.accumulate(np.maximum(level_db, 0.0))
        opening = np.clip((level_db - peak_db + 30.0) / 30.0, 0.0, 1.0)
        mouth = np.zeros((len(mel), len(MOUTH)), np.float32)
        mouth[:, MOUTH.index("jaw")] = mouth[:, MOUTH.index("open")] = 0.8 * opening
        mouth[:, MOUTH.index("speak")] = opening > 0.05
        mouth[:, MOUTH.index("press")] = (opening > 0.05) & (opening < 0.35)
        names = np.where(opening <= 0.05, "sil", np.where(opening < 0.35, "PP", "E"))
        names[opening > 0.75] = "aa"
        visemes = np.array([VISEMES.index(name) for name in names], np.int16)
        return Track(mouth, visemes)

    return track


def _cepstra(pcm: Float32Array) -> Float32Array:
    """(frames, 12) mel-frequency cepstra without the first, less the mean of this voice."""
    mel = LogMel().feed(pcm)
    cepstra = dct(mel, axis=1, norm="ortho")[:, 1 : 1 + CEPSTRA]
    loud = mel.mean(axis=1)
    voice = cepstra[loud > loud.max() - LOUD_RANGE].mean(axis=0)
    return np.asarray(cepstra - voice, np.float32)


def profiles() -> System:
    """The nearest of fifteen mean cepstra, one per viseme, as uLipSync does; smoothed.

    Raises:
        SynthesisError: flite is missing.
    """
    cepstra, visemes, mouths = [], [], []
    for voice in tqdm(PROFILE_VOICES, "fit profiles", unit="voice", disable=None):
        for utterance in islice(flite_utterances(voice, random.Random(7)), PROFILE_UTTERANCES):
            segments = canonical(utterance.segments, utterance.inventory)
            found = _cepstra(utterance.pcm.astype(np.float32) / np.float32(32768))
            truth = Track.of_phones(segments, utterance.seconds)
            frames = min(len(found), len(truth.visemes))
            cepstra.append(found[:frames])
            visemes.append(truth.visemes[:frames])
            mouths.append(truth.mouth[:frames])
    heard, labels, shown = np.concatenate(cepstra), np.concatenate(visemes), np.concatenate(mouths)
    scale = heard.std(axis=0)
    means = np.stack([heard[labels == i].mean(axis=0) for i in range(len(VISEMES))]) / scale
    poses = np.stack([shown[labels == i].mean(axis=0) for i in range(len(VISEMES))])
    keep = np.exp(-HOP_SAMPLES / SAMPLE_RATE / SMOOTH_S)

    def track(recording: Recording) -> Track:
        far = ((_cepstra(recording.pcm)[:, None] / scale - means) ** 2).sum(axis=2)
        loud = LogMel().feed(recording.pcm).mean(axis=1)
        nearest = np.where(
            loud < max(QUIET, loud.max() - LOUD_RANGE), VISEMES.index("sil"), far.argmin(axis=1)
        )
        smooth = lfilter([1 - keep], [1, -keep], poses[nearest], axis=0)
        return Track(smooth.astype(np.float32), nearest.astype(np.int16))

    return track


@dataclass(frozen=True)
class Measured:
    """The figures of one system.

    Attributes:
        scores: all of them, over all recordings together; closures by their middles.
        recall, precision: of closures that touch, see training.metrics.touching.
        intervals: 95 % intervals over recordings of coarse, r_open and f1; of one recording none.
    """

    scores: Scores
    recall: float
    precision: float
    intervals: dict[str, Interval]

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        return 2 * self.recall * self.precision / max(1e-9, self.recall + self.precision)

    def figure(self, name: str) -> float:
        """recall, precision or f1 of closures that touch, or any other of the scores."""
        return float(getattr(self if name in CLOSURE_FIGURES else self.scores, name))

    def as_numbers(self) -> dict[str, object]:
        """For JSON."""
        scores = asdict(self.scores)
        strict = {f"{name}_by_middles": scores[name] for name in CLOSURE_FIGURES}
        touch = {name: self.figure(name) for name in CLOSURE_FIGURES}
        spread = {name: asdict(found) for name, found in self.intervals.items()}
        return {**scores, **touch, **strict, "intervals": spread}


def measured(tracks: list[Track], truths: list[Track]) -> Measured:
    """The figures of tracks beside the truth; where one is longer, its end is left out."""
    pairs = []
    for track, truth in zip(tracks, truths, strict=True):
        end = min(len(track.mouth), len(truth.mouth))
        pairs.append((_until(track, end), _until(truth, end)))
    tracks, truths = [track for track, _ in pairs], [truth for _, truth in pairs]
    closed = [closure_parts(*pair) for pair in pairs]
    touched, true, touch, found = np.sum(closed, axis=0)
    parts = {
        "coarse": (share, [coarse_parts(*pair) for pair in pairs]),
        "r_open": (pearson, [correlation_parts(*pair, "open") for pair in pairs]),
        "f1": (f1, closed),
    }
    return Measured(
        scores=score(tracks, truths),
        recall=float(touched / max(1.0, true)),
        precision=float(touch / max(1.0, found)),
        intervals={
            name: interval(np.array(rows), figure)
            for name, (figure, rows) in parts.items()
            if len(rows) > 1
        },
    )


def measure(
    systems: Mapping[str, System], recordings: Sequence[Recording], title: str
) -> dict[str, Measured]:
    """The figures of each system on all recordings.

    Args:
        systems: by name.
        recordings: with their labels, one or more.
        title: of the progress bar.
    """
    tracks: dict[str, list[Track]] = {name: [] for name in systems}
    for recording in tqdm(recordings, title, unit="recording", disable=None):
        for name, system in systems.items():
            tracks[name].append(system(recording))
    truths = [Track.of_phones(recording.segments, recording.seconds) for recording in recordings]
    return {name: measured(found, truths) for name, found in tracks.items()}


def _until(track: Track, end: int) -> Track:
    return Track(track.mouth[:end], track.visemes[:end])


@dataclass(frozen=True)
class Asked:
    """A figure that is asked for, beside what was got.

    Attributes:
        what: system and condition.
        figure: its name.
        got: what was measured.
        limit: what is asked.
        at_least: whether the limit is the least that will do, or the most.
    """

    what: str
    figure: str
    got: float
    limit: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether it is as asked."""
        return self.got >= self.limit if self.at_least else self.got <= self.limit

    def __str__(self) -> str:
        sign, verdict = ">=" if self.at_least else "<=", "met" if self.met else "MISSED"
        got = f"{self.what:44} {self.figure:26} {self.got:8.4g}"
        return f"{got}   asked {sign} {self.limit:<6g} {verdict}"

    def as_numbers(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "met": self.met}
