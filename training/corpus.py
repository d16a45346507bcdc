"""The corpus: which voice speaks for how long, in shards that are written once and kept."""

import json
import os
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avatar.phones import canonical
from training.neural import hibari_utterances, kokoro_utterances
from training.recipe import RECORDED, Recipe
from training.recordings import recorded, recorded_utterances
from training.synthesis import (
    LONGEST_S,
    Utterance,
    espeak_utterances,
    festival_utterances,
    flite_utterances,
    russian_utterances,
)


@dataclass(frozen=True)
class Shard:
    """One file of the corpus: the index-th of `count` of its source."""

    source: str
    index: int
    count: int
    minutes: float
    seed: int
    recordings: Path | None = None
    """Where people's recordings are."""
    kokoro_voices: Path | None = None
    """Where Kokoro's voices are, if not those of its Python package."""

    def path(self, folder: Path) -> Path:
        return folder / f"{self.source}-{self.index:02d}.npz"

    def utterances(self) -> Iterator[Utterance]:
        """What the shard is to hold, without the pieces whose sound and labels disagree."""
        rng = random.Random(zlib.crc32(f"{self.seed} {self.source} {self.index}".encode()))
        engine, _, voice = self.source.partition("-")
        if engine == "russian":
            everything = islice(russian_utterances(), self.index, None, self.count)
        elif engine == RECORDED and self.recordings is not None:
            everything = recorded_utterances(recorded(self.recordings)[self.index :: self.count])
        elif engine == "espeak":
            everything = espeak_utterances(rng)
        elif engine == "flite":
            everything = flite_utterances(voice, rng)
        elif engine == "hibari":
            everything = hibari_utterances(rng)
        elif engine == "kokoro":
            everything = kokoro_utterances(rng, self.kokoro_voices)
        else:
            everything = festival_utterances(voice, rng)
        seconds = 0.0
        for utterance in everything:
            end = utterance.segments[-1][1] if utterance.segments else 0.0
            if utterance.seconds > LONGEST_S or abs(end - utterance.seconds) > 0.3:
                continue
            yield utterance
            seconds += utterance.seconds
            if engine not in (RECORDED, "russian") and seconds >= 60 * self.minutes:
                return


def write_shard(shard: Shard, folder: Path) -> float:
    """Synthesise one shard into its file; gives the seconds of speech in it."""
    pieces, entries = [], []
    for utterance in shard.utterances():
        segments = canonical(utterance.segments, utterance.inventory)
        pieces.append(utterance.pcm)
        rounded = [(round(start, 4), round(end, 4), phone) for start, end, phone in segments]
        entries.append(
            {"voice": utterance.voice, "samples": len(utterance.pcm), "segments": rounded}
        )
    path = shard.path(folder)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, pcm=np.concatenate(pieces), entries=np.array(json.dumps(entries)))
    os.replace(partial, path)
    return sum(len(piece) for piece in pieces) / 16_000


def read_shard(path: Path) -> list[Utterance]:
    """The utterances of one shard, phones already canonical."""
    with np.load(path) as file:
        pcm, entries = file["pcm"], json.loads(str(file["entries"]))
    utterances, at = [], 0
    for entry in entries:
        samples = pcm[at : at + entry["samples"]]
        at += entry["samples"]
        segments = [(start, end, phone) for start, end, phone in entry["segments"]]
        utterances.append(Utterance(entry["voice"], "canonical", samples, segments))
    return utterances


def shards_of(recipe: Recipe, seed: int) -> list[Shard]:
    """All shards of a recipe, in a fixed order."""
    return [
        Shard(
            source,
            index,
            count,
            recipe.minutes_per_shard,
            seed,
            recipe.recordings,
            recipe.kokoro_voices,
        )
        for source, count in recipe.shards.items()
        for index in range(count)
    ]


def shard_paths(folder: Path, recipe: Recipe) -> list[Path]:
    """Where all shards are or will be, in a fixed order."""
    return [shard.path(folder) for shard in shards_of(recipe, 0)]


def build_corpus(folder: Path, recipe: Recipe, seed: int, workers: int = 2) -> None:
    """Write every shard that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = shards_of(recipe, seed)
    missing = [shard for shard in shards if not shard.path(folder).exists()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(write_shard, shard, folder) for shard in missing]
        for job in tqdm(as_completed(jobs), "corpus", total=len(jobs), unit="shard"):
            job.result()
