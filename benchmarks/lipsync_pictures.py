"""Whether the lips are seen to meet: p, b and m in the drawn pictures, as a session shows them.

The animator hears a recording, the performance poses the face and the illustrated face draws it,
30 pictures a second. In a picture the lips are together when it is, pixel by pixel, the picture
of the same face with nothing left of the mouth's opening. A p, b or m is seen closed when that is
so in a picture whose time lies in it or within 40 ms of it. The read-out that other benchmarks
use on received pictures, benchmarks.mouth_reading, is fitted on the same face and says besides
how many it reads as together, and how wide open it reads the vowels: a mouth that never opened
would close for every p.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from avatar.animator import Animator
from avatar.config import AvatarConfig
from avatar.controls import Pose
from avatar.features import SAMPLE_RATE
from avatar.illustrated import IllustratedFace
from avatar.lipsync import LipSyncModel
from avatar.mouth_curve import picture_mouth
from avatar.performance import Performance
from avatar.phones import VOWELS
from avatar.pronunciation import words_of
from avatar.rig import load_rig
from benchmarks.labelled_speech import Recording
from benchmarks.lipsync_systems import (
    AUDIO_80,
    LONG_S,
    SHORT_S,
    TEXT_80,
    TEXT_240,
    Asked,
)
from benchmarks.mouth_reading import TOGETHER, MouthReader, fit_reader
from benchmarks.reception import mouth_crop
from training.metrics import TOLERANCE_S

FPS = 30
SIZE = 256
"""Side of the pictures in pixels."""
LABIALS = frozenset(("p", "b", "m"))
SEEN_ASKED = {AUDIO_80: 0.8, TEXT_80: 0.97, TEXT_240: 0.97}
"""The least share that will do."""


@dataclass(frozen=True)
class Seen:
    """What the pictures of some recordings show.

    Attributes:
        labials: how many p, b and m were spoken.
        closed: share of them with a picture in which the lips are together.
        read_closed: the same, by the read-out.
        vowels_shut: share of the pictures in the middle of vowels in which the lips are together.
        vowel_opening: mean opening read in those pictures.
    """

    labials: int
    closed: float
    read_closed: float
    vowels_shut: float
    vowel_opening: float

    def as_numbers(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pictures:
    """The pictures of one recording.

    Attributes:
        times_s: (n,) middle of each one's time.
        together: (n,) whether the lips are.
        opening: (n,) as read.
    """

    times_s: npt.NDArray[np.float64]
    together: npt.NDArray[np.bool_]
    opening: npt.NDArray[np.float64]


def poses(
    model: LipSyncModel, recording: Recording, lookahead_s: float, reads: bool
) -> list[tuple[float, Pose]]:
    """Time and pose of each picture of a recording.

    Args:
        model: the model.
        recording: with its words.
        lookahead_s: what a picture's mouth may wait for.
        reads: whether the words are told.
    """
    animator, performance = Animator(model, SAMPLE_RATE, FPS), Performance(seed=1)
    animator.lookahead_s = lookahead_s
    if reads:
        animator.expect(words_of(recording.text))
    pcm = np.clip(recording.pcm * 32768, -32768, 32767).astype(np.int16)
    posed = []
    for segment in (*animator.feed(pcm), *animator.flush()):
        time_s = (segment.start + segment.samples / 2) / SAMPLE_RATE
        posed.append((time_s, performance.pose(time_s, picture_mouth(segment.curve))))
    return posed


def lips_together(face: IllustratedFace, pose: Pose) -> bool:
    """Whether the picture of a pose shows no opening at all."""
    drawn = face.draw(pose)
    shut = face.draw(replace(pose, open=0.0, th=0.0, fv=0.0))
    return bool(np.array_equal(drawn, shut))


def draw(face: IllustratedFace, reader: MouthReader, posed: list[tuple[float, Pose]]) -> Pictures:
    """Draw pictures and look at them."""
    crops, together = [], []
    for _, pose in posed:
        picture = face.draw(pose)
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)[: len(picture)]
        crops.append(mouth_crop(luma))
        together.append(lips_together(face, pose))
    times_s = np.array([time_s for time_s, _ in posed])
    return Pictures(times_s, np.array(together), reader.opening(np.array(crops)))


def near_speech(recording: Recording, posed: list[tuple[float, Pose]]) -> list[tuple[float, Pose]]:
    """The pictures that are looked at: near a p, b or m, or nearest to a vowel's middle."""
    times_s = np.array([time_s for time_s, _ in posed])
    wanted = np.zeros(len(posed), bool)
    for start, end, phone in recording.segments:
        if phone in LABIALS:
            wanted |= (times_s >= start - TOLERANCE_S) & (times_s <= end + TOLERANCE_S)
        elif phone in VOWELS and len(posed):
            wanted[int(np.abs(times_s - (start + end) / 2).argmin())] = True
    return [picture for picture, looked_at in zip(posed, wanted, strict=True) if looked_at]


def seen(recordings: Sequence[Recording], shown: Sequence[Pictures]) -> Seen:
    """What the pictures of all recordings show together."""
    closed, read, shut, opening = [], [], [], []
    for recording, pictures in zip(recordings, shown, strict=True):
        for start, end, phone in recording.segments:
            if phone in LABIALS:
                within = (pictures.times_s >= start - TOLERANCE_S) & (
                    pictures.times_s <= end + TOLERANCE_S
                )
                closed.append(bool(pictures.together[within].any()))
                read.append(bool((pictures.opening[within] < TOGETHER).any()))
            elif phone in VOWELS and len(pictures.times_s):
                nearest = int(np.abs(pictures.times_s - (start + end) / 2).argmin())
                shut.append(bool(pictures.together[nearest]))
                opening.append(float(pictures.opening[nearest]))
    return Seen(
        labials=len(closed),
        closed=float(np.mean(closed or [False])),
        read_closed=float(np.mean(read or [False])),
        vowels_shut=float(np.mean(shut or [False])),
        vowel_opening=float(np.mean(opening or [0.0])),
    )


def at_the_picture(
    model: LipSyncModel, recordings: Sequence[Recording]
) -> tuple[Mapping[str, Seen], list[Asked]]:
    """What is seen with each system, and what is asked.

    Args:
        model: the model.
        recordings: with their labels; those without words are heard without.
    """
    face = IllustratedFace(load_rig(AvatarConfig().rig), SIZE)
    reader = fit_reader(face.draw)
    systems = {AUDIO_80: (SHORT_S, False), TEXT_80: (SHORT_S, True), TEXT_240: (LONG_S, True)}
    if not any(recording.text for recording in recordings):
        systems = {AUDIO_80: systems[AUDIO_80]}
    shown: dict[str, list[Pictures]] = {name: [] for name in systems}
    for recording in tqdm(recordings, "draw", unit="recording", disable=None):
        for name, (lookahead_s, reads) in systems.items():
            posed = near_speech(recording, poses(model, recording, lookahead_s, reads))
            shown[name].append(draw(face, reader, posed))
    found = {name: seen(recordings, pictures) for name, pictures in shown.items()}
    asked = [
        Asked(f"pictures: {name}", "p b m seen closed", figures.closed, SEEN_ASKED[name])
        for name, figures in found.items()
    ]
    return found, asked
