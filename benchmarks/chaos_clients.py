"""Clients of a control plane in chaos: each starts a session, uses it, ends it in one way or
another, and holds what it is answered against what it knows.
"""

import asyncio
import contextlib
import random
import time
from typing import Any

import aiohttp
import psutil

from benchmarks.chaos_world import AGENT, Cut, Known, World
from benchmarks.planes import SERVICES

OFFER_TIMEOUT_S = 6.0
"""How long a session over WebRTC lasts where no browser ever comes."""
END_WITHIN_S = 20.0
"""From what ends a session to its end in the operator's API."""
SURELY_S = 1.0
"""How long before its own end a session is surely still there."""
MAX_ECHO_BYTES = 20_000
ENDS = {
    "daily": {
        "return": 4,
        "raise": 2,
        "exit": 1,
        "cling": 1,
        "stop": 4,
        "stop twice": 2,
        "kill": 4,
    },
    "webrtc": {"stop": 2, "stop twice": 1, "kill": 2, "no offer": 1},
    "websocket": {"return": 2, "raise": 2, "leave": 3, "abort": 1, "stop": 2, "kill": 2},
}
"""How sessions end, by transport, and how often."""
FITS = {
    "return": {"completed"},
    "leave": {"completed"},
    "abort": {"completed"},
    "raise": {"agent_error"},
    "exit": {"agent_error"},
    "kill": {"agent_error"},
    "cling": {"terminated"},
    "stop": {"terminated"},
    "stop twice": {"terminated"},
    "no offer": {"agent_start_timeout"},
}
"""The end state of a session that nothing else has disturbed."""

DEAD, DEAD_LOOK_S = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD), 0.002


