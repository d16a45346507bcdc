"""How often the network meets each phone, and how long English ones last."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avatar.phones import PHONES
from training.corpus import read_shard
from training.train import NEGATIVE_SHARE, SOURCE_SHARE, Source

ENGLISH = ("festival", "flite", "hibari", "kokoro")
LONGEST_S = 0.4
"""Longer phones are mistakes of an aligner, or drawn out before a pause."""
USUAL_S = 0.07
"""For phones that English does not have."""
FEWEST = 20


def phone_shares(sources: Mapping[str, Source]) -> list[float]:
    """The share of each of PHONES in what training draws; sums to 1."""
    shares = np.zeros(len(PHONES))
    whole = sum(SOURCE_SHARE[engine] for engine in sources)
    for engine, source in sources.items():
        counts = np.bincount(source.phones, minlength=len(PHONES))
        shares += SOURCE_SHARE[engine] / whole * counts / counts.sum()
    shares *= 1 - NEGATIVE_SHARE
    shares[PHONES.index("sil")] += NEGATIVE_SHARE
    return [float(share) for share in shares]


def phone_lengths(shards: list[Path]) -> dict[str, float]:
    """The mean length of each of PHONES in the English shards, seconds."""
    lengths: dict[str, list[float]] = defaultdict(list)
    for shard in shards:
        if shard.stem.partition("-")[0] in ENGLISH:
            for utterance in read_shard(shard):
                for start, end, phone in utterance.segments:
                    if end - start <= LONGEST_S:
                        lengths[phone].append(end - start)
    return {
        phone: float(np.mean(lengths[phone])) if len(lengths[phone]) >= FEWEST else USUAL_S
        for phone in PHONES
    }
