"""An hour of talk in one session: does memory grow, do lips drift from the sound, is anything late?

    python -m benchmarks.soak
    python -m benchmarks.soak --minutes 60 --out hour

Every ten seconds the resident memory of the pod, and of it and the processes it started, is read.
Its slope is a line through the readings after the tenth minute. Drift is the median lag of the
mouth in the last ten minutes less that in the first ten. Of shorter runs a sixth is taken in place
of the ten minutes. `old` sound and pictures came over 100 ms later than at their best.

--out NAME writes NAME.csv, one row a minute, and NAME.png. Ends with 1 when a target is missed.
"""

import argparse
import asyncio
import contextlib
import csv
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.conversation import Talk, converse, heard_pod
from benchmarks.cpu_group import family
from benchmarks.judging import Judge, judging
from benchmarks.plot import Panel, draw_plot
from benchmarks.report import Figure, print_report
from benchmarks.talk_figures import (
    age_figures,
    break_figure,
    counters_of,
    lag_figures,
    lags_of,
    pictures_per_s,
)

SAMPLE_EVERY_S = 10.0
SETTLED_SHARE = 1 / 6
"""Of an hour ten minutes: left out of the slope of memory, compared for the drift."""
MEBI = 1 << 20
DRIFT_LIMIT_MS = 5.0
SLOPE_LIMIT_MIB_H = 1.0
CLOCKS = ("wire", "reports")


async def session(
    url: str, process: psutil.Process, voice: Path, seconds: float, judge: Judge
) -> tuple[Talk, np.ndarray]:
    """The talk, and (n, 3) readings of memory: time, MiB of the pod, MiB with what it started."""
    readings: list[tuple[float, float, float]] = []
    reading = asyncio.create_task(_read_memory(process, readings))
    try:
        talk = await converse(url, voice, seconds, judge)
    finally:
        reading.cancel()
        await asyncio.wait({reading})
    return talk, np.array(readings).reshape(-1, 3)


async def _read_memory(process: psutil.Process, readings: list[tuple[float, float, float]]) -> None:
    while True:
        # A process of the voice's that has just ended is not read: the next reading has another.
        with contextlib.suppress(psutil.NoSuchProcess):
            own, *started = [member.memory_info().rss / MEBI for member in family(process)]
            readings.append((time.time(), own, own + sum(started)))
        await asyncio.sleep(SAMPLE_EVERY_S)


def slope_per_h(rows: np.ndarray, from_s: float) -> float:
    """Slope an hour of the line through (n, 2) times and values from a time on; NaN under 3."""
    kept = rows[rows[:, 0] >= from_s]
    if len(kept) < 3:
        return np.nan
    return float(np.polyfit(kept[:, 0] - kept[0, 0], kept[:, 1], 1)[0] * 3600)


def drift_ms(lags: np.ndarray, start_s: float, end_s: float) -> float:
    """Median lag of the last part of a session less that of the first; NaN without lags.

    Args:
        lags: (n, 2) time and lag in milliseconds.
        start_s: of the session.
        end_s: likewise.
    """
    part_s = (end_s - start_s) * SETTLED_SHARE
    first = lags[lags[:, 0] < start_s + part_s, 1]
    last = lags[lags[:, 0] >= end_s - part_s, 1]
    return float(np.median(last) - np.median(first)) if len(first) and len(last) else np.nan


