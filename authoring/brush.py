"""Strokes, shapes and gradients: the few tools that every part of the drawing uses."""

from collections.abc import Callable, Sequence

import numpy as np
import skia
from numpy.typing import NDArray

Point = tuple[float, float]
Box = tuple[float, float, float, float]

PIXELS_PER_UNIT = 2.5
"""Resolution of the committed layers: a canvas of 512 units becomes 1280 pixels."""


def color(text: str, alpha: float = 1.0) -> int:
    """A skia colour from "#rrggbb" and an alpha 0..1."""
    red, green, blue = bytes.fromhex(text[1:])
    return int(skia.Color(red, green, blue, round(alpha * 255)))


def linear(start: Point, end: Point, *stops: tuple[float, int]) -> skia.Shader:
    """A gradient along a line; stops are (place 0..1, colour)."""
    return skia.GradientShader.MakeLinear(
        points=[start, end], colors=[c for _, c in stops], positions=[p for p, _ in stops]
    )


def radial(center: Point, radius: float, *stops: tuple[float, int]) -> skia.Shader:
    """A gradient around a point; stops are (share of the radius 0..1, colour)."""
    return skia.GradientShader.MakeRadial(
        center=center,
        radius=radius,
        colors=[c for _, c in stops],
        positions=[p for p, _ in stops],
    )


def paint(
    fill: int | skia.Shader, blur: float = 0.0, stroke: float = 0.0, mode: str = "SrcOver"
) -> skia.Paint:
    """A paint from a colour or gradient; blur and stroke width in design units."""
    result = skia.Paint(AntiAlias=True)
    if isinstance(fill, int):
        result.setColor(fill)
    else:
        result.setShader(fill)
    if blur:
        result.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    if stroke:
        result.setStyle(skia.Paint.kStroke_Style)
        result.setStrokeWidth(stroke)
        result.setStrokeCap(skia.Paint.kRound_Cap)
        result.setStrokeJoin(skia.Paint.kRound_Join)
    if mode != "SrcOver":
        result.setBlendMode(getattr(skia.BlendMode, "k" + mode))
    return result


def spline(points: Sequence[Point], closed: bool = False) -> skia.Path:
    """A smooth path through all the points (Catmull-Rom)."""
    count = len(points)
    path = skia.Path()
    path.moveTo(*points[0])
    for index in range(count if closed else count - 1):
        if closed:
            before, here, there, after = (points[(index + k) % count] for k in (-1, 0, 1, 2))
        else:
            before = points[max(index - 1, 0)]
            here, there = points[index], points[index + 1]
            after = points[min(index + 2, count - 1)]
        path.cubicTo(
            here[0] + (there[0] - before[0]) / 6,
            here[1] + (there[1] - before[1]) / 6,
            there[0] - (after[0] - here[0]) / 6,
            there[1] - (after[1] - here[1]) / 6,
            *there,
        )
    if closed:
        path.close()
    return path


def samples(points: Sequence[Point], count: int = 48) -> NDArray[np.float64]:
    """(count, 2) points evenly spaced in parameter on the open spline through the points."""
    corners = np.asarray([points[0], *points, points[-1]], np.float64)
    at = np.linspace(0, len(points) - 1 - 1e-9, count)
    index = at.astype(int)
    t = (at - index)[:, None]
    p0, p1, p2, p3 = (corners[index + k] for k in range(4))
    return np.asarray(
        0.5
        * (
            2 * p1
            + (p2 - p0) * t
            + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
            + (3 * p1 - p0 - 3 * p2 + p3) * t**3
        )
    )


def ribbon(
    points: Sequence[Point], width: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> skia.Path:
    """A stroke of changing width: width(share of the way 0..1) in design units."""
    line = samples(points)
    along = np.linspace(0, 1, len(line))
    step = np.gradient(line, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    half = (width(along) / 2)[:, None]
    outline = np.concatenate([line + normal * half, (line - normal * half)[::-1]])
    path = skia.Path()
    path.moveTo(*map(float, outline[0]))
    for x, y in outline[1:]:
        path.lineTo(float(x), float(y))
    path.close()
    return path


def tapered(
    points: Sequence[Point], widest: float, peak: float = 0.5, ends: float = 0.05
) -> skia.Path:
    """A stroke that swells to `widest` at `peak` and runs out to `ends` of that at its ends."""

    def width(along: NDArray[np.float64]) -> NDArray[np.float64]:
        near = np.where(along < peak, along / peak, (1 - along) / (1 - peak))
        return widest * (ends + (1 - ends) * np.sin(np.clip(near, 0, 1) * np.pi / 2))

    return ribbon(points, width)


def mirrored(points: Sequence[Point], middle: float = 256.0) -> list[Point]:
    """The points on the other side of the face."""
    return [(2 * middle - x, y) for x, y in points]


def render(
    draw: Callable[[skia.Canvas], None], box: Box, scale: float = PIXELS_PER_UNIT
) -> NDArray[np.uint8]:
    """What draw paints inside a box: (height, width, 4) uint8 RGBA, straight alpha."""
    left, top, right, bottom = box
    surface = skia.Surface(round((right - left) * scale), round((bottom - top) * scale))
    canvas = surface.getCanvas()
    canvas.clear(0)
    canvas.scale(scale, scale)
    canvas.translate(-left, -top)
    draw(canvas)
    picture = surface.makeImageSnapshot().toarray(
        colorType=skia.kRGBA_8888_ColorType, alphaType=skia.kUnpremul_AlphaType
    )
    return np.ascontiguousarray(picture)
