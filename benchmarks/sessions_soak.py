"""Fifty sessions one after another in one pod: does anything stay behind?

    python -m benchmarks.sessions_soak
    python -m benchmarks.sessions_soak --sessions 200

Each session connects, sees a picture, hears a sentence and leaves, some in the middle of it. Two
broken offers come between any two. After each session the pod's resident memory is read, and
`counters.tasks` of GET /status once it is back to rest.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

import aiohttp
import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.peer import Peer, Refused
from benchmarks.pods import running_pod
from benchmarks.report import Figure, print_report
from benchmarks.sentences import SENTENCES

SESSIONS = 50
FROM_SESSION = 5
LAST = 20
FREE_WITHIN_S = 8.0
LISTEN_S = 1.5
SETTLE_S = 0.3
MEBI = 1 << 20

BROKEN_OFFERS = (
    {"sdp": "v=0", "type": "offer"},
    {"sdp": "", "type": "offer"},
    {"type": "offer"},
    {"sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "type": "offer"},
    {"sdp": "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "type": "answer"},
    {"sdp": 7, "type": "offer"},
)


@dataclass(frozen=True)
class Rest:
    """The pod between two sessions: resident MiB, asyncio tasks, seconds until it was free."""

    rss_mib: float
    tasks: int
    free_s: float


async def one_session(url: str, number: int) -> None:
    """Connect, look, listen, leave."""
    sentence = SENTENCES[number % len(SENTENCES)]
    async with Peer(url, pictures=False) as peer:
        await peer.connect()
        await peer.first_picture()
        await peer.post("/speak", {"message": sentence})
        await peer.until_loud(10.0)
        await asyncio.sleep(LISTEN_S if number % 2 else 2 * LISTEN_S)


async def broken_offers(http: aiohttp.ClientSession, url: str, number: int) -> int:
    """Send two broken offers; gives how many were wrongly accepted."""
    accepted = 0
    for offset in (0, 1):
        body = BROKEN_OFFERS[(2 * number + offset) % len(BROKEN_OFFERS)]
        async with http.post(f"{url}/api/offer", json=body) as answer:
            accepted += answer.status < 400
    return accepted


async def at_rest(http: aiohttp.ClientSession, url: str, process: psutil.Process) -> Rest:
    """Wait until the pod holds no session any more.

    Raises:
        TimeoutError: it still holds one after 8 s.
    """
    start = time.monotonic()
    async with asyncio.timeout(FREE_WITHIN_S):
        while (await _status(http, url))["session"]:  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.05)
    free_s = time.monotonic() - start
    await asyncio.sleep(SETTLE_S)
    status = await _status(http, url)
    return Rest(process.memory_info().rss / MEBI, status["counters"]["tasks"], free_s)


async def _status(http: aiohttp.ClientSession, url: str) -> dict[str, dict[str, int]]:
    async with http.get(f"{url}/status") as answer:
        answer.raise_for_status()
        status: dict[str, dict[str, int]] = await answer.json()
        return status


async def soak(url: str, process: psutil.Process, sessions: int) -> tuple[list[Rest], int, int]:
    """All sessions.

    Returns:
        The pod after each, how many sessions were refused, how many broken offers were accepted.
    """
    rests, refused, accepted = [], 0, 0
    async with aiohttp.ClientSession() as http:
        rests.append(await at_rest(http, url, process))
        for number in tqdm(range(sessions), desc="sessions", unit="session", disable=None):
            accepted += await broken_offers(http, url, number)
            try:
                await one_session(url, number)
            except Refused:
                refused += 1
            rests.append(await at_rest(http, url, process))
    return rests, refused, accepted


def figures_of(rests: list[Rest], refused: int, accepted: int) -> list[Figure]:
    """The lines of the report.

    Args:
        rests: the pod before the first session and after each.
        refused: sessions that the pod did not take.
        accepted: broken offers that it took.
    """
    rss = np.array([rest.rss_mib for rest in rests[1:]])
    early = float(rss[min(FROM_SESSION, len(rss)) - 1])
    late = float(rss[-LAST:][0])
    tasks = [rest.tasks for rest in rests]
    growth, late_growth = max(0.0, float(rss[-1]) - early), max(0.0, float(rss[-1]) - late)
    return [
        Figure(
            "resident memory after a session",
            {f"{n}.": float(rss[n - 1]) for n in (1, 5, *range(10, len(rss) + 1, 10))},
            "MiB",
        ),
        Figure("growth from the 5th to the last", {"MiB": growth}, "", {"MiB": 40.0}),
        Figure("growth over the last twenty", {"MiB": late_growth}, "", {"MiB": 5.0}),
        Figure(
            "asyncio tasks left behind",
            {"n": max(0, tasks[-1] - tasks[1]), "before": tasks[0], "after": tasks[-1]},
            "",
            {"n": 0},
        ),
        Figure(
            "until the pod is free again",
            {
                "median": float(np.median([rest.free_s for rest in rests[1:]])),
                "max": max(rest.free_s for rest in rests[1:]),
            },
            "s",
        ),
        Figure("sessions refused", {"n": refused, "of": len(rss)}, "", {"n": 0}),
        Figure("broken offers accepted", {"n": accepted, "of": 2 * len(rss)}, "", {"n": 0}),
    ]


def main() -> None:
    """Run the sessions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="how many, 25 or more")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.sessions < 25:
        parser.error("--sessions must be 25 or more")
    with running_pod() as pod:
        result = asyncio.run(soak(pod.url, pod.process, options.sessions))
    print_report(f"{options.sessions} sessions in one pod", figures_of(*result), options.json)


if __name__ == "__main__":
    main()
