"""A session beside others that burn every core: what the sound and the pictures do, and after.

    python -m benchmarks.overload
    python -m benchmarks.overload --calm 20 --burn 40 --after 40

The agent talks throughout. After the calm, one busy process for each core runs at normal priority,
beside the pod and the peer; then it is calm again. By phase: breaks in the sound, the mouth's lag,
ages and pictures a second, as `benchmarks.quota` has them. The stages at which the pod draws are
read from `avatar.overload` of GET /status four times a second; `-` where it tells none. Recovery
counts from the end of the burning until pictures come at the full rate for two seconds, and until
the first stage is back; the pod waits eight seconds and more before each step back.

Only the sound has a target: no break over 40 ms in any phase. Ends with 1 when it is missed.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.ages import Ages
from benchmarks.conversation import Talk, converse, heard_pod
from benchmarks.judging import Judge, Verdict, judging
from benchmarks.report import Figure, print_report
from benchmarks.talk_figures import break_figure, counters_of, lags_of, pictures_per_s

LOOK_EVERY_S = 0.25
FULL_PER_S = 28.5
"""Pictures a second that count as the full rate of 30."""
FULL_FOR_S = 2.0
BURN = "while True: pass"


@dataclass
class Phase:
    """A stretch of the session, on the peer's clock."""

    name: str
    start_s: float
    end_s: float


@dataclass
class Watch:
    """What was seen while the agent talked.

    Attributes:
        phases: calm, burning, after.
        stages: (time, stage) whenever another one was told.
    """

    phases: list[Phase] = field(default_factory=list)
    stages: list[tuple[float, str]] = field(default_factory=list)


@contextmanager
def burning(cores: int) -> Iterator[None]:
    """Busy processes at normal priority, ended on leaving."""
    busy = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()


def stage_of(status: dict[str, object]) -> str:
    """The stage at which the pod draws, as GET /status tells it; "-" when it does not."""
    avatar = status.get("avatar")
    overload = avatar.get("overload") if isinstance(avatar, dict) else None
    if overload is None:
        return "-"
    if isinstance(overload, dict):
        told = [str(overload[name]) for name in ("stage", "level", "name") if name in overload]
        return " ".join(told) or json.dumps(overload)
    return str(overload)


async def session(
    url: str, voice: Path, judge: Judge, lengths_s: tuple[float, float, float], cores: int
) -> tuple[Talk, Watch]:
    """The whole session.

    Args:
        url: of a pod of `heard_pod()`.
        voice: the folder of its voice.
        judge: of the sentences.
        lengths_s: of calm, burning and after.
        cores: how many busy processes.
    """
    watch, begun = Watch(), asyncio.Event()
    talking = asyncio.create_task(converse(url, voice, sum(lengths_s), judge, begun=begun))
    watching = asyncio.create_task(_watch_stages(url, watch))
    beginning = asyncio.create_task(begun.wait())
    try:
        await asyncio.wait({beginning, talking}, return_when=asyncio.FIRST_COMPLETED)
        await _phase(watch, "calm", lengths_s[0], talking)
        with burning(cores):
            await _phase(watch, "burning", lengths_s[1], talking)
        await _phase(watch, "after", lengths_s[2], talking)
        talk = await talking
        if watching.done():
            watching.result()  # it never ends unless it failed
        return talk, watch
    finally:
        tasks = {talking, watching, beginning}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _phase(watch: Watch, name: str, seconds: float, talking: asyncio.Task[Talk]) -> None:
    start_s = time.time()
    await asyncio.wait({talking}, timeout=seconds)
    watch.phases.append(Phase(name, start_s, time.time()))


async def _watch_stages(url: str, watch: Watch) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/status") as answer:
                stage = stage_of(await answer.json())
            if not watch.stages or watch.stages[-1][1] != stage:
                watch.stages.append((time.time(), stage))
            await asyncio.sleep(LOOK_EVERY_S)


def recovery(pictures: Ages, watch: Watch) -> dict[str, float]:
    """Seconds from the end of the burning until all is as before; infinite if it never was."""
    ended_s = watch.phases[1].end_s
    starts_s = np.arange(ended_s, watch.phases[-1].end_s - FULL_FOR_S, 0.1)
    full = [s for s in starts_s if pictures_per_s(pictures, s, s + FULL_FOR_S) >= FULL_PER_S]
    values = {"full rate": float(full[0] - ended_s) if full else np.inf}
    told = [(at, stage) for at, stage in watch.stages if stage != "-"]
    if told:
        first, (last_s, last) = told[0][1], told[-1]
        values["first stage"] = max(0.0, last_s - ended_s) if last == first else np.inf
    return values


def figures_of(talk: Talk, watch: Watch) -> list[Figure]:
    """The lines of the report."""
    figures: list[Figure] = []
    pictures, sound = talk.ages_of("pictures"), talk.ages_of("sound")
    for phase in watch.phases:
        verdicts = _within(talk.verdicts, phase)
        figures.append(break_figure(phase.name, verdicts))
        lags = lags_of(verdicts, "wire")[:, 1]
        old = sound.between(phase.start_s, phase.end_s).values()
        values = {
            "pictures/s": pictures_per_s(pictures, phase.start_s, phase.end_s),
            "age p95": pictures.between(phase.start_s, phase.end_s).values()["p95"],
            "age of sound p95": old["p95"],
            "max": old["max"],
            "old": old["old"],
            "mouth after sound": float(np.median(lags)) if len(lags) else np.nan,
        }
        figures.append(Figure(f"{phase.name}, pictures and ages in ms", values))
    figures.append(Figure("recovery after the burning", recovery(pictures, watch), "s"))
    for at_s, stage in watch.stages:
        when = {"at": at_s - watch.phases[0].start_s}
        figures.append(Figure(f"stage {stage}, in {_phase_at(watch, at_s)}", when, "s"))
    figures.append(Figure("counters of the pod", counters_of(talk)))
    return figures


def _within(verdicts: list[Verdict], phase: Phase) -> list[Verdict]:
    return [verdict for verdict in verdicts if phase.start_s <= verdict.at_s < phase.end_s]


def _phase_at(watch: Watch, at_s: float) -> str:
    return next((p.name for p in watch.phases if p.start_s <= at_s < p.end_s), "the start")


def main() -> None:
    """Run the session."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calm", type=float, default=20.0, help="seconds before (20)")
    parser.add_argument("--burn", type=float, default=40.0, help="seconds of load (40)")
    parser.add_argument("--after", type=float, default=40.0, help="seconds after (40)")
    parser.add_argument(
        "--cores", type=int, default=os.cpu_count() or 1, help="busy processes (one a core)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    lengths_s = (options.calm, options.burn, options.after)
    if min(lengths_s) <= 0 or options.cores < 1:
        parser.error("--calm, --burn and --after must be above zero, --cores 1 or more")
    with judging() as judge, heard_pod() as (pod, voice):
        talk, watch = asyncio.run(session(pod.url, voice, judge, lengths_s, options.cores))
    title = f"A session beside {options.cores} busy processes"
    sys.exit(not print_report(title, figures_of(talk, watch), options.json))


if __name__ == "__main__":
    main()
