"""The wall behind the character: a warm gradient with large soft shapes."""

import skia

from authoring.brush import color, linear, paint, radial, spline


def draw_background(canvas: skia.Canvas) -> None:
    """Paint the whole canvas."""
    wall = linear(
        (40, 0), (470, 512), (0, color("#FDF4E9")), (0.55, color("#FBE3D3")), (1, color("#F3CFC4"))
    )
    canvas.drawRect(skia.Rect(0, 0, 512, 512), paint(wall))
    sage = spline(
        [
            (40, 210),
            (86, 96),
            (190, 40),
            (322, 38),
            (432, 104),
            (474, 226),
            (452, 362),
            (380, 470),
            (250, 506),
            (120, 470),
            (52, 350),
        ],
        closed=True,
    )
    canvas.drawPath(
        sage,
        paint(
            linear(
                (90, 40),
                (420, 500),
                (0, color("#CFE9E2")),
                (0.5, color("#A9D6CF")),
                (1, color("#7FBDBB")),
            )
        ),
    )
    canvas.drawPath(
        sage, paint(radial((176, 130), 260, (0, color("#FFFFFF", 0.55)), (1, color("#FFFFFF", 0))))
    )
    leaf = spline([(392, 60), (440, 44), (478, 76), (470, 124), (424, 132), (390, 104)], True)
    canvas.drawPath(leaf, paint(color("#F2A98F", 0.55)))
    stone = spline([(34, 356), (70, 336), (104, 356), (100, 396), (62, 410), (32, 390)], True)
    canvas.drawPath(stone, paint(color("#F6C58F", 0.60)))
    for x, y, radius, alpha in ((74, 92, 9, 0.8), (108, 60, 4.5, 0.7), (462, 300, 6, 0.75)):
        canvas.drawCircle(x, y, radius, paint(color("#FFFFFF", alpha)))
    ring = paint(color("#FFFFFF", 0.55), stroke=2.2)
    canvas.drawCircle(454, 396, 26, ring)
