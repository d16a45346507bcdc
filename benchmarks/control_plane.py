"""What the control plane takes to start a session, to refuse one and to forward a request.

    python -m benchmarks.control_plane
    python -m benchmarks.control_plane --starts 40 --seconds 2

A stub agent, so that nothing but starting and forwarding takes time. One client measures all, with
connections that it keeps, and the yardstick too: a POST over loopback to a Starlette application of
two lines, at the same rate. Times stand beside how often that would have fitted in (`x bare`).

    start            of a warm pod: from POST /start until its answer is read, less the pod's own
                     work: from a POST /bot straight to the Unix socket of such a pod until the
                     session_started that it sends arrives at a listener of this benchmark. Both are
                     taken in turn, with as many pods kept warm, so that a new one is being forked
                     meanwhile; p50 less p50, p99 less p99
    cold by fork     from the claim of a pod that is not there until its /readyz has answered; its
                     parent is loaded
    refused          a start where the agent has as many sessions as it may: 429, at 200 a second
    proxy            POST /echo at 200 a second, come what may, counted from when each was due:
                     through the Session API, less straight to the pod's Unix socket; in turns
    resident memory  of the control plane's process, without pods and parents

Ends with 1 when a target is missed.
"""

import argparse
import asyncio
import contextlib
import gc
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import psutil
import uvloop
from aiohttp import web
from tqdm import tqdm

from benchmarks.planes import SERVICES, STUB, ControlPlane, running_plane
from benchmarks.pods import OFFLINE, REPOSITORY
from benchmarks.report import Figure, print_report
from runtime.local_pods import LocalPods
from runtime.pods import PodSpec

STARTS, FIRST = 100, 5
"""How many count, and how many before them do not."""
SECONDS = 8.0
COLD, SESSIONS = 15, 50
RATE_PER_S = 200
TURNS = 4
WARM, MOST = 2, 60
CALM_S, SETTLE_S = 0.05, 2.0
WAIT_S = 30.0
MEBI = 1 << 20
BODY = b'{"text": "How are you?"}'
HEADERS = {"content-type": "application/json"}
BARE = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def echo(request):
    return Response(await request.body())

app = Starlette(routes=[Route("/", echo, methods=["POST"])])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run([listener])
"""

Post = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Times:
    """Durations, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, times_ms: list[float]) -> "Times":
        """Of all that were taken."""
        p50, p99 = np.percentile(times_ms, (50, 99))
        return cls(float(p50), float(p99))

    def less(self, other: "Times") -> "Times":
        """What these have beyond others."""
        return Times(self.p50 - other.p50, self.p99 - other.p99)

    def figure(self, name: str, bare: "Times", **limits: float) -> Figure:
        """A line of the report."""
        values = {"p50": self.p50, "p99": self.p99}
        values |= {"x bare p50": self.p50 / bare.p50, "x bare p99": self.p99 / bare.p99}
        return Figure(name, values, "ms", limits)


class OwnPods:
    """Pods of this benchmark's own, as the control plane keeps them, and what they tell."""

    def __init__(self, agent: str, pods: LocalPods, told: "asyncio.Queue[str]") -> None:
        self.agent = agent
        self.pods = pods
        self._told = told

    async def calm(self, warm: int) -> None:
        """Wait until there are so many warm pods and no others."""
        async with asyncio.timeout(WAIT_S):
            while [pod.state for pod in (await self.pods.list()).pods] != ["warm"] * warm:  # noqa: ASYNC110
                await asyncio.sleep(CALM_S)

    async def claim(self) -> tuple[str, str, float]:
        """Claim a pod; gives its id, its socket and the milliseconds until it was ready."""
        began_s = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + WAIT_S
        pod = await self.pods.claim(str(uuid.uuid4()), deadline)
        took_ms = (time.perf_counter() - began_s) * 1000
        return pod.id, pod.control_url.removeprefix("unix:"), took_ms

    async def take_session(self) -> float:
        """The milliseconds that a warm pod takes to say that it has taken a session."""
        await self.calm(WARM)
        pod_id, path, _ = await self.claim()
        async with unix_client(path) as client:
            began_s = time.perf_counter()
            headers = {**HEADERS, "x-daily-session-id": "own", "x-daily-transport-type": "webrtc"}
            asked = client.post("http://localhost/bot", data=b"{}", headers=headers)
            asking = asyncio.ensure_future(asked)
            async with asyncio.timeout(WAIT_S):
                while await self._told.get() != "session_started":
                    pass
            took_ms = (time.perf_counter() - began_s) * 1000
            await self.pods.release(pod_id, 0.0)
            with contextlib.suppress(aiohttp.ClientError):
                (await asking).close()
        while not self._told.empty():
            self._told.get_nowait()
        return took_ms

    async def cold_starts(self, count: int) -> list[float]:
        """The milliseconds from a claim until the pod that it has forked is ready."""
        times_ms = []
        for _ in tqdm(range(count), desc=f"cold {self.agent}", disable=None):
            await self.calm(0)
            pod_id, _, took_ms = await self.claim()
            times_ms.append(took_ms)
            await self.pods.release(pod_id, 0.0)
        return times_ms


