"""Load and check an avatar folder: the manifest rig.toml and the PNG layers it names."""

import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.errors import RigError

MANIFEST = "rig.toml"
VERSION = 1
MAX_MANIFEST_BYTES = 64 * 1024
MAX_LAYER_BYTES = 8 * 1024 * 1024
MAX_LAYER_SIDE = 4096  # pixels
LAYER_CHANNELS = {
    "background": 3,
    "back": 4,
    "face": 4,
    "hair": 4,
    "lips": 3,
    "teeth_upper": 4,
    "teeth_lower": 4,
    "tongue": 4,
    "iris": 4,
}
"""Every layer of a rig and its channels; four channels carry straight alpha in the file."""

Point = tuple[float, float]
Color = tuple[float, float, float]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Layer:
    """One picture and where it lies.

    pixels: (height, width, 3) RGB or (height, width, 4) RGBA uint8, alpha premultiplied.
    left, top, right, bottom: the rectangle it covers, in design units; for layers that the
    renderer places itself (teeth, tongue, iris, lips) only the size matters.
    """

    pixels: Pixels
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in design units."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in design units."""
        return self.bottom - self.top


@dataclass(frozen=True)
class HeadShape:
    """Where the head is and how far it turns; design units and degrees."""

    center: Point
    radius: Point  # half axes of the ellipse that holds skull and face
    pivot: Point  # the point about which the head rolls, low in the neck
    yaw_max: float
    pitch_max: float
    roll_max: float


@dataclass(frozen=True)
class MouthShape:
    """The resting mouth and how far it opens; design units."""

    center: Point
    half_width: float
    upper_lip: float  # thickness at the middle
    lower_lip: float
    jaw_drop: float  # how far the chin falls at jaw = 1
    aperture: float  # gap between the lips at open = 1
    chin: float  # y of the chin with the jaw closed
    jaw_half_width: float
    teeth_edge: float  # lower edge of the upper teeth below the middle of the closed lips
    rest_smile: float  # -1..1; a pose's smile is added to it


@dataclass(frozen=True)
class EyeShape:
    """One pair of eyes, mirrored about the middle between them; design units."""

    left: Point
    right: Point
    half_width: float
    upper: float  # height of the upper lid's arch above the line of the corners
    lower: float
    iris: float  # radius
    gaze: Point  # how far the iris travels at gaze = 1


@dataclass(frozen=True)
class Palette:
    """Colours that the renderer mixes itself, each (red, green, blue) 0..255."""

    cavity: Color
    cavity_deep: Color
    seam: Color
    skin_shade: Color
    lid: Color
    crease: Color
    lash: Color
    sclera: Color
    sclera_shade: Color


@dataclass(frozen=True)
class Rig:
    """A checked avatar: everything that a renderer needs, and nothing that changes."""

    name: str
    canvas: float  # the picture is canvas x canvas design units
    layers: Mapping[str, Layer]
    head: HeadShape
    mouth: MouthShape
    eyes: EyeShape
    palette: Palette


def load_rig(folder: Path) -> Rig:
    """The avatar in a folder, every file of it read and checked.

    Args:
        folder: holds rig.toml and the PNG files that it names.

    Raises:
        RigError: anything is missing, unreadable, too big or out of range; the message names
            the file and the reason.
    """
    if not folder.is_dir():
        raise RigError(f"{folder}: no such folder")
    path = folder / MANIFEST
    manifest = _Table(path, "", _read_manifest(path))
    version = manifest.take("version")
    if version != VERSION or isinstance(version, bool):
        raise RigError(f"{path}: version is {version!r}, this program reads {VERSION}")
    name = manifest.take("name")
    if not isinstance(name, str) or not name.strip():
        raise RigError(f"{path}: name must be text, not {name!r}")
    canvas = manifest.number("canvas", 64.0, 4096.0)
    sections = {key: manifest.table(key) for key in ("layers", "head", "mouth", "eyes", "palette")}
    manifest.finish()
    layers = {}
    for key, channels in LAYER_CHANNELS.items():
        layers[key] = _load_layer(folder, sections["layers"].table(key), channels, canvas)
    sections["layers"].finish()
    return Rig(
        name=name,
        canvas=canvas,
        layers=layers,
        head=HeadShape(**_shape(sections["head"], HeadShape, canvas)),
        mouth=MouthShape(**_shape(sections["mouth"], MouthShape, canvas)),
        eyes=EyeShape(**_shape(sections["eyes"], EyeShape, canvas)),
        palette=Palette(**_shape(sections["palette"], Palette, canvas)),
    )


_RANGES = {
    "yaw_max": (0.0, 30.0),
    "pitch_max": (0.0, 30.0),
    "roll_max": (0.0, 30.0),
    "rest_smile": (-1.0, 1.0),
}
"""Ranges of the numbers that are no lengths; every length lies in (0, canvas]."""


