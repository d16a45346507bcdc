"""The loss over the steps of training, as a picture."""

import json
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, MARGIN = 900, 320, 60
INK, LINE, PAPER = (70, 70, 70), (190, 95, 70), (255, 255, 255)
"""Blue, green, red, for OpenCV."""


def draw_losses(losses: Path, out: Path) -> None:
    """Write a PNG of the lines {"step", "loss"} of a file; nothing where there are fewer than two.

    Raises:
        OSError: the picture could not be written.
    """
    noted = [json.loads(line) for line in losses.read_text().splitlines()]
    # What was trained again after a stop was noted twice.
    points = sorted({point["step"]: point for point in noted}.values(), key=lambda p: p["step"])
    if len(points) < 2:
        return
    steps = np.array([point["step"] for point in points], float)
    values = np.array([point["loss"] for point in points], float)
    picture = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    low, high = float(values.min()), float(values.max()) + 1e-9
    columns = MARGIN + (steps - steps[0]) / (steps[-1] - steps[0]) * (WIDTH - 2 * MARGIN)
    rows = HEIGHT - MARGIN - (values - low) / (high - low) * (HEIGHT - 2 * MARGIN)
    line = np.stack((columns, rows), 1).round().astype(np.int32)
    cv2.polylines(picture, [line.reshape(-1, 1, 2)], False, LINE, 2, cv2.LINE_AA)
    for text, at in (
        ("loss", (MARGIN, MARGIN - 20)),
        (f"{high:.3f}", (4, MARGIN + 4)),
        (f"{low:.3f}", (4, HEIGHT - MARGIN + 4)),
        (f"step {steps[0]:.0f}", (MARGIN - 20, HEIGHT - 20)),
        (f"{steps[-1]:.0f}", (WIDTH - MARGIN - 30, HEIGHT - 20)),
    ):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(out), picture):
        raise OSError(f"could not write {out}")
