"""Sessions from start to end: a pod for each, what becomes of it, and what is told of it."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
from loguru import logger

from runtime import records
from runtime.agents import Agent, Agents
from runtime.errors import Refused
from runtime.live import MAX_REPLY_BYTES, Live, StartRequest, Verdict, told_error
from runtime.local_pods import LocalPods
from runtime.meter import Meter
from runtime.pods import UNJOINED, NoCapacity, Pod, PodEvent, Unavailable
from runtime.records import Records
from runtime.rooms import DailyRooms, Room
from runtime.sessions import FAILURES, EndState, Session, Transport
from runtime.store import Change, Store, StoreTrouble
from runtime.tasks import Tasks
from runtime.webhooks import Kind, Webhooks

START_TIMEOUT_S = 60.0
"""From the claim of a pod to its being ready."""
TAKE_TIMEOUT_S = 10.0
"""For a pod to take its session."""
GRACE_S = 10.0
"""For a pod to end its session when it is asked to."""
PATIENCE_S = 5.0
"""For a pod to end by itself after its session."""
OVERTIME_S = 15.0
"""After its limit a session is ended from here; its pod should have."""
SAMPLE_EVERY_S = 5.0
SAMPLES_KEPT_S = 7 * 86_400.0
FORGET_EVERY_S = 3600.0
MAX_EARLY = 10_000
FULL_RETRY_S = 5.0
USED = "The token has been used; start a new session."


class Sessions:
    """All sessions of this control plane."""

    def __init__(self, store: Store, agents: Agents, webhooks: Webhooks, rooms: DailyRooms) -> None:
        self.records = Records(store)
        self._store = store
        self._agents = agents
        self._webhooks = webhooks
        self._rooms = rooms
        self._live: dict[str, Live] = {}
        self._claiming: set[str] = set()
        self._meter = Meter()
        self._tasks = Tasks()
        self._ending = Tasks()
        self._adopted = asyncio.Event()
        self._early: list[tuple[str, str]] = []
        """What pods told before it was known what runs."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take over what runs, and look after sessions within this context."""
        await self._agents.start(self._watch_pods)
        await self._adopt()
        self._adopted.set()
        for session_id, event in self._early:
            self.on_event(session_id, event)
        self._early.clear()
        self._tasks.spawn(self._sample())
        try:
            yield
        finally:
            await self._ending.settle(FULL_RETRY_S)
            await self._ending.cancel()
            await self._tasks.cancel()
            for live in self._live.values():
                await live.close()

    @property
    def live(self) -> list[Live]:
        """The sessions that run, the oldest first."""
        return sorted(self._live.values(), key=lambda each: each.session.created_s)

    def find(self, session_id: str) -> Live | None:
        """A session that runs."""
        return self._live.get(session_id)

    async def get(self, agent: str, session_id: str) -> Live:
        """A session of an agent that runs.

        Raises:
            Refused: it has ended (410), or there never was one (404).
        """
        live = self._live.get(session_id)
        if live is not None and live.session.agent == agent:
            return live
        session = await self.records.session(session_id)
        if session is None or session.agent != agent:
            raise Refused(404, f"{agent} has no session of this id.", "404")
        if session.ended_s is None:
            raise Refused(503, "The session is about to end.", "SESSION_ENDING", 1)
        ended_s = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.ended_s))
        raise Refused(410, f"The session ended at {ended_s}: {session.reason}.", "SESSION_ENDED")

    # --- starting ----------------------------------------------------------------------------

    async def start(self, agent: Agent, request: StartRequest) -> Live:
        """Start a session over WebRTC or in a Daily room; the pod has taken it on return.

        Raises:
            Refused: there is no room, or it failed; nothing is left of it then.
        """
        live = await self._claim(agent, str(uuid.uuid4()), request.transport, request)
        headers = {
            "content-type": "application/json",
            "x-daily-session-id": live.session.id,
            "x-pcc-max-session-seconds": f"{live.session.limit_s:g}",
        }
        if live.room is not None:
            headers["x-daily-room-url"] = live.room.url
            headers["x-daily-room-token"] = live.room.bot_token
        else:
            headers["x-daily-transport-type"] = "webrtc"
        content = request.body
        if request.flow_config is not None:
            headers["x-pcc-start-envelope"] = "1"
            flow_config = json.dumps(request.flow_config).encode()
            content = b'{"body": ' + content + b', "flow_config": ' + flow_config + b"}"
        live.conversation = self._tasks.spawn(self._converse(live, headers, content))
        await self._taken(live)
        return live

    async def claim_once(self, agent: Agent, session_id: str, transport: Transport) -> Live:
        """A pod for a session whose id a client brings, who may bring it more than once.

        Raises:
            Refused: there is none to be had, or the session's id has been used before.
        """
        if session_id in self._claiming:
            raise Refused(401, USED)
        self._claiming.add(session_id)
        try:
            if await self.records.session(session_id) is not None:
                raise Refused(401, USED)
            return await self._claim(agent, session_id, transport)
        finally:
            self._claiming.discard(session_id)

    async def _claim(
        self,
        agent: Agent,
        session_id: str,
        transport: Transport,
        request: StartRequest | None = None,
    ) -> Live:
        """A pod for a new session, which is recorded once there is one.

        Raises:
            Refused: there is none to be had.
        """
        if not agent.ready:
            raise Refused(
                400,
                f"The agent {agent.name} is not ready: "
                + ("its deployment failed." if agent.error else "it is being deployed."),
                "PCC-1001",
            )
        backend = self._agents.backend(agent.name)
        created_s = time.time()
        loop = asyncio.get_running_loop()
        try:
            pod = await backend.claim(session_id, loop.time() + START_TIMEOUT_S)
        except NoCapacity as error:
            raise Refused(429, str(error), "PCC-AGENT-AT-CAPACITY", error.retry_after_s) from None
        except Unavailable as error:
            # Whoever holds a public key is not told what a bot has said as it failed.
            logger.error("{}: no pod for a session: {}", agent.name, error)
            text = f"No pod of {agent.name} could be had; the control plane's log says why."
            raise Refused(503, text, "PCC-1001", error.retry_after_s) from None
        room = None
        try:
            if request is not None and transport == "daily":
                room = await self._rooms.create(
                    agent.settings.max_session_s, request.room, request.token
                )
            session = Session(
                session_id,
                agent.name,
                agent.id,
                pod.deployment_id,
                pod.id,
                transport,
                pod.cold,
                float(agent.settings.max_session_s),
                created_s,
                time.time(),
                room=None if room is None else room.name,
            )
            await self._store.write(
                records.insert(session), *self._webhooks.message("session.created", session)
            )
        except BaseException:
            self._tasks.spawn(self._undo(backend, pod, room))
            raise
        live = self._live[session_id] = Live(session, pod)
        live.room = room
        self._limit(live)
        if pod.id not in {each.id for each in (await backend.list()).pods}:
            # It ended before anybody would have known whose it was.
            reason = "the pod ended before its session began"
            await self._end(live, PodEvent("gone", pod, reason, failed=True), time.time())
        return live

    async def _undo(self, backend: LocalPods, pod: Pod, room: Room | None) -> None:
        if room is not None:
            await self._rooms.delete(room.name)
        await backend.release(pod.id, 0.0)

    async def _taken(self, live: Live) -> None:
        """Wait until the pod has taken a session, and that has been written down.

        Raises:
            Refused: it will not, or does not in time; the session has been ended.
        """
        started = asyncio.create_task(live.started.wait())
        over = asyncio.create_task(live.over.wait())
        try:
            await asyncio.wait(
                {started, over}, timeout=TAKE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            started.cancel()
            over.cancel()
        if not live.started.is_set():
            live.judge(Verdict("agent_start_timeout", None, "the pod did not take the session"))
            await self._release(live, 0.0)
            reason = live.verdict.reason if live.verdict else "the pod ended"
            status = 400 if 400 <= live.answered < 500 else 502
            raise Refused(status, f"The session could not be started: {reason}")
        if live.saving is not None:
            # A control plane that comes after must know what the client is about to be told.
            await asyncio.wait({live.saving}, timeout=TAKE_TIMEOUT_S)

    async def _converse(self, live: Live, headers: dict[str, str], content: bytes) -> None:
        """The request that lasts as long as the session; its connection's end is not its end."""
        try:
            async with live.client.post(
                "http://localhost/bot", data=content, headers=headers
            ) as response:
                text = await response.content.read(MAX_REPLY_BYTES)
        except (aiohttp.ClientError, OSError) as error:
            logger.info("{}: the pod's connection ended ({})", live.session.id, error)
            return
        live.answered = response.status
        if response.status == 200:
            live.judge(Verdict("completed", "HTTP_COMPLETED", "the bot ended the session"))
        else:
            told = told_error(text)
            unheard = live.session.transport == "webrtc" and not live.offered
            state: EndState = "agent_start_timeout" if unheard else "agent_error"
            live.judge(Verdict(state, "HTTP_ERROR", told or f"the pod answered {response.status}"))
        self._tasks.spawn(self._retire(live))

    # --- while it runs -----------------------------------------------------------------------

    def on_event(self, session_id: str, event: str) -> None:
        """A pod tells what happened to its session."""
        if not self._adopted.is_set() and len(self._early) < MAX_EARLY:
            self._early.append((session_id, event))
            return
        live = self._live.get(session_id)
        if live is None:
            return
        now_s, before = time.time(), live.session
        if event == "session_started":
            live.started.set()
            live.session = before.with_start(now_s)
            kind = self._webhooks.message("session.started", live.session)
        elif event == "session_first_frame":
            live.session = before.with_first_frame(now_s)
            kind = self._webhooks.message("session.first_frame", live.session)
        else:
            return
        if live.session is not before:
            live.saving = self._ending.spawn(self._save(live.session, kind))

    async def stop(self, live: Live, reason: str = "stopped by its operator") -> None:
        """End a session, and wait until it has ended."""
        live.judge(Verdict("terminated", None, reason))
        await self._release(live, GRACE_S)
        await live.over.wait()
        if live.saving is not None:
            await asyncio.wait({live.saving}, timeout=FULL_RETRY_S)

    async def stop_all(self, reason: str) -> None:
        """End every session."""
        await asyncio.gather(*(self.stop(live, reason) for live in self.live))

    async def finish(self, live: Live) -> None:
        """Have the pod of a session that is over end; how it did is told by its verdict, or it."""
        self._tasks.spawn(self._retire(live))

    def _limit(self, live: Live) -> None:
        left_s = live.session.created_s + live.session.limit_s - time.time()
        live.limit = asyncio.get_running_loop().call_later(
            max(0.0, left_s + OVERTIME_S), self._overdue, live
        )

    def _overdue(self, live: Live) -> None:
        live.judge(Verdict("completed", None, "it has lasted as long as it may"))
        self._tasks.spawn(self._release(live, GRACE_S))

    async def _release(self, live: Live, grace_s: float) -> None:
        await self._agents.backend(live.session.agent).release(live.pod.id, grace_s)

    async def _retire(self, live: Live) -> None:
        """See to it that the pod of a session that is over ends, as it should by itself."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await live.over.wait()
            return
        await self._release(live, GRACE_S)

    async def _save(self, session: Session, more: list[Change]) -> None:
        """Record a change of a running session, when there is room for it."""
        while True:
            try:
                await self._store.write(*more, records.update(session))
                return
            except StoreTrouble:
                await asyncio.sleep(FULL_RETRY_S)

    async def _sample(self) -> None:
        """Measure what pods use, every few seconds."""
        forgotten_s = 0.0
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            lives = [live for live in self.live if live.pod.process_id]
            pods = {live.session.id: live.pod.process_id or 0 for live in lives}
            reading = await asyncio.to_thread(self._meter.read, pods)
            for live in lives:
                if live.session.id in reading.alive:
                    live.session = live.session.with_life(reading.at_s)
            with contextlib.suppress(StoreTrouble):
                await self.records.add_reading(reading)
                if reading.at_s - forgotten_s > FORGET_EVERY_S:
                    await self.records.forget_samples(reading.at_s - SAMPLES_KEPT_S)
                    forgotten_s = reading.at_s

    # --- ending ------------------------------------------------------------------------------

    def _watch_pods(self, agent: str, backend: LocalPods) -> None:
        self._tasks.spawn(self._watch(agent, backend))

    async def _watch(self, agent: str, backend: LocalPods) -> None:
        """End sessions whose pods are gone; what happened before they were known comes first."""
        await self._adopted.wait()
        async for event in backend.watch("0"):
            if event.kind == "gone" and event.pod is not None:
                self._tasks.spawn(self._gone(event.pod, event))
            elif event.kind == "resync":
                snapshot = await backend.list()
                there = {pod.session_id for pod in snapshot.pods}
                for live in self.live:
                    if live.session.agent == agent and live.session.id not in there:
                        self._tasks.spawn(self._gone(live.pod, event))

    async def _gone(self, pod: Pod, event: PodEvent) -> None:
        ended_s = event.at_s or time.time()
        live = self._live.get(pod.session_id or "")
        if live is None or live.pod.id != pod.id:
            return
        if live.conversation is not None:
            # The answer of a pod that ended in good order may not have been read yet.
            await asyncio.wait({live.conversation}, timeout=1.0)
        if not live.over.is_set():
            await self._end(live, event, ended_s)

    async def _end(self, live: Live, event: PodEvent, ended_s: float) -> None:
        if event.failed:
            live.judge(Verdict(_failed_state(event), None, event.reason))
        elif event.reason == "ended by itself":
            live.judge(Verdict("completed", None, event.reason))
        else:
            live.judge(Verdict("unknown", None, event.reason))
        assert live.verdict is not None
        verdict = live.verdict
        live.session = live.session.with_end(
            ended_s, verdict.end_state, verdict.completion, verdict.reason
        )
        self._live.pop(live.session.id, None)
        live.saving = self._ending.spawn(self._record_end(live.session))
        live.over.set()
        await live.close()
        if live.session.room is not None:
            self._ending.spawn(self._rooms.delete(live.session.room))
        logger.info("{}: session ended: {}", live.session.id, verdict.reason)

    async def _record_end(self, session: Session) -> None:
        failed = session.end_state in FAILURES
        kind: Kind = "session.failed" if failed else "session.ended"
        while True:
            try:
                # A session that has an end in the store keeps it, and nothing is told twice.
                if not (await self._has_end(session.id)):
                    await self._store.write(
                        *self._webhooks.message(kind, session), records.update(session)
                    )
                return
            except StoreTrouble:
                await asyncio.sleep(FULL_RETRY_S)

    async def _has_end(self, session_id: str) -> bool:
        recorded = await self.records.session(session_id)
        return recorded is None or recorded.ended

    # --- after a restart ---------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Go on with the sessions whose pods live; end, in the books, those whose pods do not."""
        claimed: dict[str, tuple[str, Pod]] = {}
        gone: dict[str | None, PodEvent] = {}
        for name, backend in self._agents.backends.items():
            snapshot = await backend.list()
            gone |= {event.pod.session_id: event for event in snapshot.gone if event.pod}
            for pod in snapshot.pods:
                if pod.session_id is not None:
                    claimed[pod.session_id] = (name, pod)
        for session in await self.records.unended():
            found = claimed.pop(session.id, None)
            if found is None:
                ended = _ended_unseen(session, gone.get(session.id))
                self._ending.spawn(self._record_end(ended))
                if ended.room is not None:
                    self._ending.spawn(self._rooms.delete(ended.room))
                continue
            live = self._live[session.id] = Live(session, found[1])
            self._limit(live)
            if session.started_s is None:
                # Its client was never answered.
                live.judge(Verdict("ended_before_agent_start", None, "its start was cut off"))
                self._tasks.spawn(self._release(live, 0.0))
            else:
                live.started.set()
                live.offered = True
        for session_id, (name, pod) in claimed.items():
            await self._adopt_orphan(session_id, name, pod)
        if self._live:
            logger.info("{} running sessions taken over", len(self._live))

    async def _adopt_orphan(self, session_id: str, name: str, pod: Pod) -> None:
        """A pod of a session that the store does not know: kept if it talks, else ended."""
        now_s = time.time()
        agent = self._agents.find(name)
        limit_s = float(agent.settings.max_session_s) if agent else 7200.0
        session = Session(
            *(session_id, name, agent.id if agent else "", pod.deployment_id, pod.id),
            *("webrtc", pod.cold, limit_s, now_s, now_s),
        )
        live = Live(session, pod)
        if not await live.holds_session():
            await live.close()
            self._tasks.spawn(self._agents.backend(name).release(pod.id, 0.0))
            return
        live.session = replace(session, started_s=now_s)
        live.started.set()
        live.offered = True
        self._live[session_id] = live
        self._limit(live)
        created = self._webhooks.message("session.created", live.session)
        more = [records.insert(live.session), *created]
        live.saving = self._ending.spawn(self._save(live.session, more))


def _failed_state(event: PodEvent) -> EndState:
    return "agent_start_timeout" if event.reason == UNJOINED else "agent_error"


def _ended_unseen(session: Session, event: PodEvent | None) -> Session:
    """A session whose pod ended while no control plane ran; event: what its parent has left."""
    if event is None or event.at_s is None:
        reason = "its pod ended while no control plane ran"
        return session.with_end(session.alive_s, "unknown", None, reason)
    state = _failed_state(event) if event.failed else "completed"
    return session.with_end(event.at_s, state, None, event.reason)