class Client:
    """One session's client; its numbers are its own, whatever others do."""

    def __init__(self, world: World, number: int, actions: int, lasts_s: float) -> None:
        self._world = world
        self._actions = actions
        self._chance = random.Random(f"{world.seed} session {number}")
        self._transport = self._chance.choices(("daily", "webrtc", "websocket"), (5, 2, 3))[0]
        ends = ENDS[self._transport]
        self._how = self._chance.choices(list(ends), list(ends.values()))[0]
        self._lasts_s = self._chance.uniform(0.5, 2.0) * lasts_s
        if self._how != "return":
            # Ended by its client, long before.
            self._lasts_s = 3600.0
        self._pause_s = lasts_s / max(1, actions)

    @classmethod
    def lasting(cls, world: World, number: int) -> "Client":
        """A client whose session nobody ends but the control plane."""
        client = cls(world, -1 - number, 1, 1.0)
        client._transport, client._how, client._lasts_s = "daily", "stop", 3600.0
        return client

    async def begin(self) -> None:
        """Start the session, and leave it."""
        await self._start()

    async def run(self) -> None:
        """The session from start to end."""
        if self._transport == "websocket":
            with contextlib.suppress(Cut):
                await self._over_websocket()
            return
        known = await self._start()
        await self._use(known)
        await self._end(known)
        await self._ended(known)

    @property
    def _body(self) -> dict[str, Any]:
        how = self._how if self._how in ("return", "raise", "exit", "cling") else "return"
        return {"lasts_s": self._lasts_s, "end": how}

    async def _start(self) -> Known:
        """Start a session, however often that takes."""
        world = self._world
        while True:
            sent_s, known = time.time(), None
            with contextlib.suppress(Cut):
                async with world.step("start"):
                    reply = await self._ask_for_one()
                    if reply is not None:
                        known = self._tell(reply["sessionId"], sent_s)
            if known is not None:
                return known
            await asyncio.sleep(self._chance.uniform(0.05, 0.5))

    async def _ask_for_one(self) -> dict[str, Any] | None:
        world = self._world
        wanted = {"transport": self._transport, "body": self._body}
        async with world.http.post(
            f"/v1/public/{AGENT}/start", json=wanted, headers=world.plane.public
        ) as answer:
            world.answers[f"{answer.status}"] += 1
            if answer.status == 200:
                return dict(await answer.json())
            text = await answer.text()
            # At capacity; a room that Daily refuses; a pod that was killed before it was claimed.
            if answer.status not in (429, 502, 503):
                world.wrong(f"start: {answer.status} {text}")
        return None

    def _tell(self, session_id: str, sent_s: float) -> Known:
        lasts_s = self._lasts_s if self._transport != "webrtc" else OFFER_TIMEOUT_S
        known = Known(
            session_id,
            self._transport,
            self._how,
            time.time(),
            sent_s + lasts_s - SURELY_S,
            self._world.epoch,
        )
        if session_id in self._world.known:
            self._world.wrong(f"{session_id} was given to two clients")
        self._world.known[session_id] = known
        return known

    # --- using it ----------------------------------------------------------------------------

    async def _use(self, known: Known) -> None:
        for _ in range(self._actions):
            await asyncio.sleep(self._chance.expovariate(1 / self._pause_s))
            action = self._chance.choice(
                (self._who, self._who, self._echo, self._leave_early, self._forbidden, self._look)
            )
            with contextlib.suppress(Cut):
                await action(known)

    async def _who(self, known: Known) -> None:
        async with self._world.step("who"):
            whole = await self._world.whole(known)
            if not whole and known.surely_lives:
                self._world.wrong(f"{known.id} ({known.transport}) is not in its pod any more")

    async def _echo(self, known: Known) -> None:
        content = self._chance.randbytes(self._chance.randrange(MAX_ECHO_BYTES))
        world = self._world
        async with (
            world.step("echo"),
            world.http.post(
                world.of_session(known, "echo"), data=content, headers=world.plane.public
            ) as answer,
        ):
            same = await answer.read() == content
            if answer.status == 200 and not same:
                world.wrong(f"{known.id}: a body came back changed")
            if answer.status != 200 and known.surely_lives:
                world.wrong(f"{known.id}: echo: {answer.status} {(await answer.read())[:200]!r}")

    async def _leave_early(self, known: Known) -> None:
        """Ask for an answer that takes a second, and leave before it comes."""
        world = self._world
        path = world.of_session(known, "slow?seconds=1")
        async with world.step("leave early"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(0.0, 0.3)):
                    async with world.http.get(path, headers=world.plane.public) as answer:
                        await answer.read()

    async def _forbidden(self, known: Known) -> None:
        world = self._world
        async with (
            world.step("forbidden"),
            world.http.post(
                world.of_session(known, "bot"), json={}, headers=world.plane.public
            ) as answer,
        ):
            if answer.status != 403:
                world.wrong(f"{known.id}: POST bot: {answer.status}")

    async def _look(self, known: Known) -> None:
        async with self._world.step("look"):
            surely = known.surely_lives
            record = await self._world.recorded(known)
            if surely and known.surely_lives and record["endState"] != "active":
                self._world.wrong(
                    f"{known.id} ({known.transport}) has ended: {record['endReason']}"
                )

    # --- ending it ---------------------------------------------------------------------------

    async def _end(self, known: Known) -> None:
        """Do what ends it, until that has been heard."""
        while True:
            if known.how not in ("return", "no offer"):
                known.doom()
            try:
                async with self._world.step(f"end: {known.how}"):
                    await self._do_end(known)
                return
            except Cut:
                known.cut = True

    async def _do_end(self, known: Known) -> None:
        world = self._world
        match known.how:
            case "raise" | "exit":
                await self._tell_bot(known, known.how)
            case "stop" | "cling":
                await self._stop(known)
            case "stop twice":
                await asyncio.gather(self._stop(known), self._stop(known))
            case "kill":
                await self._kill(known)
            case "return" if not known.surely_lives or self._chance.random() < 0.5:
                # By itself, or when it is told to.
                known.doomed = True
                await self._tell_bot(known, "return")
            case _:
                if not await world.whole(known) and known.surely_lives:
                    world.wrong(f"{known.id} ({known.transport}) is not in its pod any more")

    async def _tell_bot(self, known: Known, how: str) -> None:
        async with self._world.http.post(
            self._world.of_session(known, "end"),
            json={"how": how},
            headers=self._world.plane.public,
        ) as answer:
            await answer.read()

    async def _stop(self, known: Known) -> None:
        world = self._world
        async with world.http.delete(
            f"{SERVICES}/{AGENT}/sessions/{known.id}", headers=world.plane.private
        ) as answer:
            if answer.status not in (200, 400):
                world.wrong(f"{known.id}: stop: {answer.status} {await answer.text()}")

    async def _kill(self, known: Known) -> None:
        if not known.pid and not await self._world.whole(known):
            return
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(known.pid)
            process.kill()
            try:
                # One that has used up its share of CPU dies when its turn comes.
                while process.status() not in DEAD:  # noqa: ASYNC110
                    await asyncio.sleep(DEAD_LOOK_S)
            finally:
                known.killed_s = time.time()

    async def _ended(self, known: Known) -> None:
        """See that it ends, and how."""
        world = self._world
        waits_s = END_WITHIN_S
        if known.how in ("return", "no offer"):
            waits_s += max(0.0, known.surely_until_s + SURELY_S - time.time())
        since_s, epoch, record = time.time(), world.epoch, {"endState": "active"}
        while record["endState"] == "active":
            with contextlib.suppress(Cut):
                async with world.step("ended?"):
                    record = await world.recorded(known)
            if epoch != world.epoch:
                # A new control plane has as long as the first.
                since_s, epoch, known.cut = time.time(), world.epoch, True
            if record["endState"] == "active" and time.time() > since_s + waits_s:
                world.wrong(f"{known.id} ({known.transport}, {known.how}) does not end")
                return
            await asyncio.sleep(self._chance.uniform(0.1, 0.4))
        known.doomed = True
        if known.how in ("return", "no offer") and known.epoch != world.epoch:
            known.cut = True
        if known.in_time and not known.cut and record["endState"] not in FITS[known.how]:
            how = f"{record['endState']}, {record['endReason']}"
            world.wrong(f"{known.id} ({known.transport}, {known.how}) ended as {how}")

    # --- over a WebSocket --------------------------------------------------------------------

    async def _over_websocket(self) -> None:
        """The same, in a socket that ends with the control plane."""
        world = self._world
        reply = None
        while reply is None:
            with contextlib.suppress(Cut):
                async with world.step("ticket"):
                    reply = await self._ask_for_one()
            if reply is None:
                await asyncio.sleep(self._chance.uniform(0.05, 0.5))
        headers = {"authorization": f"Bearer {reply['token']}"}
        address = f"{reply['wsUrl']}?body={reply['body']}"
        known, own = None, aiohttp.ClientSession()
        try:
            async with world.step("connect"):
                sent_s = time.time()
                try:
                    socket = await own.ws_connect(address, headers=headers)
                except aiohttp.WSServerHandshakeError as error:
                    world.answers[f"socket {error.status}"] += 1
                    if error.status not in (429, 502, 503):
                        world.wrong(f"connect: {error.status}")
                    return
            async with socket:
                known = self._tell(reply["sessionId"], sent_s)
                await self._talk(known, socket, address, headers)
                await self._end_socket(known, socket, own)
        except Cut:
            if known is None:
                # It may have been taken, or not.
                return
            known.cut = known.doomed = True
        finally:
            await own.close()
        if known is not None:
            await self._ended(known)

    async def _talk(
        self,
        known: Known,
        socket: aiohttp.ClientWebSocketResponse,
        address: str,
        headers: dict[str, str],
    ) -> None:
        world = self._world
        for number in range(self._actions):
            await asyncio.sleep(self._chance.expovariate(1 / self._pause_s))
            if self._chance.random() < 0.15:
                await self._replay(known, address, headers)
                continue
            async with world.step("say", known.epoch):
                if not known.pid:
                    await world.whole(known)
                text = f"{known.id} {number}"
                heard: Any = None
                with contextlib.suppress(ConnectionError, TypeError, ValueError):
                    await socket.send_str(text)
                    heard = await socket.receive_str(timeout=10)
                if heard != text:
                    if known.surely_lives:
                        # Ended with the control plane, perhaps, which this side sees first.
                        await asyncio.sleep(0.5)
                    if known.surely_lives and world.up.is_set():
                        world.wrong(f"{known.id}: the socket said {heard!r} for {text!r}")
                    return

    async def _replay(self, known: Known, address: str, headers: dict[str, str]) -> None:
        """Come with the same ticket once more."""
        async with self._world.step("ticket again"):
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                async with await self._world.http.ws_connect(address, headers=headers):
                    self._world.wrong(f"{known.id}: its ticket was good for a second socket")

    async def _end_socket(
        self,
        known: Known,
        socket: aiohttp.ClientWebSocketResponse,
        own: aiohttp.ClientSession,
    ) -> None:
        if known.how != "return":
            known.doom()
        async with self._world.step(f"end: {known.how}", known.epoch):
            match known.how:
                case "leave":
                    await socket.close()
                case "abort":
                    # No word of goodbye.
                    await own.close()
                case "raise":
                    with contextlib.suppress(ConnectionError):
                        await socket.send_str(f"end {known.how}")
                case "return" if self._chance.random() < 0.5:
                    known.doomed = True
                    with contextlib.suppress(ConnectionError):
                        await socket.send_str("end return")
                case "return":
                    pass
                case "stop":
                    await self._stop(known)
                case "kill":
                    await self._kill(known)
        if known.how in ("return", "raise", "stop", "kill"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN_S + self._lasts_s):
                    async for _ in socket:
                        pass
