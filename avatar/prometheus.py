"""The figures for Prometheus, in its client's registry: whoever serves that serves these too."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from avatar.figures import AvatarFigures
from avatar.overload import STAGES

_COUNTERS = {
    "speeches": ("speeches", "Stretches of speech."),
    "cues": ("cues", "Pieces of speech that went out with their mouth."),
    "model_failures": ("model_failures", "Speeches whose mouth was given up: the model failed."),
    "overdue": ("overdue", "Speeches whose mouth was given up: it took too long."),
    "drawn": ("pictures_drawn", "Pictures drawn and handed on."),
    "still": ("pictures_still", "Pictures handed on again, for nothing had moved visibly."),
    "skipped": ("pictures_skipped", "Pictures not drawn, for time was lost."),
    "repeated": ("pictures_repeated", "Pictures not drawn, the last one handed on again."),
    "dropped": ("pictures_dropped", "Pictures drawn and not encoded in time."),
    "failed": ("pictures_failed", "Pictures that could not be drawn or handed on."),
    "late": ("pictures_late", "Pictures handed on more than 30 ms late."),
}
_SECONDS = {
    "lookahead_ms": ("lookahead", "How far the lips look ahead."),
    "sound_late_p95_ms": ("sound_late_p95", "How late sound left, 95th of 100 lately."),
    "picture_late_p95_ms": ("picture_late_p95", "How late pictures left, 95th of 100 lately."),
    "av_offset_ms": ("av_offset_median", "Pictures after the sound of their mouth, median lately."),
    "av_offset_p95_ms": ("av_offset_p95", "Pictures after their mouth's sound, 95th of 100."),
}


class AvatarCollector(Collector):
    """Counts over all sessions of the process; the rest is of the session that began last.

    `REGISTRY.register(AvatarCollector())`, once in a process. Collect on the event loop that runs
    the sessions.
    """

    def __init__(self) -> None:
        """Begin without a session."""
        self._ended: Counter[str] = Counter()
        self._sessions: list[Callable[[], AvatarFigures]] = []

    @contextmanager
    def session(self, figures: Callable[[], AvatarFigures]) -> Iterator[None]:
        """Count a session within this context.

        Args:
            figures: AvatarProcessor.figures of the session.
        """
        self._sessions.append(figures)
        try:
            yield
        finally:
            self._sessions.remove(figures)
            self._ended.update(_counts(figures()))

    def collect(self) -> Iterator[Metric]:
        """Give the figures of now; those that are not known are left out."""
        running = [figures() for figures in self._sessions]
        counts = self._ended + sum((_counts(each) for each in running), Counter[str]())
        for key, (name, what) in _COUNTERS.items():
            yield CounterMetricFamily(f"mouthpiece_avatar_{name}", what, value=counts[key])
        latest = asdict(running[-1]) if running else {}
        for key, (name, what) in _SECONDS.items():
            gauge = GaugeMetricFamily(f"mouthpiece_avatar_{name}_seconds", what)
            if latest.get(key) is not None:
                gauge.add_metric([], latest[key] / 1000)
            yield gauge
        rate = GaugeMetricFamily(
            "mouthpiece_avatar_pictures_drawn_per_second", "Pictures drawn a second, lately."
        )
        stages = GaugeMetricFamily(
            "mouthpiece_avatar_stage", "1 for what the picture is at.", labels=["stage"]
        )
        if latest:
            rate.add_metric([], latest["drawn_per_s"])
            for stage in STAGES:
                stages.add_metric([stage.name], float(stage.name == latest["stage"]))
        yield rate
        yield stages


def _counts(figures: AvatarFigures) -> Counter[str]:
    return Counter({key: getattr(figures, key) for key in _COUNTERS})
