"""A thousand sessions while everything that can end ends at random: is any lost, kept, or paid for?

    python -m benchmarks.chaos
    python -m benchmarks.chaos --sessions 40 --steps 400 --seed 7

Runs `python -m runtime` with pods of a stub agent, and clients that start sessions over a Daily
room (a stand-in on loopback), over WebRTC and over WebSockets, use them and end them: by
themselves, by a bot that fails, by a stop, by SIGKILL to the pod. Meanwhile the control plane
itself gets SIGKILL and SIGTERM and is started again at once in the same folder, pods that nobody
has claimed are killed, the agent is deployed anew, and the webhook fails at random. What clients do
follows from the seed; how all that falls together does not. Each action and each check is a step.

Held against the process table, the pods' folders, the store, the webhooks and the pods' own notes:

    one session a pod    never two sessions in a pod, never two pods for a session
    capacity             never more claimed pods alive than the agent may have
    one end              each session that a client was told of ends once, in a state that fits
    nothing unearned     none is paid for %(late)g s after its pod was killed and dead,
                         or %(gone)g s after the pod's server had ended
    adoption             a control plane that comes back ends no session that lives
    webhooks             session.created and one final message for each session, signed
    nothing left         no process of the run 70 s after the control plane got SIGINT

Ends with 1 when any of these was violated; --folder keeps what is needed to see why.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.chaos_clients import OFFER_TIMEOUT_S, Client
from benchmarks.chaos_evidence import Book, Notes, living_pods, shared_pods
from benchmarks.chaos_outside import Outside
from benchmarks.chaos_world import AGENT, World
from benchmarks.planes import SERVICES, STUB, ControlPlane, PlaneFailed
from benchmarks.report import Figure, print_report

LATE_S = 0.5
"""How long after it was killed a pod may be taken to have lived."""
GONE_S = 2.0
"""Likewise after its last sign of life: its process goes on while it ends its threads."""
LEFT_AFTER_S = 70.0
"""A parent that nobody speaks to any more ends after a minute."""
DELIVERED_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2
STEPS_AN_END = 150
"""Between two ends of the control plane, on average."""
QUICK = 0.5
"""Share of its ends that come while many sessions are just being started."""
LASTS_S = 4.0
"""What sessions take their clients, about."""
FINAL_KINDS = ("session.ended", "session.failed")


class Chaos:
    """One run."""

    def __init__(self, world: World, outside: Outside, notes: Notes, limit: int) -> None:
        self.world = world
        self.outside = outside
        self.notes = notes
        self.limit = limit
        self.book = Book(world.plane.data)
        self.restarts_s: list[float] = []
        """From each end of the control plane to its adopting again."""
        self.ends: Counter[str] = Counter()
        self.adopted = 0
        self.most = 0
        """Claimed pods at once."""
        self._chance = random.Random(f"{world.seed} chaos")

    # --- while it runs -----------------------------------------------------------------------

    async def disturb(self) -> None:
        """End the control plane, warm pods and deployments, again and again."""
        world, steps = self.world, 0.0
        while True:
            steps = world.steps + self._chance.expovariate(1 / STEPS_AN_END)
            while world.steps < steps:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            what = self._chance.choices(("SIGKILL", "SIGTERM", "warm pod", "deploy"), (5, 3, 3, 1))
            self.ends[what[0]] += 1
            match what[0]:
                case "warm pod":
                    self._kill_warm_pod()
                case "deploy":
                    await asyncio.to_thread(self._deploy)
                case name:
                    await self.restart(signal.Signals[name])

    def _kill_warm_pod(self) -> None:
        import psutil

        self.world.note("kill a warm pod")
        free = [pod for pod in living_pods(self.world.plane.run) if pod.session_id is None]
        if free:
            with contextlib.suppress(psutil.Error):
                psutil.Process(self._chance.choice(free).pid).kill()

    def _deploy(self) -> None:
        self.world.note("deploy")
        try:
            self.world.plane.ask("PUT", SERVICES, {"serviceName": AGENT, "forceRedeploy": True})
        except (PlaneFailed, OSError) as error:
            self.world.violated(f"deploy: {error}")

    async def restart(self, number: signal.Signals) -> None:
        """End the control plane, start it again, and see whom it has adopted."""
        world, plane = self.world, self.world.plane
        if self._chance.random() < QUICK:
            # Into the middle of what begins.
            begun = world.counts["start"]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while world.counts["start"] < begun + 3:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            await asyncio.sleep(self._chance.uniform(0.0, 0.05))
        world.note(number.name)
        world.epoch += 1
        world.up.clear()
        living = [known for known in world.known.values() if known.surely_lives]
        ended_s = time.perf_counter()
        await asyncio.to_thread(plane.end, number)
        await asyncio.to_thread(plane.start)
        await asyncio.to_thread(plane.settle, AGENT)
        self.restarts_s.append(time.perf_counter() - ended_s)
        await world.reconnect()
        for known in living:
            # A socket ends with the process that held it.
            if known.surely_lives and known.transport != "websocket":
                world.note("adopted?")
                self.adopted += 1
                if not await world.whole(known):
                    world.violated(f"{known.id} ({known.transport}, {known.how}) was not adopted")
        world.up.set()

    async def watch(self) -> None:
        """Look at pods, all the time."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.world.note("look at pods")
            pods = await asyncio.to_thread(living_pods, self.world.plane.run)
            claimed = [pod for pod in pods if pod.session_id is not None]
            self.most = max(self.most, len(claimed))
            if len(claimed) > self.limit:
                self.world.violated(f"{len(claimed)} pods are claimed, of {self.limit}")
            for text in shared_pods(self.notes, {}, pods):
                self.world.violated(text)

    # --- at the end --------------------------------------------------------------------------

    async def wind_up(self) -> None:
        """End it with sessions still there, and see what is left, of processes and messages."""
        world, plane = self.world, self.world.plane
        await self._end_for_good()
        for row in self.book.sessions().values():
            world.note("ended?")
            if row.ended_s is None:
                world.violated(f"{row.id} ({row.transport}) has no end after SIGINT")
        # What was not delivered by then is, by the next one.
        await asyncio.to_thread(plane.start)
        deadline = time.monotonic() + DELIVERED_WITHIN_S
        while self.book.waiting() and time.monotonic() < deadline:
            world.note("delivered?")
            await asyncio.sleep(0.2)
        if waiting := self.book.waiting():
            world.violated(f"{waiting} messages are not delivered")
        await self._end_for_good()

    async def _end_for_good(self) -> None:
        plane, world = self.world.plane, self.world
        world.epoch += 1
        world.up.clear()
        status = await asyncio.to_thread(plane.end, signal.SIGINT)
        if status != 0:
            world.violated(f"the control plane ended with status {status}")
        deadline = time.monotonic() + LEFT_AFTER_S
        while (left := plane.descendants) and time.monotonic() < deadline:
            world.note("left?")
            await asyncio.sleep(0.2)
        for process in left:
            with contextlib.suppress(Exception):
                command = " ".join(process.cmdline()[1:4])
                world.violated(f"the process {process.pid} ({command}) is left")
        if left_folders := list((plane.run / "pods").glob("*")):
            world.violated(f"{len(left_folders)} pods' folders are left")

    def judge(self) -> list[float]:
        """Hold the books against what is known; gives how late ends were taken down, in seconds."""
        world, rows, late = self.world, self.book.sessions(), []
        for text in shared_pods(self.notes, rows, []):
            world.violated(text)
        for known in world.known.values():
            world.note("in the books?")
            row = rows.get(known.id)
            if row is None:
                world.violated(f"{known.id} ({known.transport}) is not in the store")
            elif row.ended_s is None or row.end_state is None or row.billable_s is None:
                world.violated(f"{known.id} ({known.transport}) has no end: {row}")
            elif abs(row.billable_s - (row.ended_s - row.created_s)) > 0.001:
                world.violated(f"{known.id}: billed {row.billable_s} s: {row}")
        for row in rows.values():
            world.note("paid for?")
            known = world.known.get(row.id)
            killed_s = known.killed_s if known else None
            proof_s = killed_s or self.notes.last_beat_s(row.pid)
            if proof_s is None or row.ended_s is None:
                continue
            if killed_s is not None:
                late.append(row.ended_s - proof_s)
            if row.ended_s > proof_s + (GONE_S if killed_s is None else LATE_S):
                after_s = row.ended_s - proof_s
                world.violated(f"{row.id} was paid for {after_s:.2f} s after its pod's end: {row}")
        self._judge_messages(set(rows))
        return late

    def _judge_messages(self, sessions: set[str]) -> None:
        world, rows = self.world, self.book.sessions()
        if self.outside.forged:
            world.violated(f"wrong signatures: {self.outside.forged[:3]}")
        told: dict[str, dict[str, set[str]]] = {}
        for message in self.outside.taken:
            told.setdefault(message.session_id, {}).setdefault(message.kind, set()).add(message.id)
            row = rows.get(message.session_id)
            if row is None:
                world.violated(f"told of {message.session_id}, which is not in the store")
            elif message.kind in FINAL_KINDS and message.end_state != row.end_state:
                world.violated(f"{row.id}: told {message.end_state}, stored {row.end_state}")
        for session_id in sessions:
            world.note("told of?")
            kinds = told.get(session_id, {})
            final = [each for kind in FINAL_KINDS for each in kinds.get(kind, ())]
            if len(final) != 1:
                world.violated(f"{session_id}: {len(final)} final messages")
            if len(kinds.get("session.created", ())) != 1:
                world.violated(f"{session_id}: not told of its creation once, but {kinds}")


