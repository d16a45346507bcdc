"""How often the network meets each phone, and how long English ones last."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avatar.phones import PHONES
from training.corpus import read_shard
from training.recipe import RECORDED
from training.train import NEGATIVE_SHARE, Source, source_shares

ENGLISH = ("festival", "flite", "hibari", "kokoro", RECORDED)
LONGEST_S = 0.4
"""Longer phones are mistakes of an aligner, or drawn out before a pause."""
USUAL_S = 0.07
"""For phones that English does not have."""
FEWEST = 20


def phone_shares(sources: Mapping[str, Source], recorded: float) -> list[float]:
    """The share of each of PHONES in what training draws; sums to 1.

    Args:
        sources: of the examples.
        recorded: what people's recordings count among them.
    """
    shares = np.zeros(len(PHONES))
    for engine, share in source_shares(sources, recorded).items():
        counts = np.bincount(sources[engine].phones, minlength=len(PHONES))
        shares += share * counts / counts.sum()
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
