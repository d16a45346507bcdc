"""How much of everything goes into a model: the one that is shipped, and a trial run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Amounts.

    Attributes:
        shards: How many shards each source fills; festvox-ru's recordings are dealt out to theirs.
        minutes_per_shard: Of speech, except festvox-ru's.
        passes: How often everything is rendered anew for training.
        noise_minutes: Of each kind of sound that is not speech.
        cycles: Steps of each fall of the learning rate; in the last one the lines are worse.
        judged: Utterances of each kind of voice that the model is scored on.
    """

    shards: dict[str, int]
    minutes_per_shard: float
    passes: int
    noise_minutes: int
    cycles: tuple[int, ...]
    judged: int

    @property
    def steps(self) -> int:
        """Of training, in all."""
        return sum(self.cycles)


FULL = Recipe(
    shards={
        "espeak": 27,
        "flite-slt": 3,
        "flite-rms": 4,
        "flite-awb": 4,
        "flite-kal16": 2,
        "festival-kal": 1,
        "festival-ked": 1,
        "festival-slt-hts": 3,
        "hibari": 3,
        "kokoro": 6,
        "russian": 10,
    },
    minutes_per_shard=10,
    passes=2,
    noise_minutes=6,
    cycles=(2000, 3000, 3000, 5000, 5000),
    judged=60,
)

SMOKE = Recipe(
    shards={"espeak": 2, "flite-slt": 1, "hibari": 1},
    minutes_per_shard=0.5,
    passes=1,
    noise_minutes=1,
    cycles=(10, 10),
    judged=3,
)
"""Shows in two minutes that every step works; what it makes is no use."""
