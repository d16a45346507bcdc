"""Loading an avatar folder: the default one, and every way in which one can be broken."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar import rig as rig_module
from avatar.errors import RigError
from avatar.rig import LAYER_CHANNELS, load_rig

ROOT = Path(__file__).parent.parent
MIRA = ROOT / "avatar" / "assets" / "mira"
TINY = ROOT / "tests" / "data" / "tiny_rig"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny rig that a test may break."""
    return Path(shutil.copytree(TINY, tmp_path / "rig"))


def replace(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "rig.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def image(name: str, shape: tuple[int, ...], dtype: type = np.uint8) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        assert cv2.imwrite(str(folder / name), np.zeros(shape, dtype))

    return change


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def huge(name: str) -> Callable[[Path], None]:
    """A valid small file whose header promises 60000 x 60000 pixels."""

    def change(folder: Path) -> None:
        header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 6, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 64)

    return change


BROKEN: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "no manifest": (delete("rig.toml"), "rig.toml", "cannot be read"),
    "no TOML": (write("rig.toml", b"version = = 1"), "rig.toml", "not valid TOML"),
    "no UTF-8": (write("rig.toml", b"\xff\xfe\x00"), "rig.toml", "not valid TOML"),
    "long manifest": (write("rig.toml", b"#" * 70_000), "rig.toml", "larger than"),
    "other version": (replace("version = 1", "version = 2"), "rig.toml", "version is 2"),
    "true is no version": (replace("version = 1", "version = true"), "rig.toml", "version is True"),
    "no version": (replace("version = 1\n", ""), "rig.toml", "version is missing"),
    "no name": (replace('name = "Mira"', 'name = ""'), "rig.toml", "name must be text"),
    "unknown key": (replace("canvas = 512", "canvas = 512\nsize = 3"), "rig.toml", "size is not"),
    "unknown part key": (replace("[mouth]", "[mouth]\nlips = 3"), "rig.toml", "mouth.lips is not"),
    "unknown layer": (replace("[head]", 'hat = { file = "hat.png" }\n[head]'), "rig.toml", "hat"),
    "missing key": (replace("aperture = 32\n", ""), "rig.toml", "mouth.aperture is missing"),
    "missing table": (replace("[eyes]", "[other]"), "rig.toml", "eyes is missing"),
    "no table": (replace("[head]", "head = 3\n[head2]"), "rig.toml", "head"),
    "text for a number": (replace("aperture = 32", 'aperture = "32"'), "rig.toml", "a number"),
    "bool for a number": (replace("aperture = 32", "aperture = true"), "rig.toml", "a number"),
    "number out of range": (
        replace("aperture = 32", "aperture = -1"),
        "rig.toml",
        "mouth.aperture",
    ),
    "not a number": (replace("aperture = 32", "aperture = nan"), "rig.toml", "mouth.aperture"),
    "infinite": (replace("jaw_drop = 17", "jaw_drop = inf"), "rig.toml", "mouth.jaw_drop"),
    "too strong a smile": (replace("rest_smile = 0.6", "rest_smile = 3"), "rig.toml", "rest_smile"),
    "short point": (replace("gaze = [8, 5]", "gaze = [8]"), "rig.toml", "2 numbers"),
    "no colour": (replace('lash = "#2a1519"', 'lash = "black"'), "rig.toml", "a colour"),
    "empty box": (replace("box = [0, 0, 80, 40]", "box = [0, 0, 0, 40]"), "rig.toml", "lips.box"),
    "path for a file": (replace('"face.png"', '"../face.png"'), "rig.toml", "face.file"),
    "no layer": (delete("hair.png"), "hair.png", "cannot be read"),
    "no PNG": (write("hair.png", b"GIF89a" + b"\0" * 64), "hair.png", "not a PNG"),
    "empty file": (write("hair.png", b""), "hair.png", "not a PNG"),
    "cut file": (cut("hair.png", 0.2), "hair.png", "damaged"),
    "huge": (huge("hair.png"), "hair.png", "60000x60000"),
    "big file": (write("hair.png", b"\0" * 9_000_000), "hair.png", "larger than"),
    "no alpha": (image("hair.png", (64, 64, 3)), "hair.png", "RGBA"),
    "unwanted alpha": (image("lips.png", (64, 64, 4)), "lips.png", "must be 8-bit RGB"),
    "grey": (image("lips.png", (64, 64)), "lips.png", "must be 8-bit RGB"),
    "16 bit": (image("hair.png", (64, 64, 4), np.uint16), "hair.png", "16-bit"),
}


def test_the_default_rig_is_complete() -> None:
    rig = load_rig(MIRA)
    assert rig.name == "Mira"
    assert set(rig.layers) == set(LAYER_CHANNELS)
    for name, channels in LAYER_CHANNELS.items():
        assert rig.layers[name].pixels.shape[2] == channels
        assert rig.layers[name].pixels.dtype == np.uint8


def test_alpha_is_premultiplied() -> None:
    pixels = load_rig(MIRA).layers["hair"].pixels
    assert (pixels[..., :3] <= pixels[..., 3:]).all()
    assert ((pixels[..., 3] > 0) & (pixels[..., 3] < 255)).any()


def test_the_default_rig_is_small() -> None:
    assert sum(path.stat().st_size for path in MIRA.iterdir()) < 2_500_000


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str, folder: Path) -> None:
    change, file, reason = BROKEN[case]
    change(folder)
    with pytest.raises(RigError) as caught:
        load_rig(folder)
    assert str(folder / file) in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="no such folder"):
        load_rig(tmp_path / "nobody")


def test_a_file_is_no_folder() -> None:
    with pytest.raises(RigError, match="no such folder"):
        load_rig(MIRA / "rig.toml")


def test_limits_are_sane() -> None:
    assert rig_module.MAX_LAYER_SIDE**2 * 4 < 100_000_000
