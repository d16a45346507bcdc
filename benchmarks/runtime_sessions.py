"""Fifty sessions of the real agent through the control plane, five at a time, each spoken to.

    python -m benchmarks.runtime_sessions
    python -m benchmarks.runtime_sessions --sessions 10 --at-once 2

Each session is started with a body, gets a WebRTC peer through the Session API, shows a picture,
is told a name by /context and a sentence by /speak, is heard saying it, and is left, or stopped by
its operator. At the end every session must have ended as it was ended, with its seconds billed, and
no process may be left.
"""

import argparse
import asyncio
import contextlib
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import psutil
from tqdm import tqdm

from benchmarks.peer import Peer
from benchmarks.planes import SERVICES, ControlPlane
from benchmarks.pods import REPOSITORY
from benchmarks.report import Figure, print_report
from benchmarks.sentences import SENTENCES

SESSIONS = 50
AT_ONCE = 5
LISTEN_S = 1.0
HEARD_WITHIN_S = 20.0
END_WITHIN_S = 20.0


async def converse(
    plane: ControlPlane, http: aiohttp.ClientSession, number: int
) -> tuple[str, float]:
    """One session from its start to its leaving; gives its id and how long the start took in ms."""
    began_s = time.perf_counter()
    body = {"body": {"number": number}, "enableDefaultIceServers": True}
    async with http.post(
        f"{plane.url}/v1/public/mouthpiece/start", json=body, headers=plane.public
    ) as response:
        response.raise_for_status()
        session_id = (await response.json())["sessionId"]
    took_ms = (time.perf_counter() - began_s) * 1000
    base = f"{plane.url}/v1/public/mouthpiece/sessions/{session_id}"
    async with Peer(base, pictures=False, headers=plane.public) as peer:
        await peer.connect()
        await peer.first_picture(HEARD_WITHIN_S)
        await peer.post("/context", {"user_name": f"Caller {number}"})
        await peer.post("/speak", {"message": SENTENCES[number % len(SENTENCES)]})
        await peer.until_loud(HEARD_WITHIN_S)
        await asyncio.sleep(LISTEN_S)
        if stopped_by_operator(number):
            url = f"{plane.url}{SERVICES}/mouthpiece/sessions/{session_id}"
            async with http.delete(url, headers=plane.private) as response:
                response.raise_for_status()
    return session_id, took_ms


def stopped_by_operator(number: int) -> bool:
    """Whether a session is ended from the control plane, not by its user's leaving."""
    return number % 4 == 3


async def run(plane: ControlPlane, sessions: int, at_once: int) -> list[Figure]:
    """All sessions, and what became of them."""
    room = asyncio.Semaphore(at_once)
    ids: dict[str, int] = {}
    starts_ms: list[float] = []
    failures: Counter[str] = Counter()
    bar = tqdm(total=sessions, unit="session")
    async with aiohttp.ClientSession() as http:

        async def one(number: int) -> None:
            async with room:
                try:
                    session_id, took_ms = await converse(plane, http, number)
                    ids[session_id] = number
                    starts_ms.append(took_ms)
                except (
                    aiohttp.ClientError,
                    TimeoutError,
                    ConnectionError,
                    AssertionError,
                ) as error:
                    failures[f"{type(error).__name__}: {error}"[:80]] += 1
                bar.update()

        await asyncio.gather(*(one(number) for number in range(sessions)))
        bar.close()
        for words, count in failures.items():
            print(f"{count} x {words}")
        deadline_s = time.monotonic() + END_WITHIN_S
        while True:
            told = plane.ask("GET", f"{SERVICES}/mouthpiece/sessions?limit=1000")["sessions"]
            if all(each["endedAt"] for each in told) or time.monotonic() > deadline_s:
                break
            await asyncio.sleep(0.2)
    wrong = 0
    for each in told:
        number = ids.get(each["sessionId"])
        if number is None:
            continue
        expected = "terminated" if stopped_by_operator(number) else "completed"
        if each["endState"] != expected or each["billableSeconds"] <= LISTEN_S:
            print(f"session {number}: {each['endState']} ({each['endReason']})")
            wrong += 1
    starts_ms.sort()
    return [
        Figure("sessions that were seen and heard", {"n": len(ids)}),
        Figure("of them failed", {"n": sum(failures.values())}, limits={"n": 0}),
        Figure("ended otherwise than they were ended", {"n": wrong}, limits={"n": 0}),
        Figure(
            "start, as its client waits",
            {"median": starts_ms[len(starts_ms) // 2], "longest": starts_ms[-1]},
            "ms",
        ),
    ]


def left_behind(plane: ControlPlane) -> int:
    """How many processes of the control plane's are left."""
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            count += str(plane.run) in " ".join(process.cmdline())
    return count


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="runtime_sessions.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="how many (%(default)s)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="at a time (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder), {"mouthpiece": REPOSITORY})
        plane.start()
        plane.settle("mouthpiece")
        try:
            figures = asyncio.run(run(plane, options.sessions, options.at_once))
        finally:
            plane.end(signal.SIGINT)
        figures.append(Figure("processes left", {"n": left_behind(plane)}, limits={"n": 0}))
    title = f"{options.sessions} sessions of the agent, {options.at_once} at a time"
    raise SystemExit(0 if print_report(title, figures, options.json) else 1)


if __name__ == "__main__":
    main()
