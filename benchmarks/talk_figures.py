"""The lines of a report on a conversation: breaks in the sound, lips, ages, pictures a second."""

import numpy as np

from benchmarks.ages import Ages
from benchmarks.conversation import Talk
from benchmarks.judging import Verdict
from benchmarks.report import Figure
from benchmarks.skew import Spread

NOTICED_MS, DISTURBING_MS = 20.0, 40.0
LAG_TAILS_MS = 60.0


def break_figure(name: str, verdicts: list[Verdict], limited: bool = True) -> Figure:
    """Breaks in the received sound, by minute of speech.

    Args:
        name: of the run.
        verdicts: of its sentences.
        limited: whether there is a target: no break over 40 ms, every sentence heard.
    """
    heard = [verdict for verdict in verdicts if verdict.heard]
    minutes = sum(verdict.length_s for verdict in heard) / 60
    sizes = np.array([b.size_ms for v in heard if v.heard for b in v.heard.breaks])
    values = {
        "over 20 ms/min": float((sizes > NOTICED_MS).sum() / minutes) if minutes else np.nan,
        "over 40 ms/min": float((sizes > DISTURBING_MS).sum() / minutes) if minutes else np.nan,
        "max ms": float(sizes.max(initial=0.0)),
        "likeness": float(np.median([v.heard.likeness for v in heard if v.heard] or [np.nan])),
        "unheard": float(len(verdicts) - len(heard)),
        "sentences": float(len(verdicts)),
    }
    limits = {"over 40 ms/min": 0.0, "unheard": 0.0} if limited else {}
    return Figure(f"{name}, breaks in the sound", values, "", limits)


def lag_figures(name: str, verdicts: list[Verdict], limited: bool = True) -> list[Figure]:
    """Lags of the mouth, one line for each clock; above zero the mouth is late."""
    figures = []
    for clock in ("wire", "reports"):
        spread = Spread.of(lags_of(verdicts, clock)[:, 1])
        values = {"median": spread.median, "p05": spread.p05, "p95": spread.p95, "n": spread.n}
        limits = {"p05": LAG_TAILS_MS, "p95": LAG_TAILS_MS} if limited else {}
        figures.append(Figure(f"{name}, mouth after sound, {clock}", values, "ms", limits))
    return figures


def lags_of(verdicts: list[Verdict], clock: str) -> np.ndarray:
    """(n, 2) when each sentence began and the lag of its mouth in milliseconds."""
    read = [(v.at_s, v.lags[clock].lag_ms) for v in verdicts if clock in v.lags]
    return np.array(read, np.float64).reshape(-1, 2)


def age_figures(name: str, talk: Talk, limited: bool = True) -> list[Figure]:
    """How old sound and pictures were when they came."""
    limits = {"old": 0.0} if limited else {}
    return [
        Figure(f"{name}, age of {stream}", talk.ages_of(stream).values(), "ms", limits)
        for stream in ("sound", "pictures")
    ]


def pictures_per_s(pictures: Ages, start_s: float, end_s: float) -> float:
    """Pictures that came in a stretch of time, by second."""
    return len(pictures.between(start_s, end_s).arrivals_s) / max(end_s - start_s, 1e-9)


def counters_of(talk: Talk) -> dict[str, float]:
    """The pod's own counters at the end, by dotted name."""
    return _flat(talk.status.get("counters") or {}, "")


def _flat(counters: dict[str, object], prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in counters.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)):
            found[f"{prefix}{name}"] = float(value)
    return found