def figures_of(talk: Talk, memory: np.ndarray) -> list[Figure]:
    """The lines of the report."""
    settled_s = talk.start_s + (talk.end_s - talk.start_s) * SETTLED_SHARE
    slopes = {
        "pod": slope_per_h(memory[:, [0, 1]], settled_s),
        "with its processes": slope_per_h(memory[:, [0, 2]], settled_s),
    }
    figures = [
        Figure("memory, slope", slopes, "MiB/h", dict.fromkeys(slopes, SLOPE_LIMIT_MIB_H)),
        Figure("memory, at the end", {"pod": memory[-1, 1], "all": memory[-1, 2]}, "MiB"),
    ]
    for clock in CLOCKS:
        lags = lags_of(talk.verdicts, clock)
        values = {
            "last less first": drift_ms(lags, talk.start_s, talk.end_s),
            "slope/h": slope_per_h(lags, talk.start_s),
        }
        limits = {"last less first": DRIFT_LIMIT_MS}
        figures.append(Figure(f"drift of mouth and sound, {clock}", values, "ms", limits))
    name = f"{(talk.end_s - talk.start_s) / 60:.1f} minutes"
    pictures = pictures_per_s(talk.ages_of("pictures"), talk.start_s, talk.end_s)
    return [
        *figures,
        *lag_figures(name, talk.verdicts),
        break_figure(name, talk.verdicts),
        *age_figures(name, talk),
        Figure(f"{name}, pictures", {"per s": pictures}),
        Figure("counters of the pod", counters_of(talk)),
    ]


def by_minute(talk: Talk, memory: np.ndarray) -> list[dict[str, float]]:
    """One row for each minute; NaN where a minute has nothing to tell."""
    sound, pictures = talk.ages_of("sound"), talk.ages_of("pictures")
    lags = {clock: lags_of(talk.verdicts, clock) for clock in CLOCKS}
    rows = []
    for minute in range(max(1, round((talk.end_s - talk.start_s) / 60))):
        start_s = talk.start_s + 60 * minute
        end_s = min(start_s + 60, talk.end_s)
        breaks = [
            found.size_ms
            for verdict in talk.verdicts
            if verdict.heard and start_s <= verdict.at_s < end_s
            for found in verdict.heard.breaks
        ]
        rows.append(
            {
                "minute": float(minute + 1),
                "pod_mib": _median(memory[:, [0, 1]], start_s, end_s),
                "all_mib": _median(memory[:, [0, 2]], start_s, end_s),
                **{f"lag_{clock}_ms": _median(lags[clock], start_s, end_s) for clock in CLOCKS},
                "sound_age_p95_ms": sound.between(start_s, end_s).values()["p95"],
                "picture_age_p95_ms": pictures.between(start_s, end_s).values()["p95"],
                "pictures_per_s": pictures_per_s(pictures, start_s, end_s),
                "breaks": float(len(breaks)),
                "longest_break_ms": max(breaks, default=0.0),
            }
        )
    return rows


def _median(rows: np.ndarray, start_s: float, end_s: float) -> float:
    """Median of the values of (n, 2) rows whose time is in a stretch; NaN if there are none."""
    here = rows[(rows[:, 0] >= start_s) & (rows[:, 0] < end_s), 1]
    return float(np.median(here)) if len(here) else np.nan


def write_files(out: Path, rows: list[dict[str, float]]) -> None:
    """Write the rows as OUT.csv and draw them as OUT.png."""
    with out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows({name: f"{value:.4g}" for name, value in row.items()} for row in rows)
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    panels = {
        "resident memory, MiB": ("pod_mib", "all_mib"),
        "mouth after sound, ms": ("lag_wire_ms", "lag_reports_ms"),
        "age, 95th percentile, ms": ("sound_age_p95_ms", "picture_age_p95_ms"),
        "pictures a second": ("pictures_per_s",),
    }
    draw_plot(
        out.with_suffix(".png"),
        [
            Panel(title, {name: (column["minute"], column[name]) for name in names})
            for title, names in panels.items()
        ],
    )


def main() -> None:
    """Hold the talk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the talk (60)")
    parser.add_argument("--out", type=Path, help="write this .csv and .png")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.minutes <= 0:
        parser.error("--minutes must be above zero")
    seconds = options.minutes * 60
    with judging() as judge, heard_pod() as (pod, voice):
        talk, memory = asyncio.run(session(pod.url, pod.process, voice, seconds, judge))
    if options.out:
        write_files(options.out, by_minute(talk, memory))
    title = f"{options.minutes:g} minutes of talk in one session"
    sys.exit(not print_report(title, figures_of(talk, memory), options.json))


if __name__ == "__main__":
    main()
