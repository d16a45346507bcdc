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

from training.phones import canonical
from training.synthesis import (
    LONGEST_S,
    Utterance,
    espeak_utterances,
    festival_utterances,
    flite_utterances,
    russian_utterances,
)

MINUTES_PER_SHARD = 10
SHARDS = {
    "espeak": 27,
    "flite-slt": 3,
    "flite-rms": 4,
    "flite-awb": 4,
    "flite-kal16": 2,
    "festival-kal": 1,
    "festival-ked": 1,
    "festival-slt-hts": 3,
    "russian": 10,
}
"""How many shards each source fills; the Russian recordings are dealt out to theirs."""


@dataclass(frozen=True)
class Shard:
    """One file of the corpus."""

    source: str
    index: int
    seed: int

    def path(self, folder: Path) -> Path:
        return folder / f"{self.source}-{self.index:02d}.npz"

    def utterances(self) -> Iterator[Utterance]:
        """What the shard is to hold, without the pieces whose sound and labels disagree."""
        rng = random.Random(zlib.crc32(f"{self.seed} {self.source} {self.index}".encode()))
        engine, _, voice = self.source.partition("-")
        if engine == "russian":
            everything = islice(russian_utterances(), self.index, None, SHARDS["russian"])
        elif engine == "espeak":
            everything = espeak_utterances(rng)
        elif engine == "flite":
            everything = flite_utterances(voice, rng)
        else:
            everything = festival_utterances(voice, rng)
        seconds = 0.0
        for utterance in everything:
            end = utterance.segments[-1][1] if utterance.segments else 0.0
            if utterance.seconds > LONGEST_S or abs(end - utterance.seconds) > 0.3:
                continue
            yield utterance
            seconds += utterance.seconds
            if engine != "russian" and seconds >= 60 * MINUTES_PER_SHARD:
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


def shard_paths(folder: Path) -> list[Path]:
    """Where all shards are or will be, in a fixed order."""
    return [
        Shard(source, i, 0).path(folder) for source, count in SHARDS.items() for i in range(count)
    ]


def build_corpus(folder: Path, seed: int, workers: int = 2) -> None:
    """Write every shard that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = [Shard(source, i, seed) for source, count in SHARDS.items() for i in range(count)]
    missing = [shard for shard in shards if not shard.path(folder).exists()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(write_shard, shard, folder) for shard in missing]
        for job in tqdm(as_completed(jobs), "corpus", total=len(jobs), unit="shard"):
            job.result()
