"""The figures as Pipecat frames: for observers of the pipeline and for RTVI clients."""

from dataclasses import asdict

from pipecat.frames.frames import Frame, MetricsFrame
from pipecat.metrics.metrics import MetricsData
from pipecat.processors.frameworks.rtvi import RTVIServerMessageFrame

from avatar.figures import AvatarFigures

RTVI_TYPE = "avatar-figures"
"""What the server message to RTVI clients has as its type."""


class AvatarMetricsData(MetricsData):
    """How the avatar fares.

    Parameters:
        figures: The session's figures up to now.
    """

    figures: AvatarFigures


def frames_of(figures: AvatarFigures, processor: str) -> list[Frame]:
    """Return what tells the figures.

    Pipecat's RTVI observer passes on only the metrics it knows, so clients get a message.

    Args:
        figures: The figures.
        processor: Name of the processor that pushes the frames.
    """
    return [
        MetricsFrame([AvatarMetricsData(processor=processor, figures=figures)]),
        RTVIServerMessageFrame({"type": RTVI_TYPE, **asdict(figures)}),
    ]
