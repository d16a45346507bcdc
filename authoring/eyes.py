"""The iris; lids and lashes are drawn by the renderer."""

import math

import numpy as np
import skia

from authoring import palette as p
from authoring.brush import color, linear, paint, radial

IRIS_BOX = (0.0, 0.0, 30.0, 30.0)


def draw_iris(canvas: skia.Canvas) -> None:
    """Iris and pupil, looking straight ahead."""
    x = y = 15.0
    radius = 14.4
    canvas.drawCircle(
        x,
        y,
        radius,
        paint(
            radial(
                (x, y + 3),
                radius * 1.15,
                (0.25, color(p.IRIS)),
                (0.6, color(p.IRIS_LIGHT)),
                (0.85, color(p.IRIS)),
                (1, color(p.IRIS_DARK)),
            )
        ),
    )
    rng = np.random.default_rng(3)
    for angle in np.arange(0, 2 * math.pi, math.pi / 22):
        near, far = rng.uniform(6.5, 8.0), rng.uniform(10.5, 13)
        dx, dy = math.cos(angle), math.sin(angle)
        tone = color(p.IRIS_LIGHT if rng.random() < 0.5 else p.IRIS_DARK, 0.35)
        canvas.drawLine(
            x + dx * near, y + dy * near, x + dx * far, y + dy * far, paint(tone, stroke=0.5)
        )
    canvas.drawCircle(x, y, radius - 0.9, paint(color(p.IRIS_DARK, 0.75), stroke=1.8, blur=0.5))
    canvas.drawCircle(
        x,
        y,
        radius,
        paint(linear((0, 0), (0, 24), (0, color(p.PUPIL, 0.6)), (1, color(p.PUPIL, 0)))),
    )
    canvas.drawCircle(x, y, 6.2, paint(color(p.PUPIL), blur=0.3))
