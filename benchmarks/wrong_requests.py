"""A thousand wrong requests: does any of them hurt the pod or the session that runs beside it?

    python -m benchmarks.wrong_requests
    python -m benchmarks.wrong_requests --requests 5000 --seed 7

Half of them come between sessions and half beside one, seeded; then as many as schemathesis makes
of the pod's own /openapi.json, where it is installed. No answer may be of 500 or more but 503 "No
active pipeline", which the agent's routes give between sessions. After each half a peer must hear
the agent speak.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection
from tqdm import tqdm

from benchmarks.machine import this_machine
from benchmarks.peer import Peer, Refused
from benchmarks.pods import running_pod
from benchmarks.wrong import Wrong, wrong_requests

REQUESTS = 1_200
ANSWER_WITHIN_S = 10.0
FREE_WITHIN_S = 20.0
SENTENCE = "After all this, I can still be heard."
NO_SESSION = b"No active pipeline"
CUT = "cut off"
"""What stands for the status where the pod closed without one: the client was still sending."""


@dataclass
class Tally:
    """What was answered.

    Attributes:
        answers: kind -> status -> how many.
        bad: what must not happen, in words.
    """

    answers: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    def note(self, kind: str, status: str, answer: bytes, sent: bytes) -> None:
        """Count an answer, and keep it if it may not be."""
        self.answers.setdefault(kind, Counter())[status] += 1
        if status.startswith("5") and not (status == "503" and NO_SESSION in answer):
            self.bad.append(f"{kind}: {status} {answer[-300:]!r} to {sent[:300]!r}")
        if status in (CUT, "no answer") and len(sent) < 60_000:
            self.bad.append(f"{kind}: {status}, to {sent[:300]!r}")

    @property
    def count(self) -> int:
        """How many requests were made."""
        return sum(counts.total() for counts in self.answers.values())

    def __str__(self) -> str:
        lines = [f"{'kind':<24}{'requests':>9}  answers"]
        for kind, counts in self.answers.items():
            told = ", ".join(f"{status}: {number}" for status, number in sorted(counts.items()))
            lines.append(f"{kind:<24}{counts.total():>9}  {told}")
        return "\n".join([*lines, f"{'all':<24}{self.count:>9}"])


async def right_offer() -> str:
    """An offer as a browser makes it, by a peer that is gone at once."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("chat")
    for kind in ("audio", "video"):
        connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    await connection.close()
    return sdp


async def send(host: str, wrong: Wrong) -> tuple[str, bytes]:
    """The status that a request gets, and its whole answer."""
    name, _, port = host.rpartition(":")
    answer = b""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(name, int(port))
            writer.write(wrong.sent)
            if wrong.half:
                return "left", b""
            await writer.drain()
            while not _complete(answer) and (chunk := await reader.read(65_536)):
                answer += chunk
    except ConnectionError:
        pass
    except TimeoutError:
        return "no answer", answer
    finally:
        if writer is not None:
            writer.close()
    status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.1 ") else CUT
    return status, answer


def _complete(answer: bytes) -> bool:
    """Whether nothing more is to come; a WebSocket's messages are not waited for."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: (\d+)", head)
    return b"\r\n\r\n" in answer and len(body) >= (int(length[1]) if length else 0)


async def provoke(url: str, tally: Tally, seed: int, count: int) -> None:
    """Send wrong requests, one after the other."""
    host = urlsplit(url).netloc
    sdp = await right_offer()
    requests = wrong_requests(seed, count, sdp, host)
    for wrong in tqdm(requests, total=count, desc="wrong requests", disable=None):
        status, answer = await send(host, wrong)
        tally.note(wrong.kind, status, answer, wrong.sent)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Peer]:
    """A peer that has connected, once one that never came has lost its place."""
    deadline = time.monotonic() + FREE_WITHIN_S
    while True:
        async with Peer(url, pictures=False) as peer:
            try:
                await peer.connect()
            except Refused:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                yield peer
                return


async def hears(peer: Peer) -> None:
    """Have the agent say something new and wait until it is heard."""
    await peer.post("/interrupt", {})
    await asyncio.sleep(1.0)
    await peer.post("/speak", {"message": SENTENCE})
    await peer.until_loud(15.0)


def by_schema(url: str, tally: Tally, seed: int, examples: int) -> None:
    """Send what schemathesis makes of the pod's own description of its routes."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.errors import HypothesisDeprecationWarning, Unsatisfiable
    from schemathesis import GenerationMode

    def ask(kind: str, cases: Any) -> None:
        @seeded(seed)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def asked(case: Any) -> None:
            headers = case.headers or {}
            if "x-daily-room-url" in headers and "x-daily-room-token" in headers:
                return  # A right request: the agent would call that room.
            response = case.call(base_url=url, timeout=ANSWER_WITHIN_S, allow_redirects=False)
            sent = repr(case.body)[:300].encode("utf-8", "replace")
            tally.note(kind, str(response.status_code), response.content, sent)

        # A route that takes nothing cannot be given anything wrong.
        with contextlib.suppress(Unsatisfiable):
            asked()

    # Of schemathesis's own making.
    warnings.simplefilter("ignore", HypothesisDeprecationWarning)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for result in schema.get_all_operations():
        operation: Any = result.ok()
        for mode in (GenerationMode.NEGATIVE, GenerationMode.POSITIVE):
            kind = f"{operation.method.upper()} {operation.path}"
            ask(kind, operation.as_strategy(generation_mode=mode))


async def run(requests: int, seed: int, examples: int) -> Tally:
    """Both halves, each followed by a peer that listens."""
    tally = Tally()
    with running_pod(settings={"OFFER_TIMEOUT": "1"}) as pod:
        await provoke(pod.url, tally, seed, requests // 2)
        async with connected(pod.url) as peer:
            await hears(peer)
            print("A session after them is heard.", file=sys.stderr)
            await provoke(pod.url, tally, seed + 1, requests - requests // 2)
            if examples:
                await asyncio.to_thread(by_schema, pod.url, tally, seed, examples)
            await hears(peer)
            print("The session beside them is heard.", file=sys.stderr)
        if examples:
            await asyncio.to_thread(by_schema, pod.url, tally, seed + 1, examples)
        async with connected(pod.url) as peer:
            await hears(peer)
            print("A session after all of them is heard.", file=sys.stderr)
        log = pod.log.read_text(encoding="utf-8", errors="replace")
    for sign in ("Traceback", "never retrieved", "Task was destroyed"):
        if sign in log:
            tally.bad.append(f"the log has {sign!r}: {log[log.index(sign) :][:2000]}")
    return tally


def main() -> int:
    """Run from the command line; 1 if something happened that must not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many, seeded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--examples", type=int, default=15, help="of schemathesis, for each route and mode"
    )
    options = parser.parse_args()
    if options.examples and importlib.util.find_spec("schemathesis") is None:
        print("schemathesis is not installed: nothing is made of /openapi.json", file=sys.stderr)
        options.examples = 0
    try:
        tally = asyncio.run(run(options.requests, options.seed, options.examples))
    except (Refused, TimeoutError, aiohttp.ClientError) as error:
        print(f"A session after wrong requests failed: {error!r}", file=sys.stderr)
        return 1
    print(f"Wrong requests (seed {options.seed})\n{this_machine()}\n\n{tally}\n")
    for line in tally.bad:
        print(line)
    print("MISSED" if tally.bad else "met", "target: no 5xx but 503 'No active pipeline'")
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
