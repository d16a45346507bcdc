"""The pieces of the mouth that the renderer lays into the face: lips, teeth and tongue."""

import numpy as np
import skia

from authoring import palette as p
from authoring.brush import color, linear, paint, radial, spline

LIPS_BOX = (0.0, 0.0, 80.0, 40.0)
TEETH_UPPER_BOX = (0.0, 0.0, 60.0, 20.0)
TEETH_LOWER_BOX = (0.0, 0.0, 50.0, 13.0)
TONGUE_BOX = (0.0, 0.0, 48.0, 34.0)


def draw_lips(canvas: skia.Canvas) -> None:
    """The lips, flattened: upper half the upper lip, lower half the lower; corners at the sides.

    From top to bottom: outer edge and inner edge of the upper lip, inner and outer of the lower.
    """
    canvas.drawRect(
        skia.Rect(0, 0, 80, 20),
        paint(
            linear(
                (0, 0),
                (0, 20),
                (0, color("#D67A70")),
                (0.35, color(p.LIP_UPPER)),
                (1, color(p.LIP_UPPER_DARK)),
            )
        ),
    )
    canvas.drawRect(
        skia.Rect(0, 20, 80, 40),
        paint(
            linear(
                (0, 20),
                (0, 40),
                (0, color("#B9565A")),
                (0.25, color(p.LIP_LOWER)),
                (0.6, color("#DA776E")),
                (1, color(p.LIP_LOWER_DARK)),
            )
        ),
    )
    canvas.save()
    canvas.clipRect(skia.Rect(0, 20, 80, 40))
    canvas.drawOval(skia.Rect(20, 24, 54, 32), paint(color(p.LIP_GLOSS, 0.62), blur=3.2))
    canvas.restore()
    canvas.save()
    canvas.clipRect(skia.Rect(0, 0, 80, 20))
    for x in (29, 51):
        canvas.drawOval(skia.Rect(x - 9, 1, x + 9, 6), paint(color(p.LIP_GLOSS, 0.34), blur=2.4))
    canvas.restore()
    for x0, x1 in ((0, 26), (80, 54)):
        canvas.drawRect(
            skia.Rect(0, 0, 80, 40),
            paint(
                linear(
                    (x0, 0),
                    (x1, 0),
                    (0, color(p.LIP_UPPER_DARK, 0.75)),
                    (1, color(p.LIP_UPPER_DARK, 0)),
                )
            ),
        )


def _row(width: float, depth: float, arc: float, gaps: list[float]) -> skia.Path:
    """A row of teeth that hangs from the upper side: an arc with a slight dent at each gap."""
    half = width / 2
    x = np.linspace(0.6, width - 0.6, 160)
    side = np.abs(x - half) / half
    round_off = np.clip((side - 0.74) / 0.26, 0, 1)
    edge = depth - arc * side**2 - (depth - arc) * round_off**2.6
    for gap in gaps:
        edge -= 0.45 * np.exp(-(((x - gap) / 0.8) ** 2)) * (1 - round_off)
    path = skia.Path()
    path.moveTo(0.6, -4)
    for column, row in zip(x, edge, strict=True):
        path.lineTo(float(column), float(row))
    path.lineTo(width - 0.6, -4)
    path.close()
    return path


def _fade(width: float, light: str) -> skia.Shader:
    """Teeth sink into the dark towards the corners of the mouth."""
    dark, middle = color("#6B3B3D"), color(light)
    return linear(
        (0, 0),
        (width, 0),
        (0.02, dark),
        (0.13, color("#B79C94")),
        (0.30, middle),
        (0.70, middle),
        (0.87, color("#B79C94")),
        (0.98, dark),
    )


UPPER_GAPS = [8.5, 14.4, 21.4, 30.0, 38.6, 45.6, 51.5]
LOWER_GAPS = [8.0, 13.2, 19.0, 25.0, 31.0, 36.8, 42.0]


def draw_teeth_upper(canvas: skia.Canvas) -> None:
    """The upper row and its shadow; the biting edge lies at four fifths of the height."""
    row = _row(60, 16.0, 3.0, UPPER_GAPS)
    canvas.save()
    canvas.translate(0, 1.5)
    canvas.drawPath(row, paint(color("#4A1018", 0.55), blur=1.3))
    canvas.restore()
    canvas.drawPath(row, paint(_fade(60, p.TOOTH)))
    canvas.save()
    canvas.clipPath(row, doAntiAlias=True)
    canvas.drawRect(
        skia.Rect(0, 0, 60, 16),
        paint(linear((0, 11), (0, 16), (0, color("#FFFFFF", 0)), (1, color("#D9CCC8", 0.55)))),
    )
    for x in UPPER_GAPS:
        canvas.drawLine(x, 3, x, 16, paint(color(p.TOOTH_SHADE, 0.42), stroke=0.5, blur=0.15))
    canvas.restore()


def draw_teeth_lower(canvas: skia.Canvas) -> None:
    """The lower row; its biting edge is the upper side of the box, in the middle."""
    canvas.save()
    canvas.translate(0, 13)
    canvas.scale(1, -1)
    row = _row(50, 12.4, 3.0, LOWER_GAPS)
    canvas.drawPath(row, paint(_fade(50, "#F6ECE4")))
    canvas.clipPath(row, doAntiAlias=True)
    for x in LOWER_GAPS:
        canvas.drawLine(x, 0, x, 13, paint(color(p.TOOTH_SHADE, 0.6), stroke=0.5, blur=0.15))
    canvas.restore()


def draw_tongue(canvas: skia.Canvas) -> None:
    """The tongue from the front; its highest point is the upper side of the box."""
    outline = spline(
        [(1, 34), (2, 16), (9, 4.5), (24, 1.2), (39, 4.5), (46, 16), (47, 34), (24, 44)], True
    )
    canvas.drawPath(
        outline,
        paint(
            radial(
                (22, 8),
                34,
                (0, color("#EE8E89")),
                (0.5, color(p.TONGUE)),
                (1, color(p.TONGUE_DARK)),
            )
        ),
    )
    canvas.save()
    canvas.clipPath(outline, doAntiAlias=True)
    canvas.drawOval(skia.Rect(11, 4, 22, 9), paint(color(p.TONGUE_GLOSS, 0.75), blur=1.8))
    canvas.drawOval(skia.Rect(27, 4, 37, 9), paint(color(p.TONGUE_GLOSS, 0.5), blur=1.8))
    canvas.drawLine(24, 6, 24, 34, paint(color(p.TONGUE_DARK, 0.55), stroke=1.4, blur=0.8))
    canvas.restore()
