"""Our end of the speech process: starts it, keeps it running, asks it for speech."""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

PROCESS_PATH = Path(__file__).with_name("espeak_process.py")
START_TIMEOUT_S = 5.0
RESTART_DELAY_S = 0.5
"""Wait before starting a process again that left before it was ready."""
QUEUED_CHUNKS = 32
"""Chunks held for a slow listener; then the process waits in its pipe."""


class EspeakError(Exception):
    """Speech could not be made; the message says why."""


class EspeakProcessLost(EspeakError):
    """The speech process died while it was speaking."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word begins.

    Attributes:
        sample: position from the start of the request.
        character: index into the text of the request.
    """

    sample: int
    character: int


@dataclass(frozen=True, slots=True)
class Phoneme:
    """A speech sound begins.

    Attributes:
        sample: position from the start of the request, or of the sound that carries it.
        ipa: the sound in IPA, with stress marks; "" is a pause.
    """

    sample: int
    ipa: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some sound and what begins in it.

    Attributes:
        pcm: 16-bit signed little-endian mono, at the client's `sample_rate`.
        start: position of the first sample from the start of the request.
        words: in order.
        phonemes: in order.
    """

    pcm: bytes
    start: int
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]


@dataclass(frozen=True, slots=True)
class _End:
    """The request is over; `error` says why if it failed."""

    error: EspeakError | None = None


class _Request:
    """A request under way and the answers nobody has taken yet."""

    def __init__(self, request_id: int) -> None:
        self.id = request_id
        self.answers: asyncio.Queue[Chunk | _End] = asyncio.Queue(QUEUED_CHUNKS)

    def end_now(self, error: EspeakError | None = None) -> None:
        """Drop what waits, and end the listener's loop."""
        while not self.answers.empty():
            self.answers.get_nowait()
        self.answers.put_nowait(_End(error))


class EspeakClient:
    """One speech process, started again whenever it dies.

    `run()` owns the process and must be running for the rest to work.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._fault = "it has not been started"
        self._last_id = 0
        self._current: _Request | None = None
        self.sample_rate = 0
        """Rate of the sound in Hz, known once the process is ready."""

    @property
    def pid(self) -> int | None:
        """Process id of the speech process, None while there is none."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep a speech process running until cancelled; then it is gone and reaped."""
        while True:
            was_ready = await self._run_process()
            _log.warning("speech process: %s; starting another", self._fault)
            if not was_ready:
                await asyncio.sleep(RESTART_DELAY_S)

    async def wait_ready(self) -> None:
        """Wait for the process to be ready.

        Raises:
            EspeakError: it is not, START_TIMEOUT_S later.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                # The process may have died again before a waiter wakes up.
                while not self._ready.is_set():
                    await self._ready.wait()
        except TimeoutError as error:
            raise EspeakError(f"the speech process does not start: {self._fault}") from error

    async def speak(
        self, text: str, *, voice: str, rate_wpm: int, pitch: int
    ) -> AsyncGenerator[Chunk, None]:
        """Speech for a text, as it is synthesised. A request still under way is stopped.

        Args:
            text: at most `espeak_process.MAX_TEXT_CHARS` characters.
            voice: an eSpeak NG voice, with or without a variant: "en-us+f2".
            rate_wpm: words per minute, 80 to 450.
            pitch: 0 to 100; 50 is the voice's own.

        Raises:
            EspeakError: the request was refused or the process does not start.
            EspeakProcessLost: the process died; what it had said is lost too.
        """
        await self.wait_ready()
        self.stop()
        self._last_id += 1
        request = self._current = _Request(self._last_id)
        self._send(
            {"id": request.id, "text": text, "voice": voice, "rate": rate_wpm, "pitch": pitch}
        )
        try:
            answer = await request.answers.get()
            while isinstance(answer, Chunk):
                yield answer
                answer = await request.answers.get()
            if answer.error:
                raise answer.error
        finally:
            if self._current is request:
                self.stop()

    def stop(self) -> None:
        """Give up the request under way, if any; none of its sound comes out any more."""
        if self._current:
            self._send({"stop": self._current.id})
            self._current.end_now()
            self._current = None

    def _send(self, request: dict[str, Any]) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _run_process(self) -> bool:
        """Run one process to its end.

        Returns:
            Whether it was ever ready.
        """
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(PROCESS_PATH),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._fault = "it says nothing"
        try:
            await self._read_answers(process)
        finally:
            was_ready = self._ready.is_set()
            self._ready.clear()
            self._process = None
            if self._current:
                self._current.end_now(EspeakProcessLost("the speech process died"))
                self._current = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # Not wait(), which hangs while unread answers keep the pipe from being closed.
            await process.communicate()
        if was_ready:
            self._fault = f"it left with status {process.returncode}"
        return was_ready

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        """Pass answers on until the process closes its output."""
        assert process.stdout
        while line := await process.stdout.readline():
            try:
                answer = json.loads(line)
                pcm = await process.stdout.readexactly(answer.get("bytes", 0))
            except (json.JSONDecodeError, asyncio.IncompleteReadError):
                return  # cut off in the middle: the process is gone
            if "ready" in answer:
                self.sample_rate = answer["sample_rate"]
                self._ready.set()
            elif "id" not in answer:
                self._fault = answer["error"]
            elif self._current and answer["id"] == self._current.id:
                await self._pass_on(self._current, answer, pcm)

    async def _pass_on(self, request: _Request, answer: dict[str, Any], pcm: bytes) -> None:
        if "error" in answer:
            await request.answers.put(_End(EspeakError(answer["error"])))
        elif "end" in answer:
            await request.answers.put(_End())
        else:
            chunk = Chunk(
                pcm,
                answer["start"],
                tuple(Word(sample, character) for sample, character, _ in answer["words"]),
                tuple(Phoneme(sample, ipa) for sample, ipa in answer["phonemes"]),
            )
            await request.answers.put(chunk)