@contextlib.asynccontextmanager
async def own_pods(agent: str, folder: Path, warm: int) -> AsyncIterator[OwnPods]:
    """Pods of an agent, their parent loaded, and a listener for what they tell."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def event(request: web.Request) -> web.Response:
        told.put_nowait((await request.json())["event_name"])
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", event)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    with tempfile.TemporaryDirectory(prefix="own-") as run:
        path = Path(run) / "events"
        (Path(run) / "pods").mkdir()
        await web.UnixSite(runner, str(path)).start()
        pods = LocalPods(agent, Path(run), events_socket=path)
        try:
            spec = PodSpec(agent, uuid.uuid4().hex, folder, OFFLINE)
            await pods.check(spec)
            await pods.ensure(spec, warm, MOST)
            yield OwnPods(agent, pods, told)
        finally:
            await pods.close(0.0)
            await runner.cleanup()


def unix_client(path: str) -> aiohttp.ClientSession:
    """Speaks HTTP over a Unix socket."""
    return aiohttp.ClientSession(connector=aiohttp.UnixConnector(path))


class Client:
    """A client of the control plane that keeps its connections."""

    def __init__(self, plane: ControlPlane, http: aiohttp.ClientSession) -> None:
        self.plane = plane
        self.http = http
        self.public = f"{plane.url}/v1/public/stub"

    async def start(self) -> tuple[str, float]:
        """Start a session; gives its id and the milliseconds that took."""
        began_s = time.perf_counter()
        headers = {**HEADERS, **self.plane.public}
        async with self.http.post(f"{self.public}/start", data=b"{}", headers=headers) as answer:
            session = await answer.json()
        took_ms = (time.perf_counter() - began_s) * 1000
        answer.raise_for_status()
        return session["sessionId"], took_ms

    async def stop(self, session_id: str) -> None:
        """Stop a session."""
        url = f"{self.plane.url}{SERVICES}/stub/sessions/{session_id}"
        async with self.http.delete(url, headers=self.plane.private) as answer:
            answer.raise_for_status()

    async def calm(self, warm: int) -> None:
        """Wait until there are so many warm pods and no others."""
        wanted = {f'{{agent="stub",state="{state}"}} 0.0' for state in ("starting", "claimed")}
        wanted |= {'{agent="stub",state="draining"} 0.0', f'state="warm"}} {float(warm)}'}
        url, text = f"{self.plane.url}/metrics", ""
        async with asyncio.timeout(WAIT_S):
            while not all(line in text for line in wanted):
                async with self.http.get(url, headers=self.plane.private) as answer:
                    text = await answer.text()
                await asyncio.sleep(CALM_S)


def poster(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str], status: int = 200
) -> Post:
    """A POST of a short body that must be answered with this status."""

    async def post() -> None:
        async with http.post(url, data=BODY, headers=headers) as answer:
            await answer.read()
        if answer.status != status:
            raise AssertionError(f"{url}: {answer.status} instead of {status}")

    return post


async def at_rate(post: Post, seconds: float) -> list[float]:
    """Milliseconds of each of 200 requests a second, from when it was due to its answer."""
    began_s = time.perf_counter() + CALM_S

    async def one(due_s: float) -> float:
        await asyncio.sleep(due_s - time.perf_counter())
        await post()
        return (time.perf_counter() - due_s) * 1000

    due = [began_s + number / RATE_PER_S for number in range(int(seconds * RATE_PER_S))]
    return list(await asyncio.gather(*(one(due_s) for due_s in due)))


async def in_turns(posts: dict[str, Post], seconds: float) -> dict[str, Times]:
    """Requests of several kinds, in turns, for so many seconds each."""
    times_ms: dict[str, list[float]] = {name: [] for name in posts}
    for post in posts.values():
        await at_rate(post, 0.5)
    for _ in tqdm(range(TURNS), desc="at 200/s", unit="turn", disable=None):
        for name, post in posts.items():
            times_ms[name] += await at_rate(post, seconds / TURNS)
    return {name: Times.of(times) for name, times in times_ms.items()}


@contextlib.contextmanager
def bare_server() -> Iterator[str]:
    """The yardstick's server; gives its address."""
    process = subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.terminate()
        process.wait()


