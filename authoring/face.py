"""The face without eyes and mouth, which are drawn anew for every picture."""

import skia

from authoring import palette as p
from authoring.brush import color, linear, mirrored, paint, radial, spline, tapered

FACE = spline(
    [
        (256, 88),
        (316, 104),
        (348, 154),
        (356, 214),
        (352, 270),
        (338, 318),
        (313, 354),
        (283, 375.5),
        (256, 381.5),
        (229, 375.5),
        (199, 354),
        (174, 318),
        (160, 270),
        (156, 214),
        (164, 154),
        (196, 104),
    ],
    closed=True,
)
BROW = [(233, 202.5), (219, 197.5), (201, 195.5), (182, 204.5)]
BEHIND = spline(
    [
        (256, 92),
        (190, 100),
        (150, 170),
        (146, 250),
        (156, 316),
        (200, 340),
        (312, 340),
        (362, 322),
        (380, 262),
        (372, 180),
        (320, 100),
    ],
    True,
)
EAR = spline(
    [
        (344, 236),
        (355, 224),
        (367, 226),
        (372, 242),
        (368, 260),
        (361, 274),
        (353, 279),
        (344, 270),
    ],
    True,
)


def draw_face(canvas: skia.Canvas) -> None:
    """Paint the face layer: first some hair behind, so that no turn opens a gap beside it."""
    canvas.drawPath(
        BEHIND, paint(linear((0, 100), (0, 340), (0, color(p.HAIR_DARK)), (1, color("#371A1A"))))
    )
    _draw_ear(canvas)
    skin = radial(
        (238, 212),
        196,
        (0, color(p.SKIN_LIGHT)),
        (0.42, color("#FBD3B3")),
        (0.75, color("#F4BE9A")),
        (1, color("#E5A07E")),
    )
    canvas.drawPath(FACE, paint(skin))
    canvas.save()
    canvas.clipPath(FACE, doAntiAlias=True)
    _shade(canvas)
    _draw_nose(canvas)
    canvas.restore()
    for points in (BROW, mirrored(BROW)):
        canvas.drawPath(
            tapered(points, 8.6, peak=0.35, ends=0.25), paint(color(p.HAIR_DARK, 0.85), blur=0.35)
        )


def _draw_ear(canvas: skia.Canvas) -> None:
    canvas.drawPath(
        EAR,
        paint(
            linear(
                (346, 0),
                (374, 0),
                (0, color("#D98F70")),
                (0.6, color("#EDB08C")),
                (1, color("#DD9677")),
            )
        ),
    )
    inner = [(362, 232), (367, 240), (365, 256), (358, 268)]
    canvas.drawPath(tapered(inner, 4.2), paint(color("#B4654E", 0.55), blur=1.0))
    hoop = skia.Rect(351, 274, 363, 293)
    canvas.drawOval(hoop, paint(color("#8A5A1C"), stroke=2.6))
    canvas.drawOval(
        hoop,
        paint(
            linear(
                (354, 280),
                (366, 297),
                (0, color("#FFE9A8")),
                (0.5, color("#E2AE4A")),
                (1, color("#B47A26")),
            ),
            stroke=1.8,
        ),
    )


def _oval(
    canvas: skia.Canvas, x: float, y: float, rx: float, ry: float, fill: int, blur: float
) -> None:
    canvas.drawOval(skia.Rect(x - rx, y - ry, x + rx, y + ry), paint(fill, blur=blur))


def _shade(canvas: skia.Canvas) -> None:
    right = spline(
        [
            (372, 120),
            (344, 200),
            (346, 280),
            (318, 338),
            (284, 372),
            (250, 384),
            (300, 400),
            (380, 380),
        ],
        True,
    )
    canvas.drawPath(right, paint(color("#CF7A62", 0.42), blur=14))
    left = spline(
        [(140, 130), (160, 210), (160, 280), (190, 336), (226, 374), (200, 396), (130, 380)], True
    )
    canvas.drawPath(left, paint(color("#D98B70", 0.22), blur=12))
    for x, alpha in ((187, 0.34), (325, 0.38)):
        canvas.save()
        canvas.translate(x, 284)
        canvas.scale(1.25, 0.85)
        canvas.drawCircle(
            0,
            0,
            36,
            paint(
                radial(
                    (0, 0),
                    36,
                    (0, color(p.BLUSH, alpha)),
                    (0.5, color(p.BLUSH, alpha * 0.55)),
                    (1, color(p.BLUSH, 0)),
                )
            ),
        )
        canvas.restore()
    _oval(canvas, 248, 174, 48, 26, color("#FFF3E4", 0.40), 14)
    _oval(canvas, 190, 264, 16, 8, color("#FFF6EC", 0.45), 6)
    _oval(canvas, 318, 264, 14, 7, color("#FFF6EC", 0.32), 6)
    for x in (210, 302):
        _oval(canvas, x, 228, 34, 21, color("#CF7F69", 0.22), 8)
    _oval(canvas, 256, 366, 22, 9, color("#FFEBDB", 0.5), 6)
    _oval(canvas, 256, 310, 3.4, 6, color("#C9745F", 0.26), 2)


def _draw_nose(canvas: skia.Canvas) -> None:
    side = spline([(262, 228), (266, 254), (276, 282), (272, 298), (258, 300), (263, 268)], True)
    canvas.drawPath(side, paint(color("#D4826B", 0.34), blur=4))
    canvas.drawPath(
        tapered([(250, 218), (248, 248), (248, 282)], 6), paint(color("#FFF6EA", 0.55), blur=3)
    )
    _oval(canvas, 252, 283, 6, 4, color("#FFFAF4", 0.65), 2.2)
    under = spline([(240, 297), (256, 303), (273, 297), (256, 308)], True)
    canvas.drawPath(under, paint(color("#B9634F", 0.34), blur=3))
    for points in ([(241, 297), (243.5, 293), (248, 293.4), (251, 297)],):
        for one in (points, mirrored(points)):
            canvas.drawPath(tapered(one, 2.5), paint(color("#A9543F", 0.75)))
    wing = [(236.5, 293), (233.5, 286), (236.5, 281), (239.5, 279)]
    canvas.drawPath(tapered(wing, 1.7), paint(color("#C77660", 0.6)))
    canvas.drawPath(tapered(mirrored(wing), 1.9), paint(color("#B9654F", 0.7)))
