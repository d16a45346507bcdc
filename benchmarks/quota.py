"""The agent on half a CPU: what its sound and its lips are like, with the quota and without.

    python -m benchmarks.quota
    python -m benchmarks.quota --cpus 0.5 --minutes 5

The pod and all that it starts, the voice's process too, are held to a share of CPU in periods of
100 ms, as a container is; the peer that measures is not. Two conversations of the same length:
without the quota, and with it.

breaks in the sound: each sentence as received, packets placed by their RTP timestamps, against
what its voice said: silence that was put in, speech that was left out or silenced. mouth after
sound: one lag for each sentence, as `av_sync agent` reads it. age: how much later than at their
best packets of sound and whole pictures come; `old` are those beyond 100 ms.

Ends with 1 when a target is missed.
"""

import argparse
import asyncio
import sys
import time

import numpy as np

from benchmarks.conversation import Talk, converse, heard_pod
from benchmarks.cpu_group import Usage, cpu_group
from benchmarks.judging import Judge, judging
from benchmarks.report import Figure, print_report
from benchmarks.talk_figures import (
    age_figures,
    break_figure,
    counters_of,
    lag_figures,
    pictures_per_s,
)

WORST_S = 2.0


def measured(cpus: float | None, seconds: float, judge: Judge) -> list[Figure]:
    """One conversation with a pod of its own.

    Args:
        cpus: seconds of CPU per second that the pod may use; None for all.
        seconds: length.
        judge: of the sentences.
    """
    name = "no quota" if cpus is None else f"{cpus:g} CPU"
    with heard_pod() as (pod, voice), cpu_group(pod.process, cpus) as group:
        before, start_s = group.usage(), time.monotonic()
        talk = asyncio.run(converse(pod.url, voice, seconds, judge, name))
        used, spent_s = group.usage().since(before), time.monotonic() - start_s
    return [
        break_figure(name, talk.verdicts),
        *lag_figures(name, talk.verdicts),
        *age_figures(name, talk),
        Figure(f"{name}, use by {group.name}", used_values(used, spent_s)),
        Figure(f"{name}, pictures", picture_values(talk)),
        Figure(f"{name}, counters of the pod", counters_of(talk)),
    ]


def used_values(used: Usage, seconds: float) -> dict[str, float]:
    """What the pod used in so many seconds, and how often and how long the quota held it."""
    return {
        "CPU s/s": used.cpu_s / seconds,
        "throttled of periods": used.throttled / max(used.periods, 1),
        "throttled s/s": used.throttled_s / seconds,
    }


def picture_values(talk: Talk) -> dict[str, float]:
    """Pictures that came by second: of all the conversation, and in its worst two seconds."""
    pictures = talk.ages_of("pictures")
    end_s = float(pictures.arrivals_s[-1]) if len(pictures.arrivals_s) else talk.end_s
    starts_s = np.arange(talk.start_s, end_s - WORST_S, WORST_S / 2)
    rates = [pictures_per_s(pictures, start_s, start_s + WORST_S) for start_s in starts_s]
    mean = pictures_per_s(pictures, talk.start_s, end_s)
    return {"per s": mean, "per s, worst 2 s": min(rates, default=np.nan)}


def main() -> None:
    """Measure both conversations."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpus", type=float, default=0.5, help="CPU seconds per second (0.5)")
    parser.add_argument("--minutes", type=float, default=5.0, help="length of each talk (5)")
    parser.add_argument("--only", action="store_true", help="leave out the talk without a quota")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.cpus <= 0 or options.minutes <= 0:
        parser.error("--cpus and --minutes must be above zero")
    quotas = [options.cpus] if options.only else [None, options.cpus]
    figures: list[Figure] = []
    with judging() as judge:
        for cpus in quotas:
            figures += measured(cpus, options.minutes * 60, judge)
    title = f"The agent on {options.cpus:g} CPU, {options.minutes:g} minutes of talk"
    sys.exit(not print_report(title, figures, options.json))


if __name__ == "__main__":
    main()
