"""Scores on the voices kept from training, heard through avatar.lipsync as a session hears them."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from avatar.controls import MOUTH
from avatar.features import SAMPLE_RATE
from avatar.lipsync import LipSyncModel, LipSyncState
from training.corpus import read_shard
from training.metrics import Scores, Track, closure_parts, f1, score
from training.noises import KINDS
from training.prepare import held_out
from training.synthesis import Utterance

NOISE_SECONDS = 60
NOISE_LEVEL = 0.05
THRESHOLDS = [round(0.2 + 0.05 * i, 2) for i in range(14)]
GIVEN_FOR_RECALL = 0.005

Float32Array = npt.NDArray[np.float32]


def held_out_utterances(shards: list[Path], most: int) -> dict[str, list[Utterance]]:
    """About so many utterances kept from training, by engine, evenly drawn."""
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for shard in shards:
        for utterance in read_shard(shard):
            if held_out(utterance, shard.stem):
                groups[shard.stem.partition("-")[0]].append(utterance)
    return {
        engine: utterances[:: max(1, len(utterances) // most)]
        for engine, utterances in groups.items()
    }


def hear(model: LipSyncModel, pcm: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Mouth (rows, 10) and visemes (rows, 15) of a whole sound."""
    state = LipSyncState(model)
    mouth, visemes = state.feed_with_visemes(pcm)
    last_mouth, last_visemes = state.flush_with_visemes()
    return np.concatenate((mouth, last_mouth)), np.concatenate((visemes, last_visemes))


def held_out_tracks(
    model: LipSyncModel, shards: list[Path], most: int
) -> dict[str, tuple[list[Track], list[Track]]]:
    """By engine of the voices kept from training: what the model does, and the truth."""
    result = {}
    for engine, utterances in held_out_utterances(shards, most).items():
        tracks, truths = [], []
        for utterance in tqdm(utterances, f"hear {engine}", unit="utterance"):
            mouth, visemes = hear(model, utterance.pcm.astype(np.float32) / 32768)
            tracks.append(Track.of_rows(mouth, visemes, model.card.row_s, utterance.seconds))
            truths.append(Track.of_phones(utterance.segments, utterance.seconds))
        result[engine] = tracks, truths
    return result


def event_threshold(tracks: dict[str, tuple[list[Track], list[Track]]], control: str) -> float:
    """The least evidence of "press" or "fv" above which events are found about best.

    A closure that is missed is seen sooner than one too many: as far as F1, over all engines,
    stays within GIVEN_FOR_RECALL of the best, the threshold is lowered.
    """

    def mean_f1(threshold: float) -> float:
        sums = [
            np.sum(
                [closure_parts(*pair, control, threshold) for pair in zip(*both, strict=True)], 0
            )
            for both in tracks.values()
        ]
        return float(f1(np.array(sums)).mean())

    found = {threshold: mean_f1(threshold) for threshold in THRESHOLDS}
    enough = max(found.values()) - GIVEN_FOR_RECALL
    return next(threshold for threshold, reached in found.items() if reached >= enough)


def evaluate(
    model: LipSyncModel, shards: list[Path], most: int
) -> tuple[dict[str, Scores], dict[str, float]]:
    """Scores by engine of the voices kept from training, and mean `open` by kind of noise."""
    tracks = held_out_tracks(model, shards, most)
    scores = {engine: score(found, true) for engine, (found, true) in tracks.items()}
    rng = np.random.default_rng(99)
    openings = {}
    for kind, make in KINDS.items():
        mouth, _ = hear(model, NOISE_LEVEL * make(NOISE_SECONDS * SAMPLE_RATE, rng))
        openings[kind] = float(mouth[:, MOUTH.index("open")].mean())
    return scores, openings
