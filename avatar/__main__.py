"""The avatar on the command line: a speech to a video, numbers or a diagram; a sheet of faces."""

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.avatar import Avatar
from avatar.config import AvatarConfig
from avatar.controls import CONTROLS, Pose
from avatar.errors import AvatarError
from avatar.explain import drawing, explained
from avatar.illustrated import IllustratedFace
from avatar.mouth_model import MouthModel, load_model
from avatar.phones import Segment, read_phones
from avatar.pronunciation import words_of
from avatar.rig import load_rig
from avatar.sheet import contact_sheet
from avatar.track import picture_count, poses
from avatar.words import Word

try:
    from tqdm import tqdm

    from avatar.media import VideoFile, read_speech
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} is missing; install mouthpiece with its extra: [build]")

LONGEST_EXPLAINED_S = 120

_EXAMPLES = """examples:
  python -m avatar render hello.wav hello.mp4
  python -m avatar render hello.wav large.mp4 --size 720
  python -m avatar track hello.wav hello.csv
  python -m avatar track hello.wav hello.csv --text "Hello there!"
  python -m avatar explain hello.wav hello.png
  python -m avatar sheet faces.png"""


@dataclass(frozen=True)
class _Spoken:
    """What the user told of the speech, and how to call what the lips are made from."""

    words: list[Word]
    phones: list[Segment]
    source: str

    @classmethod
    def told(cls, arguments: argparse.Namespace, config: AvatarConfig) -> "_Spoken":
        if arguments.phones:
            return cls([], read_phones(arguments.phones), "audio and timed phones")
        if arguments.text:
            sentences = re.split(r"(?<=[.!?])\s+", arguments.text)
            words = [word for text in sentences for word in words_of(text, config.language)]
            return cls(words, [], "audio and text")
        return cls([], [], "audio alone")


def _performed(
    model: MouthModel,
    pcm: NDArray[np.int16],
    rate_hz: int,
    config: AvatarConfig,
    spoken: _Spoken,
) -> Iterator[tuple[float, Pose]]:
    told = spoken.words, spoken.phones
    return poses(model, pcm, rate_hz, config.fps, config.seed, *told)


def _render(arguments: argparse.Namespace, config: AvatarConfig) -> None:
    pcm, rate_hz = read_speech(arguments.speech)
    spoken = _Spoken.told(arguments, config)
    avatar = Avatar.load(config)
    face = avatar.face()
    total = picture_count(len(pcm), rate_hz, config.fps)
    with VideoFile(arguments.out, config.size, config.fps, rate_hz) as video:
        performed = _performed(avatar.model, pcm, rate_hz, config, spoken)
        for _, pose in tqdm(performed, total=total, unit="picture"):
            video.add(face.draw(pose))
        video.finish(pcm)
    print(f"{arguments.out}: {total} pictures, {len(pcm) / rate_hz:.2f} s, {spoken.source}")


def _track(arguments: argparse.Namespace, config: AvatarConfig) -> None:
    pcm, rate_hz = read_speech(arguments.speech)
    spoken = _Spoken.told(arguments, config)
    model = load_model(config.model)
    total = picture_count(len(pcm), rate_hz, config.fps)
    with arguments.out.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("time_s", *CONTROLS))
        performed = _performed(model, pcm, rate_hz, config, spoken)
        for time_s, pose in tqdm(performed, total=total, unit="picture"):
            values = (f"{getattr(pose, name):.4f}" for name in CONTROLS)
            rows.writerow((f"{time_s:.4f}", *values))
    print(f"{arguments.out}: {total} rows, {spoken.source}")


def _explain(arguments: argparse.Namespace, config: AvatarConfig) -> None:
    pcm, rate_hz = read_speech(arguments.speech)
    if len(pcm) > LONGEST_EXPLAINED_S * rate_hz:
        raise AvatarError(f"{arguments.speech}: is longer than {LONGEST_EXPLAINED_S} s; cut it")
    spoken = _Spoken.told(arguments, config)
    made = explained(load_model(config.model), pcm, rate_hz, spoken.words, spoken.phones)
    _write(arguments.out, drawing(pcm, rate_hz, made))
    print(f"{arguments.out}: {len(pcm) / rate_hz:.2f} s, {spoken.source}")


def _sheet(arguments: argparse.Namespace, config: AvatarConfig) -> None:
    _write(arguments.out, contact_sheet(IllustratedFace(load_rig(config.rig), config.size).draw))
    print(arguments.out)


def _write(out: Path, picture: NDArray[np.uint8]) -> None:
    try:
        written = cv2.imwrite(str(out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    except cv2.error:
        written = False
    if not written:
        raise AvatarError(f"{out}: cannot be written; a name that ends in .png can")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m avatar",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    defaults = AvatarConfig()

    def command(name: str, help_: str, run: object) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_, description=help_)
        sub.set_defaults(run=run)
        return sub

    render = command("render", "a speech file to an MP4 of the avatar saying it", _render)
    render.add_argument("speech", type=Path, help="a sound file: WAV, FLAC, MP3 …")
    render.add_argument("out", type=Path, help="the MP4 to write")
    track = command("track", "a speech file to a CSV: each picture's time and controls", _track)
    track.add_argument("speech", type=Path, help="a sound file: WAV, FLAC, MP3 …")
    track.add_argument("out", type=Path, help="the CSV to write; time_s is the picture's middle")
    explain = command("explain", "a speech file to a diagram: sound, visemes, controls", _explain)
    explain.add_argument("speech", type=Path, help="a sound file: WAV, FLAC, MP3 …")
    explain.add_argument("out", type=Path, help="the image to write, PNG for one")
    sheet = command("sheet", "a contact sheet: at rest, every viseme, blink, smile, tilt", _sheet)
    sheet.add_argument("out", type=Path, help="the image to write, PNG for one")
    for sub in (render, sheet):
        sub.add_argument("--rig", type=Path, default=defaults.rig, help="the avatar's folder")
        sub.add_argument("--size", type=int, default=defaults.size, help="pixels (%(default)s)")
    for sub in (render, track, explain):
        sub.add_argument("--model", type=Path, default=defaults.model, help="lip-sync ONNX file")
        known = sub.add_mutually_exclusive_group()
        known.add_argument(
            "--text", help="what is said: the lips follow it where it fits the sound"
        )
        known.add_argument(
            "--phones", type=Path, help="a file of lines: start_s end_s PHONE, ARPABET or IPA"
        )
        sub.add_argument("--language", default=defaults.language, help="of --text (%(default)s)")
    for sub in (render, track):
        sub.add_argument("--fps", type=int, default=defaults.fps, help="(%(default)s)")
        sub.add_argument("--seed", type=int, default=defaults.seed, help="of blinks and glances")
    return parser


def main() -> int:
    """Run a command; return the exit status."""
    arguments = _parser().parse_args()
    given = {
        name: value
        for name, value in vars(arguments).items()
        if name in ("rig", "model", "size", "fps", "seed", "language")
    }
    try:
        arguments.run(arguments, AvatarConfig(**given))
    except (AvatarError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
