"""Measures what one session costs its pod: CPU while talking and while idle, and memory.

    python -m benchmarks.session_cost
    python -m benchmarks.session_cost --pid 4711 --url http://127.0.0.1:8080

CPU counts the pod's own process with all its threads. The offline voice runs in a child process
and does not count, nor does the client, which is the benchmark itself.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.av_sync import hear_out
from benchmarks.machine import remap_ms
from benchmarks.peer import Peer
from benchmarks.pods import running_pod
from benchmarks.recording import AUDIO_HZ
from benchmarks.report import Figure, print_report
from benchmarks.sentences import LONG_SPEECHES

TALKING_S = 30.0
IDLE_S = 20.0
SETTLE_S = 3.0
MEBI = 1 << 20


@dataclass(frozen=True)
class Cost:
    """What a stretch of a session cost.

    Attributes:
        cpu: seconds of CPU per second, of all threads together.
        rss_mib: resident memory at its end.
        remap_ms: the machine's yardstick around that time.
        sounding: share of the time in which speech was heard.
    """

    cpu: float
    rss_mib: float
    remap_ms: float
    sounding: float


async def cost_of(process: psutil.Process, peer: Peer, seconds: float, name: str) -> Cost:
    """What the pod's process uses from now for that long.

    Args:
        process: the pod's.
        peer: its client.
        seconds: how long.
        name: shown while it runs.
    """
    before, heard = process.cpu_times(), len(peer.recording().pcm)
    start = time.perf_counter()
    for _ in tqdm(range(round(seconds)), desc=name, unit="s", disable=None):
        await asyncio.sleep(seconds / round(seconds))
    spent, after = time.perf_counter() - start, process.cpu_times()
    pcm = peer.recording().pcm[heard:]
    blocks = np.abs(pcm[: len(pcm) // AUDIO_HZ * AUDIO_HZ].astype(np.int32)).reshape(-1, 4800)
    return Cost(
        cpu=(after.user - before.user + after.system - before.system) / spent,
        rss_mib=process.memory_info().rss / MEBI,
        remap_ms=remap_ms(),
        sounding=float((blocks.mean(axis=1) > 100).mean()) if len(blocks) else 0.0,
    )


async def session(url: str, process: psutil.Process) -> tuple[Cost, Cost]:
    """A session's cost while talking and while idle."""
    async with Peer(url, pictures=False) as peer:
        await peer.connect()
        await hear_out(peer)
        for text in LONG_SPEECHES * 2:
            await peer.post("/speak", {"message": text})
        await peer.until_loud(10.0)
        await asyncio.sleep(1.0)
        talking = await cost_of(process, peer, TALKING_S, "talking")
        await peer.post("/interrupt", {})
        await asyncio.sleep(SETTLE_S)
        idle = await cost_of(process, peer, IDLE_S, "idle")
        return talking, idle


def figures_of(talking: Cost, idle: Cost) -> list[Figure]:
    """The lines of the report."""
    return [
        Figure(
            "talking",
            {
                "CPU s/s": talking.cpu,
                "of remaps": talking.cpu * 1e3 / talking.remap_ms,
                "sounding": talking.sounding,
            },
            "",
            {"CPU s/s": 0.45},
        ),
        Figure(
            "idle",
            {
                "CPU s/s": idle.cpu,
                "of remaps": idle.cpu * 1e3 / idle.remap_ms,
                "sounding": idle.sounding,
            },
            "",
            {"CPU s/s": 0.32},
        ),
        Figure(
            "resident memory",
            {"talking": talking.rss_mib, "idle": idle.rss_mib},
            "MiB",
            {"talking": 450.0, "idle": 450.0},
        ),
    ]


def main() -> None:
    """Measure one session."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running pod's address; give its --pid too")
    parser.add_argument("--pid", type=int, help="process of the running pod")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if (options.url is None) != (options.pid is None):
        parser.error("--url and --pid go together")
    if options.url:
        costs = asyncio.run(session(options.url, psutil.Process(options.pid)))
    else:
        with running_pod() as pod:
            costs = asyncio.run(session(pod.url, pod.process))
    print_report("What one session costs", figures_of(*costs), options.json)


if __name__ == "__main__":
    main()
