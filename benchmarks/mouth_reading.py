"""Reads from received pictures how far the mouth is open, whatever the head does.

A linear read-out of the mouth crop, fitted on drawings of the same face whose opening is known,
with the head, the smile and the codec's noise varying as they do in a session.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from tqdm import tqdm

from avatar.controls import FACE, MOUTH, VISEME_POSES, Pose
from avatar.life import Life
from benchmarks.reception import CROP_SIZE, mouth_crop

Draw = Callable[[Pose], np.ndarray]
"""Gives the (size, size, 3) uint8 RGB picture of a pose."""

FITTED_ON = 1500
"""Drawings that the read-out is fitted on; a fifth as many more are held out."""
FEATURE_SIZE = (32, 32)
NOISE = 3.0
"""Grey levels of noise that VP8 leaves in a 64x64 crop at the rates used here."""
TOGETHER = 0.15
"""Below this opening the lips count as together."""


@dataclass(frozen=True)
class MouthReader:
    """The fitted read-out.

    Attributes:
        weights: (pixels + 1,) float64, the last one is the offset.
        correlation: with the true opening, on held-out drawings.
        error: root mean square error there.
    """

    weights: np.ndarray
    correlation: float
    error: float

    def opening(self, pictures: np.ndarray) -> np.ndarray:
        """How far each mouth is open.

        Args:
            pictures: (n, 64, 64) uint8 mouth crops.

        Returns:
            (n,) float64, about 0 closed to 1 wide open.
        """
        if not len(pictures):
            return np.zeros(0)
        opening: np.ndarray = _features(pictures) @ self.weights
        return opening


def effective_opening(mouth: np.ndarray) -> np.ndarray:
    """What is seen of mouth controls: lips pressed together are closed, however low the jaw.

    Args:
        mouth: (n, 10), columns as avatar.controls.MOUTH.

    Returns:
        (n,) in [0, 1].
    """
    opening = mouth[:, MOUTH.index("open")] * (1.0 - mouth[:, MOUTH.index("press")])
    return np.clip(opening, 0.0, 1.0)


def fit_reader(draw: Draw, drawings: int = FITTED_ON, seed: int = 7) -> MouthReader:
    """Fit the read-out on a face.

    Args:
        draw: the face.
        drawings: how many to fit on.
        seed: of the poses.
    """
    rng = np.random.default_rng(seed)
    held_out = drawings // 5
    crops = np.empty((drawings + held_out, *CROP_SIZE[::-1]), np.uint8)
    mouths = np.empty((len(crops), len(MOUTH)))
    poses = _poses(rng, len(crops))
    for index, pose in enumerate(tqdm(poses, desc="calibrating", unit="drawing", disable=None)):
        height = len(picture := draw(pose))
        crops[index] = mouth_crop(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)[:height])
        mouths[index] = [getattr(pose, name) for name in MOUTH]
    truth = effective_opening(mouths)
    noisy = np.clip(crops + rng.normal(0, NOISE, crops.shape), 0, 255).astype(np.uint8)
    features = _features(noisy)
    used, kept = features[:drawings], features[drawings:]
    # The codec's noise is in the drawings themselves; the ridge only keeps the system solvable.
    gram = used.T @ used + 1e-3 * drawings * np.diag([1.0] * (used.shape[1] - 1) + [0.0])
    weights = np.linalg.solve(gram, used.T @ truth[:drawings])
    missed = kept @ weights - truth[drawings:]
    correlation = float(np.corrcoef(kept @ weights, truth[drawings:])[0, 1])
    return MouthReader(weights, correlation, float(np.sqrt((missed**2).mean())))


def _features(pictures: np.ndarray) -> np.ndarray:
    """(n, pixels + 1) float64: contrast-normalised small crops and a one."""
    small = np.stack(
        [cv2.resize(p, FEATURE_SIZE, interpolation=cv2.INTER_AREA) for p in pictures]
    ).astype(np.float64)
    flat = small.reshape(len(small), -1) / 64.0 - 2.0
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _poses(rng: np.random.Generator, count: int) -> list[Pose]:
    """Mouths between any two visemes, on a head that lives as in a session."""
    life, time_s = Life(int(rng.integers(1 << 30))), 0.0
    visemes = [asdict(pose) for pose in VISEME_POSES.values()]
    poses = []
    for _ in range(count):
        time_s += float(rng.uniform(0.03, 0.4))
        alive = life.face(time_s, bool(rng.random() < 0.8), float(rng.random()))
        face = {name: getattr(alive, name) for name in FACE}
        first, second = (visemes[i] for i in rng.integers(0, len(visemes), 2))
        share, strength = rng.random(), rng.uniform(0.0, 1.15)
        mouth = {
            name: min(1.0, strength * (share * first[name] + (1 - share) * second[name]))
            for name in MOUTH
        }
        poses.append(Pose(**mouth, **face))
    return poses
