"""Everything behind the face: the hair at the back, the neck and the clothes."""

import numpy as np
import skia

from authoring import palette as p
from authoring.brush import color, linear, mirrored, paint, spline, tapered

BACK_HAIR = spline(
    [
        (130, 292),
        (104, 330),
        (94, 392),
        (108, 440),
        (170, 456),
        (220, 440),
        (256, 430),
        (292, 440),
        (342, 456),
        (404, 440),
        (418, 392),
        (408, 330),
        (382, 292),
        (256, 280),
    ],
    closed=True,
)
NECK = spline(
    [
        (214, 330),
        (216, 372),
        (212, 402),
        (190, 424),
        (186, 470),
        (256, 520),
        (326, 470),
        (322, 424),
        (300, 402),
        (296, 372),
        (298, 330),
    ],
    closed=True,
)
JACKET = spline(
    [
        (204, 412),
        (150, 432),
        (100, 452),
        (66, 486),
        (52, 540),
        (256, 560),
        (460, 540),
        (446, 486),
        (412, 452),
        (362, 432),
        (308, 412),
    ],
    closed=True,
)
TOP = spline(
    [
        (188, 424),
        (184, 464),
        (216, 560),
        (296, 560),
        (328, 464),
        (324, 424),
        (298, 452),
        (256, 470),
        (214, 452),
    ],
    closed=True,
)
LAPEL = [
    (200, 408),
    (178, 424),
    (156, 452),
    (176, 471),
    (167, 483),
    (204, 530),
    (236, 562),
    (246, 548),
    (220, 506),
    (198, 456),
    (194, 428),
]


def draw_back(canvas: skia.Canvas) -> None:
    """Paint the back layer."""
    _draw_back_hair(canvas)
    _draw_jacket(canvas)
    _draw_neck(canvas)
    _draw_top(canvas)
    for points, light in ((LAPEL, True), (mirrored(LAPEL), False)):
        _draw_lapel(canvas, spline(points, True), light)


def _draw_back_hair(canvas: skia.Canvas) -> None:
    canvas.drawPath(
        BACK_HAIR,
        paint(
            linear(
                (0, 60),
                (0, 450),
                (0, color(p.HAIR_DARK)),
                (0.6, color("#371A1A")),
                (1, color("#4A2520")),
            )
        ),
    )
    canvas.save()
    canvas.clipPath(BACK_HAIR, doAntiAlias=True)
    rng = np.random.default_rng(5)
    for _ in range(26):
        x = float(rng.uniform(130, 382))
        points = [(256 + 0.8 * (x - 256), 300.0), (x, 360.0), (x + rng.uniform(-8, 8), 452.0)]
        tone = color(p.HAIR if rng.random() < 0.6 else "#1F0D10", float(rng.uniform(0.15, 0.4)))
        canvas.drawPath(tapered(points, float(rng.uniform(1.5, 5))), paint(tone, blur=0.8))
    canvas.restore()


def _draw_neck(canvas: skia.Canvas) -> None:
    shader = linear(
        (206, 0),
        (306, 0),
        (0, color(p.SKIN_SHADE)),
        (0.3, color("#F0B892")),
        (0.62, color("#EBAE8A")),
        (1, color("#C98468")),
    )
    canvas.drawPath(NECK, paint(shader))
    canvas.save()
    canvas.clipPath(NECK, doAntiAlias=True)
    shadow = spline(
        [(190, 320), (322, 320), (320, 376), (292, 404), (256, 412), (222, 404), (192, 376)], True
    )
    canvas.drawPath(shadow, paint(color("#A25648", 0.60), blur=7))
    for points in ([(204, 434), (222, 441), (238, 450)],):
        for side in (points, mirrored(points)):
            canvas.drawPath(tapered(side, 3), paint(color(p.SKIN_DEEP, 0.35), blur=1.6))
    canvas.restore()


def _draw_top(canvas: skia.Canvas) -> None:
    canvas.drawPath(
        TOP, paint(linear((200, 430), (312, 520), (0, color(p.TOP)), (1, color("#EEDACB"))))
    )
    canvas.save()
    canvas.clipPath(TOP, doAntiAlias=True)
    hem = [(190, 428), (216, 456), (256, 474), (296, 456), (322, 428)]
    canvas.drawPath(spline(hem), paint(color(p.TOP_SHADE, 0.9), stroke=1.6))
    for points in ([(214, 470), (224, 496), (226, 530)], [(300, 470), (290, 500), (290, 530)]):
        canvas.drawPath(tapered(points, 5), paint(color(p.TOP_SHADE, 0.6), blur=2.4))
    canvas.restore()


def _draw_jacket(canvas: skia.Canvas) -> None:
    cloth = linear(
        (150, 420),
        (360, 540),
        (0, color(p.JACKET_LIGHT)),
        (0.45, color(p.JACKET)),
        (1, color(p.JACKET_DARK)),
    )
    canvas.drawPath(JACKET, paint(cloth))
    canvas.save()
    canvas.clipPath(JACKET, doAntiAlias=True)
    lit = spline([(56, 540), (70, 492), (104, 458), (160, 436), (126, 470), (104, 540)], True)
    canvas.drawPath(lit, paint(color("#8C99D2", 0.45), blur=8))
    dim = spline([(456, 540), (442, 492), (408, 458), (352, 436), (388, 470), (408, 540)], True)
    canvas.drawPath(dim, paint(color("#161D40", 0.45), blur=8))
    for points in ([(124, 540), (126, 508), (138, 482)],):
        for side in (points, mirrored(points)):
            canvas.drawPath(tapered(side, 5), paint(color("#161D40", 0.45), blur=2.5))
    for side in (1, -1):  # shadow of the hair
        x = 256 + side * 130
        canvas.drawOval(skia.Rect(x - 44, 410, x + 44, 462), paint(color("#12183A", 0.45), blur=9))
    canvas.restore()


def _draw_lapel(canvas: skia.Canvas, lapel: skia.Path, lit: bool) -> None:
    canvas.drawPath(lapel, paint(color("#141A38", 0.35), blur=4))
    first, last = ("#6A77B6", p.JACKET) if lit else ("#4A5795", p.JACKET_DARK)
    ends = ((160, 420), (250, 540)) if lit else ((290, 420), (350, 540))
    canvas.drawPath(lapel, paint(linear(*ends, (0, color(first)), (1, color(last)))))
    canvas.drawPath(lapel, paint(color("#1B2347", 0.5), stroke=1.1))
