"""Training: batches from the prepared features, the losses, checkpoints."""

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from avatar.controls import MOUTH, VISEMES
from avatar.features import SILENCE
from training.augment import HARD, PREPARED_FLOOR, USUAL, vary
from training.network import DELAYS_ROWS, LipSyncNet
from training.recipe import RECORDED, Cycle, Recipe
from training.weights import begin_with, exported_weights

RISE_STEPS = 100
"""At the very beginning the learning rate rises."""
BATCH = 16
"""Examples per worker and step."""
WORKERS = 2
"""Threads that each take a share of every step."""
ROWS = 200
"""Rows per example: four seconds."""
AVERAGE = 0.998
"""Share of the old average kept per step in the weights that are exported."""
CHECKPOINT_STEPS = 250
LOSS_STEPS = 10
"""How often the mean loss of the last hundred steps is noted."""

SOURCE_SHARE = {
    "espeak": 0.21,
    "flite": 0.14,
    "festival": 0.13,
    "hibari": 0.06,
    "kokoro": 0.33,
    "russian": 0.13,
}
"""Of the examples of speech that is not people's recordings."""
DELAY_SHARE = (0.15, 0.5, 0.35)
"""What the heads of each delay count in the loss."""
NEGATIVE_SHARE = 0.08
"""Examples that are noise only, the mouth closed."""
HISS_SHARE = 0.35
"""Of the noises that are mixed into speech: white to brown noise; the others in equal parts."""

CONTROL_WEIGHT = dict(zip(MOUTH, (1.5, 2.0, 1.0, 1.5, 2.0, 1.5, 0.7, 1.0, 1.0, 1.0), strict=True))
VELOCITY_WEIGHT = 5.0
EVENT_WEIGHT = 0.5
VISEME_WEIGHT = 0.4
PHONE_WEIGHT = 0.4
PHONE_SMOOTHING = 0.05
CLOSED_WEIGHT = 2.0


@dataclass
class Source:
    """All prepared runs of one kind of voice, end to end."""

    mel: npt.NDArray[np.float16]
    mouth: npt.NDArray[np.float16]
    visemes: npt.NDArray[np.int8]
    phones: npt.NDArray[np.int8]