def _shape(table: "_Table", shape: type, canvas: float) -> dict[str, Any]:
    """The values of one section, by the field names and types of its dataclass."""
    values: dict[str, Any] = {}
    for field in fields(shape):
        if field.type is Color:
            values[field.name] = table.color(field.name)
        elif field.type == Point:
            values[field.name] = table.point(field.name, canvas)
        else:
            low, high = _RANGES.get(field.name, (1e-3, canvas))
            values[field.name] = table.number(field.name, low, high)
    table.finish()
    return values


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise RigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise RigError(f"{path}: larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RigError(f"{path}: not valid TOML: {error}") from error


def _load_layer(folder: Path, table: "_Table", channels: int, canvas: float) -> Layer:
    file = table.take("file")
    if not isinstance(file, str) or not re.fullmatch(r"[A-Za-z0-9_-]+\.png", file):
        raise RigError(f"{table.label('file')} must name a PNG file in the folder, not {file!r}")
    box = table.numbers("box", 4, -canvas, 2 * canvas)
    table.finish()
    left, top, right, bottom = box
    if right - left < 1 or bottom - top < 1:
        raise RigError(f"{table.label('box')} must be left, top, right, bottom, not {list(box)}")
    pixels = read_png(folder / file, channels)
    return Layer(pixels, left, top, right, bottom)


def read_png(path: Path, channels: int) -> Pixels:
    """The pixels of an 8-bit PNG file.

    Args:
        path: the file, at most MAX_LAYER_BYTES and MAX_LAYER_SIDE pixels a side.
        channels: 3 or 4, which the file must have.

    Returns:
        (height, width, channels) uint8, RGB or RGBA with premultiplied alpha.

    Raises:
        RigError: the file is missing, too big, no PNG, damaged or of other channels.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LAYER_BYTES + 1)
    except OSError as error:
        raise RigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_LAYER_BYTES:
        raise RigError(f"{path}: larger than {MAX_LAYER_BYTES} bytes")
    if len(data) < 33 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise RigError(f"{path}: not a PNG file")
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    if not (0 < width <= MAX_LAYER_SIDE and 0 < height <= MAX_LAYER_SIDE):
        raise RigError(f"{path}: {width}x{height} pixels, at most {MAX_LAYER_SIDE} a side allowed")
    wanted = {3: 2, 4: 6}[channels]
    if depth != 8 or kind != wanted:
        raise RigError(
            f"{path}: must be 8-bit {'RGBA' if channels == 4 else 'RGB'} "
            f"(PNG colour type {wanted}), not {depth}-bit colour type {kind}"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise RigError(f"{path}: damaged PNG: {error}") from error
    if pixels is None or pixels.shape != (height, width, channels):
        raise RigError(f"{path}: damaged PNG: the pixels cannot be decoded")
    if channels == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
    alpha = cv2.extractChannel(pixels, 3)
    solid = np.full_like(alpha, 255)
    share = cv2.merge((alpha, alpha, alpha, solid))
    return np.asarray(cv2.multiply(pixels, share, scale=1 / 255), np.uint8)


class _Table:
    """A manifest section that hands out each key once, checked, and refuses leftovers."""

    def __init__(self, path: Path, name: str, values: dict[str, Any]) -> None:
        self._path, self._name, self._values = path, name, dict(values)

    def label(self, key: str) -> str:
        return f"{self._path}: {self._name}{key}"

    def take(self, key: str) -> Any:
        if key not in self._values:
            raise RigError(f"{self.label(key)} is missing")
        return self._values.pop(key)

    def table(self, key: str) -> "_Table":
        value = self.take(key)
        if not isinstance(value, dict):
            raise RigError(f"{self.label(key)} must be a table, not {value!r}")
        return _Table(self._path, f"{self._name}{key}.", value)

    def number(self, key: str, low: float, high: float) -> float:
        return self._checked(key, self.take(key), low, high)

    def numbers(self, key: str, count: int, low: float, high: float) -> tuple[float, ...]:
        value = self.take(key)
        if not isinstance(value, list) or len(value) != count:
            raise RigError(f"{self.label(key)} must be {count} numbers, not {value!r}")
        return tuple(self._checked(key, one, low, high) for one in value)

    def point(self, key: str, canvas: float) -> Point:
        x, y = self.numbers(key, 2, 0.0, canvas)
        return x, y

    def color(self, key: str) -> Color:
        value = self.take(key)
        if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise RigError(f'{self.label(key)} must be a colour like "#c86a5f", not {value!r}')
        red, green, blue = bytes.fromhex(value[1:])
        return float(red), float(green), float(blue)

    def finish(self) -> None:
        if self._values:
            raise RigError(f"{self.label(next(iter(self._values)))} is not known")

    def _checked(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RigError(f"{self.label(key)} must be a number, not {value!r}")
        if not low <= value <= high:
            raise RigError(f"{self.label(key)} is {value}, must be {low:g} to {high:g}")
        return float(value)
