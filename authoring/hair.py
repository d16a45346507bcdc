"""The hair in front of the face: locks that fall to both sides of a parting."""

import numpy as np
import skia
from numpy.typing import NDArray

from authoring import palette as p
from authoring.brush import Point, color, linear, paint, ribbon, samples, spline, tapered
from authoring.face import FACE

LEFT_OUTER = [
    (286, 50),
    (216, 50),
    (152, 84),
    (117, 144),
    (104, 212),
    (108, 272),
    (94, 326),
    (100, 378),
    (88, 420),
    (106, 458),
]
LEFT_INNER = [
    (280, 106),
    (262, 136),
    (230, 162),
    (192, 184),
    (167, 218),
    (160, 262),
    (171, 308),
    (158, 352),
    (172, 396),
    (152, 436),
]
RIGHT_OUTER = [
    (288, 50),
    (342, 54),
    (384, 94),
    (403, 152),
    (408, 214),
    (402, 272),
    (417, 328),
    (410, 380),
    (424, 420),
    (406, 458),
]
RIGHT_INNER = [
    (281, 106),
    (308, 112),
    (334, 138),
    (352, 176),
    (365, 216),
    (374, 252),
    (369, 296),
    (355, 344),
    (356, 392),
    (350, 442),
]
CROWN = spline([(240, 52), (288, 49.5), (330, 54), (310, 96), (281, 105), (262, 100)], True)
POINTS = 40

Line = NDArray[np.float64]


def draw_hair(canvas: skia.Canvas) -> None:
    """Paint the hair layer."""
    rng = np.random.default_rng(11)
    canvas.save()
    canvas.clipPath(FACE, doAntiAlias=True)
    for outer, inner in ((LEFT_OUTER, LEFT_INNER), (RIGHT_OUTER, RIGHT_INNER)):
        canvas.save()
        canvas.translate(4, 7)
        canvas.drawPath(_curtain(outer, inner), paint(color("#8E4440", 0.50), blur=8))
        canvas.restore()
    canvas.restore()
    canvas.drawPath(CROWN, paint(color(p.HAIR_DARK)))
    _draw_side(canvas, rng, RIGHT_OUTER, RIGHT_INNER, 0.80)
    _draw_side(canvas, rng, LEFT_OUTER, LEFT_INNER, 1.0)
    parting = [(287, 50), (284, 66), (282, 86), (281, 105)]
    canvas.drawPath(tapered(parting, 2.4), paint(color(p.HAIR_DEEP, 0.6), blur=0.7))
    _draw_flyaways(canvas)


def _curtain(outer: list[Point], inner: list[Point]) -> skia.Path:
    """The whole side, a little short of the tips, so that the locks end it."""
    low = ((outer[-2][0] + inner[-2][0]) / 2, 432.0)
    return spline([*outer[:-2], low, *inner[-3::-1]], closed=True)


def _points(line: Line) -> list[Point]:
    return [(float(x), float(y)) for x, y in line]


def _draw_side(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    outer: list[Point],
    inner: list[Point],
    light: float,
) -> None:
    canvas.drawPath(
        _curtain(outer, inner),
        paint(
            linear(
                (0, 50),
                (0, 440),
                (0, color(p.HAIR)),
                (0.4, color(p.HAIR_DARK)),
                (1, color(p.HAIR_DEEP)),
            )
        ),
    )
    a, b = samples(outer, POINTS), samples(inner, POINTS)
    breadth = np.linalg.norm(a - b, axis=1)
    count = 8
    order = rng.permutation(count)
    order = [*order[order != 0], 0]
    for index in order:
        share = (index + 0.5) / count
        wave = np.sin(np.linspace(0, 7, POINTS) + rng.uniform(0, 6)) * np.linspace(0, 3.5, POINTS)
        line = a * (1 - share) + b * share
        line[:, 0] += wave
        end = POINTS - int(rng.integers(0, 4))
        _draw_lock(canvas, rng, line[:end], 1.75 * breadth[:end] / count, share, light)


def _draw_lock(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    line: Line,
    breadth: Line,
    share: float,
    light: float,
) -> None:
    """One lock: a body with a gloss band, a dark rim and some hairs of its own."""
    points = _points(line)

    def width(along: Line) -> Line:
        full = np.interp(along, np.linspace(0, 1, len(breadth)), np.maximum(breadth, 4))
        tip = np.clip((1.0 - along) / 0.22, 0, 1) ** 0.6
        return np.asarray(full * tip * np.clip(0.25 + along / 0.05, 0, 1))

    body = ribbon(points, width)
    gloss = 0.20 + 0.12 * share + float(rng.normal(0, 0.015))
    dark, mid = color(p.HAIR_DARK), color(p.HAIR)
    lit = color(p.HAIR_LIGHT) if light > 0.9 else color("#874A2F")
    canvas.drawPath(
        body,
        paint(
            linear(
                (0, 48),
                (20, 452),
                (0, mid),
                (gloss - 0.08, color("#7D4129")),
                (gloss, lit),
                (gloss + 0.10, mid),
                (0.62, dark),
                (0.80, color("#54291F")),
                (1, color("#7A4229")),
            )
        ),
    )
    canvas.save()
    canvas.clipPath(body, doAntiAlias=True)
    canvas.drawPath(body, paint(color(p.HAIR_DEEP, 0.55), stroke=3.2, blur=1.6))
    for _ in range(7):
        offset = (rng.uniform(-0.45, 0.45) * breadth * 0.75)[:, None]
        step = np.gradient(line, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        hair = _points(line + normal * offset)
        if rng.random() < 0.5:
            tone = color(p.HAIR_DEEP, float(rng.uniform(0.2, 0.45)))
            canvas.drawPath(tapered(hair, float(rng.uniform(0.8, 1.8)), peak=0.6), paint(tone))
        else:
            tone = linear(
                (0, 48),
                (20, 452),
                (0, color(p.HAIR_LIGHT, 0)),
                (gloss - 0.05, color(p.HAIR_LIGHT, 0.5 * light)),
                (gloss, color(p.HAIR_GLOSS, float(rng.uniform(0.5, 0.9)) * light)),
                (gloss + 0.08, color(p.HAIR_LIGHT, 0.45 * light)),
                (0.6, color(p.HAIR_LIGHT, 0.12)),
                (0.78, color(p.HAIR_LIGHT, 0.5 * light)),
                (1, color(p.HAIR_LIGHT, 0)),
            )
            canvas.drawPath(
                tapered(hair, float(rng.uniform(1.0, 2.4)), peak=0.5), paint(tone, blur=0.3)
            )
    canvas.restore()


def _draw_flyaways(canvas: skia.Canvas) -> None:
    for points, wide in (
        ([(288, 106), (316, 120), (340, 148), (354, 186), (362, 216)], 2.6),
        ([(100, 330), (90, 366), (94, 398), (80, 428)], 2.2),
        ([(412, 330), (422, 366), (416, 398), (430, 428)], 2.0),
        ([(180, 62), (150, 80), (126, 114), (112, 150)], 1.6),
    ):
        canvas.drawPath(tapered(points, wide, peak=0.4), paint(color(p.HAIR, 0.95)))