async def measured(plane: ControlPlane, starts: int, seconds: float, bare_url: str) -> list[Figure]:
    """All figures."""
    started_ms: list[float] = []
    own_ms: list[float] = []
    async with aiohttp.ClientSession() as http:
        client, public = Client(plane, http), {**HEADERS, **plane.public}
        process = psutil.Process(plane.pid)
        memory = {"without sessions": process.memory_info().rss / MEBI}
        async with own_pods("stub", STUB, WARM) as own:
            for _ in tqdm(range(FIRST + starts), desc="starts", disable=None):
                own_ms.append(await own.take_session())
                await client.calm(WARM)
                session_id, took_ms = await client.start()
                started_ms.append(took_ms)
                await client.stop(session_id)
        session_id, _ = await client.start()
        record = next(iter((plane.run / "pods").glob("*/claim")))
        async with unix_client(str(record.with_name("sock"))) as pod:
            times = await in_turns(
                {
                    "bare": poster(http, bare_url, HEADERS),
                    "direct": poster(pod, "http://localhost/echo", HEADERS),
                    "proxy": poster(http, f"{client.public}/sessions/{session_id}/echo", public),
                },
                seconds,
            )
        await asyncio.to_thread(plane.deploy, "stub", 0, SESSIONS)
        for _ in tqdm(range(SESSIONS - 1), desc="sessions", disable=None):
            await client.start()
        await asyncio.sleep(SETTLE_S)
        memory[f"{SESSIONS} sessions"] = process.memory_info().rss / MEBI
        full = poster(http, f"{client.public}/start", public, 429)
        refused = Times.of(await at_rate(full, seconds / 2))
    cold = {}
    for agent, folder in (("stub", STUB), ("the bundle's", REPOSITORY)):
        async with own_pods(agent.split()[-1], folder, 0) as own:
            cold[agent] = Times.of(await own.cold_starts(COLD))
    bare, started, took = times["bare"], Times.of(started_ms[FIRST:]), Times.of(own_ms[FIRST:])
    return [
        bare.figure("bare POST", bare),
        started.figure("start of a warm pod, as its client waits", bare),
        took.figure("of that the pod's own work", bare),
        started.less(took).figure("start above the pod's own work", bare, p50=10.0, p99=30.0),
        *(each.figure(f"cold by fork, {a} bot", bare, p50=150.0) for a, each in cold.items()),
        refused.figure("refused with 429", bare, p99=5.0),
        times["direct"].figure("POST straight to the pod", bare),
        times["proxy"].figure("POST through the proxy", bare),
        times["proxy"].less(times["direct"]).figure("the proxy adds", bare, p50=1.5, p99=5.0),
        Figure("resident memory of the control plane", memory, "MiB"),
    ]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.control_plane",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="warm starts (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="of requests of each kind (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with bare_server() as url, running_plane({"stub": STUB}) as plane:
        plane.deploy("stub", WARM, MOST)
        # The control plane is measured, not what the client has to collect.
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(measured(plane, options.starts, options.seconds, url))
    raise SystemExit(0 if print_report("The control plane", figures, options.json) else 1)


if __name__ == "__main__":
    main()