def load_sources(folder: Path) -> dict[str, Source]:
    """The training passes of every shard, by engine."""
    parts: dict[str, dict[str, list[npt.NDArray[np.generic]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for path in sorted(folder.glob("*-pass*.npz")):
        if not path.stem.endswith("-pass0"):
            with np.load(path) as file:
                for key in ("mel", "mouth", "visemes", "phones"):
                    parts[path.name.partition("-")[0]][key].append(file[key])
    return {
        engine: Source(**{key: np.concatenate(arrays) for key, arrays in keys.items()})
        for engine, keys in parts.items()
    }


def source_shares(sources: Iterable[str], recorded: float) -> dict[str, float]:
    """What each source counts among the examples of speech; sums to 1.

    Args:
        sources: those that there are.
        recorded: share of people's recordings, where there are any.
    """
    there = set(sources)
    shares = {engine: share for engine, share in SOURCE_SHARE.items() if engine in there}
    whole = sum(shares.values())
    if not recorded or RECORDED not in there:
        return {engine: share / whole for engine, share in shares.items()}
    made = {engine: share / whole * (1 - recorded) for engine, share in shares.items()}
    return {**made, RECORDED: recorded}


def load_noises(folder: Path) -> dict[str, npt.NDArray[np.float16]]:
    """(hops, 40) of each kind of noise."""
    noises = {}
    for path in sorted(folder.glob("noise-*.npz")):
        with np.load(path) as file:
            noises[path.stem.partition("-")[2]] = file["mel"]
    return noises


@dataclass
class Batch:
    """mel (B, 2 * ROWS, 40); the targets (B, ROWS, …); voiced (B,) False for noise only."""

    mel: Tensor
    mouth: Tensor
    visemes: Tensor
    phones: Tensor
    negative: Tensor


class Batches:
    """Endless batches, the same for the same seed and step."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.sources = load_sources(folder)
        self.noises = load_noises(folder)
        self.seed = seed

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and 1 / deviation of each band over some batches, as training sees them."""
        mel = torch.cat([self.at(-1 - i).mel.reshape(-1, 40) for i in range(4)])
        return mel.mean(0), 1 / (mel.std(0) + 1e-3)

    def _noise(
        self, hops: int, rng: np.random.Generator, hiss: float = 0.0
    ) -> npt.NDArray[np.float32]:
        kinds = list(self.noises)
        noise = self.noises["coloured" if rng.random() < hiss else kinds[rng.integers(len(kinds))]]
        start = rng.integers(len(noise) - hops)
        return noise[start : start + hops].astype(np.float32)

    def at(self, step: int, hard: float = 0.0, recorded: float = 0.0) -> Batch:
        """The batch of this step.

        Args:
            step: as in the training.
            hard: share of the examples that come over worse lines.
            recorded: share of the speech that is people's recordings, where there are any.
        """
        rng = np.random.default_rng((self.seed, step + 1000))
        shares = source_shares(self.sources, recorded)
        engines = list(shares)
        mels, mouths, visemes, phones, negatives = [], [], [], [], []
        for _ in range(BATCH):
            negative = rng.random() < NEGATIVE_SHARE
            if negative:
                mel = self._noise(2 * ROWS, rng)
                if rng.random() < 0.3:
                    mel = np.logaddexp(mel, self._noise(2 * ROWS, rng))
                if rng.random() < 0.1:
                    mel = np.full_like(mel, np.log(PREPARED_FLOOR))
                mels.append(vary(mel, None, rng))
                mouths.append(np.zeros((ROWS, len(MOUTH)), np.float32))
                visemes.append(np.zeros(ROWS, np.int64))
                phones.append(np.zeros(ROWS, np.int64))
            else:
                source = self.sources[engines[rng.choice(len(engines), p=list(shares.values()))]]
                start = rng.integers(len(source.mouth) - ROWS)
                rows = slice(start, start + ROWS)
                mel = source.mel[2 * start : 2 * (start + ROWS)].astype(np.float32)
                hardship = HARD if hard and rng.random() < hard else USUAL
                noisy = rng.random() < hardship.noisy
                noise = self._noise(2 * ROWS, rng, HISS_SHARE) if noisy else None
                mels.append(vary(mel, noise, rng, hardship))
                mouths.append(source.mouth[rows].astype(np.float32))
                visemes.append(source.visemes[rows].astype(np.int64))
                phones.append(source.phones[rows].astype(np.int64))
            negatives.append(negative)
        return Batch(
            torch.from_numpy(np.stack(mels).astype(np.float32)),
            torch.from_numpy(np.stack(mouths)),
            torch.from_numpy(np.stack(visemes)),
            torch.from_numpy(np.stack(phones)),
            torch.tensor(negatives),
        )


_WEIGHTS = torch.tensor(list(CONTROL_WEIGHT.values()))
_EVENTS = [MOUTH.index("press"), MOUTH.index("fv")]


def loss_of(network: LipSyncNet, batch: Batch, viseme_weights: Tensor) -> Tensor:
    """The sum of all losses, over all delays."""
    # One silent hop first, as LipSyncState feeds it; the last hop has no row to complete.
    mel = functional.pad(batch.mel[:, :-1], (0, 0, 1, 0), value=SILENCE)
    heads = network(mel, *network.first_states(len(mel)))[:3]
    total = torch.zeros(())
    for at, (delay, share) in enumerate(zip(DELAYS_ROWS, DELAY_SHARE, strict=True)):
        mouth, visemes, phones = (head[:, delay:, at] for head in heads)
        total = total + share * _loss_of_delay(mouth, visemes, phones, batch, viseme_weights)
    return total


def _loss_of_delay(
    mouth: Tensor, visemes: Tensor, phones: Tensor, batch: Batch, viseme_weights: Tensor
) -> Tensor:
    """The losses of one delay's heads, cut to the rows that they describe.

    Values by cross-entropy, movement by squared difference, closures once more as events (the
    overlap of evidence and truth, blind to how rare they are), visemes and phones as classes.
    """
    rows = mouth.shape[1]
    target = batch.mouth[:, :rows]
    values = functional.binary_cross_entropy_with_logits(mouth, target, reduction="none")
    values = values * _WEIGHTS * (1 + (CLOSED_WEIGHT - 1) * batch.negative[:, None, None])
    guess = torch.sigmoid(mouth)
    moved = (guess.diff(dim=1) - target.diff(dim=1)) ** 2 * _WEIGHTS
    hit = (guess * target)[..., _EVENTS].sum((0, 1))
    miss = (guess + target)[..., _EVENTS].sum((0, 1))
    events = (1 - (2 * hit + 1) / (miss + 1)).sum()
    viseme_loss = functional.cross_entropy(
        visemes.flatten(0, 1), batch.visemes[:, :rows].flatten(), viseme_weights
    )
    phone_loss = functional.cross_entropy(
        phones.flatten(0, 1), batch.phones[:, :rows].flatten(), label_smoothing=PHONE_SMOOTHING
    )
    return (
        values.mean()
        + VELOCITY_WEIGHT * moved.mean()
        + EVENT_WEIGHT * events
        + VISEME_WEIGHT * viseme_loss
        + PHONE_WEIGHT * phone_loss
    )


def _viseme_weights(batches: Batches) -> Tensor:
    counts = np.zeros(len(VISEMES))
    for source in batches.sources.values():
        counts += np.bincount(source.visemes, minlength=len(VISEMES))
    weights = 1 / np.sqrt(counts / counts.sum() + 0.002)
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


class _Worker:
    """A copy of the network with gradients of its own; all copies share their weights."""

    def __init__(
        self, network: LipSyncNet, batches: Batches, viseme_weights: Tensor, number: int
    ) -> None:
        self._network = network if number == 0 else LipSyncNet()
        self._batches = batches
        self._viseme_weights = viseme_weights
        self._number = number
        self.parameters = list(self._network.parameters())
        for mine, shared in zip(self.parameters, network.parameters(), strict=True):
            mine.data = shared.data
        for mine, shared in zip(self._network.buffers(), network.buffers(), strict=True):
            mine.data = shared.data

    def step(self, step: int, cycle: Cycle) -> float:
        """Gradients of this worker's batch of a step; gives the loss."""
        number = step * WORKERS + self._number
        batch = self._batches.at(number, cycle.hard, cycle.recorded)
        self._network.chance.manual_seed(number)
        loss = loss_of(self._network, batch, self._viseme_weights)
        self._network.zero_grad()
        loss.backward()
        return float(loss.detach())


def learning_rate(step: int, recipe: Recipe) -> float:
    """Half a cosine down per cycle, after a short rise at the very beginning."""
    cycle, at = recipe.cycle(step)
    peak = cycle.peak * min(1.0, (step + 1) / RISE_STEPS)
    return peak * (0.5 * (1 + math.cos(math.pi * at / cycle.steps)) + 0.01)


def train(
    features: Path, folder: Path, recipe: Recipe, seed: int, steps: int | None = None
) -> LipSyncNet:
    """The averaged network after the recipe's or so many steps.

    Continues from folder/checkpoint.pt; without one it begins with the recipe's model, if it has
    one.
    """
    steps = recipe.steps if steps is None else steps
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # the layers are too small to split; batches are split instead
    batches = Batches(features, seed)
    network, average = LipSyncNet(), LipSyncNet()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    first = 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    else:
        network.mean[:], network.scale[:] = batches.statistics()
        if recipe.begin_with is not None:
            begin_with(network, exported_weights(recipe.begin_with))
        average.load_state_dict(network.state_dict())
    viseme_weights = _viseme_weights(batches)
    workers = [_Worker(network, batches, viseme_weights, i) for i in range(WORKERS)]
    threads = ThreadPoolExecutor(WORKERS)
    recent: list[float] = []
    bar = tqdm(range(first, steps), "train", initial=first, total=steps, unit="step")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        cycle, _ = recipe.cycle(step)
        losses = [
            done.result()
            for done in [threads.submit(worker.step, step, cycle) for worker in workers]
        ]
        for same in zip(*(worker.parameters for worker in workers), strict=True):
            same[0].grad = torch.stack([parameter.grad for parameter in same]).mean(0)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        keep = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for old, new in zip(average.parameters(), network.parameters(), strict=True):
                old.lerp_(new, 1 - keep)
        recent = [*recent[-99:], float(np.mean(losses))]
        if step % 20 == 0:
            bar.set_postfix(loss=f"{np.mean(recent):.4f}")
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps:
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
            }
            torch.save(state, checkpoint.with_suffix(".partial"))
            os.replace(checkpoint.with_suffix(".partial"), checkpoint)
        if (step + 1) % LOSS_STEPS == 0:
            with (folder / "losses.jsonl").open("a") as file:
                file.write(json.dumps({"step": step + 1, "loss": float(np.mean(recent))}) + "\n")
    threads.shutdown()
    return average