async def run(
    folder: Path, sessions: int, steps: int, seed: int, at_once: int
) -> tuple[Chaos, list[float]]:
    """The whole run; gives it, and how late ends were taken down, in seconds."""
    outside, notes = Outside(seed), Notes(folder / "notes")
    progress = tqdm(total=steps, desc="steps", unit="step", disable=None)
    async with outside.serving():
        environment = {
            **outside.environment,
            "STUB_NOTES": str(notes.folder),
            "OFFER_TIMEOUT": f"{OFFER_TIMEOUT_S:g}",
        }
        plane = ControlPlane(folder, {AGENT: STUB}, environment)
        world = World(plane, seed, progress)
        chaos = Chaos(world, outside, notes, at_once)
        try:
            await asyncio.to_thread(plane.start)
            await asyncio.to_thread(plane.settle, AGENT)
            await asyncio.to_thread(plane.deploy, AGENT, min(3, at_once), at_once, "agent-1x")
            await world.reconnect()
            world.up.set()
            await _sessions(chaos, sessions, steps, at_once)
            await chaos.wind_up()
            late = chaos.judge()
        finally:
            progress.close()
            await world.disconnect()
            await asyncio.to_thread(plane.clean)
    return chaos, late


async def _sessions(chaos: Chaos, sessions: int, steps: int, at_once: int) -> None:
    """Clients until there were enough sessions and steps; some more are left at the end."""
    world, numbers = chaos.world, iter(range(10**9))
    actions = max(2, steps // sessions - 4)

    async def client() -> None:
        while len(world.known) < sessions or world.steps < steps:
            await Client(world, next(numbers), actions, LASTS_S).run()

    # A few more than there may be: some are told that there is no room.
    clients = [asyncio.create_task(client()) for _ in range(at_once + max(1, at_once // 10))]
    beside = [asyncio.create_task(chaos.disturb()), asyncio.create_task(chaos.watch())]
    try:
        working = asyncio.gather(*clients)
        await asyncio.wait({working, *beside}, return_when=asyncio.FIRST_COMPLETED)
        for task in beside:
            if task.done():
                task.result()
        await working
        await world.up.wait()
    finally:
        beside[0].cancel()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, beside[0], return_exceptions=True)
    lasting = [Client.lasting(world, number).begin() for number in range(max(2, at_once // 3))]
    await asyncio.gather(*lasting)
    beside[1].cancel()


def figures_of(chaos: Chaos, late: list[float]) -> list[Figure]:
    """The lines of the report."""
    world = chaos.world
    late_ms = np.array(late) * 1e3
    ends = {
        f"as {how}": count for how, count in Counter(k.how for k in world.known.values()).items()
    }
    return [
        Figure("violations", {"n": len(world.violations)}, "", {"n": 0}),
        Figure("steps", {"n": world.steps, **dict(world.counts.most_common())}),
        Figure("sessions told of", {"n": len(world.known), **ends}),
        Figure("answers to a start", dict(world.answers)),
        Figure("ended from outside", dict(chaos.ends)),
        Figure("claimed at once", {"most": chaos.most, "may be": chaos.limit}),
        Figure("found adopted", {"n": chaos.adopted}),
        Figure("until a new control plane serves", _spread(np.array(chaos.restarts_s)), "s"),
        Figure("a killed pod's end, taken down late", _spread(late_ms), "ms"),
        Figure("webhook", {"taken": len(chaos.outside.taken)}),
        Figure("Daily rooms", {"made": chaos.outside.made, "left": len(chaos.outside.rooms)}),
    ]


def _spread(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"n": 0}
    return {
        "median": float(np.median(values)),
        "p99": float(np.quantile(values, 0.99)),
        "max": float(values.max()),
        "n": len(values),
    }


def main() -> int:
    """Run from the command line; 1 if anything was violated."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "") % {"late": LATE_S, "gone": GONE_S},
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=1000, help="how many, at least (1000)")
    parser.add_argument("--steps", type=int, default=10_000, help="how many, at least (10000)")
    parser.add_argument("--at-once", type=int, default=50, help="sessions at once (50)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="an empty folder for logs, store and notes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if min(options.sessions, options.steps) < 1 or not 2 <= options.at_once <= 100:
        parser.error("--sessions and --steps must be 1 or more, --at-once from 2 to 100")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        if any(options.folder.iterdir()):
            parser.error(f"--folder: {options.folder} is not empty")
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        )
        chaos, late = asyncio.run(
            run(folder.absolute(), options.sessions, options.steps, options.seed, options.at_once)
        )
    for text in chaos.world.violations:
        print(text, file=sys.stderr)
    title = f"{len(chaos.world.known)} sessions in chaos, seed {options.seed}"
    return 0 if print_report(title, figures_of(chaos, late), options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
