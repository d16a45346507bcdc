"""How much of everything goes into a model: the one that is shipped, and a trial run."""

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Cycle:
    """One fall of the learning rate, half a cosine.

    Attributes:
        steps: How long it is.
        peak: The learning rate at its beginning.
        hard: Share of the examples that come over worse lines.
        recorded: Share of the speech that is people's recordings, where there are any.
    """

    steps: int
    peak: float
    hard: float = 0.0
    recorded: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """Amounts.

    Attributes:
        shards: How many shards each source fills; people's recordings are dealt out to
            theirs.
        minutes_per_shard: Of speech, except that of people.
        passes: How often everything is rendered anew for training.
        noise_minutes: Of each kind of sound that is not speech.
        cycles: Of the training, one after the other.
        judged: Utterances of each kind of voice that the model is scored on.
        recordings: Folder of people's recordings, if there are any.
        recordings_are: Their name and licence.
        kokoro_voices: Folder of Kokoro's voices, if not those of its Python package.
        begin_with: A model's file whose weights the training begins with.
        average: Whether the mean of those and of the trained weights is exported.
    """

    shards: dict[str, int]
    minutes_per_shard: float
    passes: int
    noise_minutes: int
    cycles: tuple[Cycle, ...]
    judged: int
    recordings: Path | None = None
    recordings_are: str = ""
    kokoro_voices: Path | None = None
    begin_with: Path | None = None
    average: bool = False

    @property
    def steps(self) -> int:
        """Of training, in all."""
        return sum(cycle.steps for cycle in self.cycles)

    def cycle(self, step: int) -> tuple[Cycle, int]:
        """The cycle of a step of the training, and its step there; beyond the end, the last."""
        for cycle in self.cycles[:-1]:
            if step < cycle.steps:
                return cycle, step
            step -= cycle.steps
        return self.cycles[-1], min(step, self.cycles[-1].steps)

    def going_on(self, model: Path, average: bool = False) -> "Recipe":
        """The last cycle alone, begun with the weights of a model."""
        return replace(self, begin_with=model, average=average, cycles=self.cycles[-1:])

    def with_recordings(self, folder: Path, are: str) -> "Recipe":
        """The same with recordings of people, as `recordings.recorded()` reads them."""
        shards = {**self.shards, RECORDED: RECORDED_SHARDS}
        return replace(self, shards=shards, recordings=folder, recordings_are=are)


RECORDED = "recorded"
"""The source of recordings of people that the operator brings."""
RECORDED_SHARDS = 12

FULL = Recipe(
    shards={
        "espeak": 27,
        "flite-slt": 3,
        "flite-rms": 4,
        "flite-awb": 4,
        "flite-kal16": 2,
        "festival-kal": 3,
        "festival-ked": 1,
        "festival-slt-hts": 3,
        "hibari": 3,
        "kokoro": 9,
        "russian": 10,
    },
    minutes_per_shard=10,
    passes=3,
    noise_minutes=6,
    cycles=(
        Cycle(2000, 2.5e-3),
        Cycle(3000, 1.5e-3),
        Cycle(3000, 9e-4),
        Cycle(5000, 5.4e-4),
        Cycle(5000, 3.24e-4, hard=1.0),
        Cycle(9000, 1e-3, hard=0.5, recorded=0.4),
        Cycle(5000, 6e-4, hard=0.5, recorded=0.4),
        Cycle(12000, 8e-4, hard=0.6, recorded=0.5),
        Cycle(19000, 1e-3, hard=0.6, recorded=0.3),
        Cycle(9000, 6e-4, hard=0.7, recorded=0.3),
        Cycle(8000, 6e-4, hard=0.8, recorded=0.3),
    ),
    judged=60,
)

SMOKE = Recipe(
    shards={"espeak": 2, "flite-slt": 1, "hibari": 1},
    minutes_per_shard=0.5,
    passes=1,
    noise_minutes=1,
    cycles=(Cycle(10, 2.5e-3), Cycle(10, 1.5e-3, hard=0.5)),
    judged=3,
)
"""Shows in two minutes that every step works; what it makes is no use."""
