"""A WebRTC sound track of our own: packets on time, no silence in the middle of speech."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from av import AudioFrame

from avatar.departures import Departures

PACKET_S = 0.02
"""Length of an Opus packet: one frame, one call of the encoder."""

AHEAD_S = 0.1
"""Sound taken in advance: the process may stand still for so long, as one under a CPU quota does,
and the packets that are then late follow each other without a hole."""

PATIENCE_S = 0.04
"""How long a packet in mid-speech waits for sound that is not there yet, before it is silence."""

STANDSTILL_S = 1.0
"""Time lost beyond this is not made up for by sending packets faster."""

_FADE_S = 0.005
"""What is left of speech that is interrupted: cut at once, it would click."""


_EXPECTED = 64
"""Pieces of speech whose leaving is watched: two seconds of them."""


@dataclass(slots=True)
class _Piece:
    pcm: bytearray
    interruptible: bool


@dataclass(frozen=True, slots=True)
class _Expected:
    position: int
    shown_s: float
    duration_s: float


class SoundTrack(AudioStreamTrack):
    """Plays s16 mono sound at its own pace, and silence between.

    Pipecat's own track holds one chunk and sends silence for every packet that finds none, in
    the middle of speech too: when the event loop was late, the next chunk still waits for its
    turn there. This one holds AHEAD_S, knows when each sample is due, and drops what is
    interrupted.
    """

    def __init__(
        self,
        rate_hz: int,
        clock: Callable[[], float] = time.monotonic,
        departures: Departures | None = None,
    ) -> None:
        """Begin.

        Args:
            rate_hz: Sample rate of the sound, a multiple of 100 Hz.
            clock: Seconds that only move forward.
            departures: Is told when sound leaves.
        """
        super().__init__()
        self._rate_hz = rate_hz
        self._clock = clock
        self._packet = int(rate_hz * PACKET_S)
        self._pieces: deque[_Piece] = deque()
        self._start_s: float | None = None
        self._sent = 0
        self._taken = 0
        self._departures = departures or Departures()
        self._expected: deque[_Expected] = deque(maxlen=_EXPECTED)
        self._speaking = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self.late_s = 0.0
        """How late the last packet was."""

    async def put(self, pcm: bytes, interruptible: bool = True) -> None:
        """Play this after what was put before; returns when less than AHEAD_S waits.

        Args:
            pcm: s16 samples.
            interruptible: Whether `interrupt()` drops it.
        """
        self._pieces.append(_Piece(bytearray(pcm), interruptible))
        self._arrived.set()
        while self.readyState == "live" and self._held > self._rate_hz * AHEAD_S:
            self._room.clear()
            await self._room.wait()

    async def drained(self) -> None:
        """Wait until all that was put has been taken, or nobody takes any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AHEAD_S + STANDSTILL_S):
                while self.readyState == "live" and self._held:
                    self._room.clear()
                    await self._room.wait()

    def interrupt(self) -> None:
        """Drop what may be interrupted, but for the few milliseconds in which it fades."""
        faded = b""
        if self._pieces and self._pieces[0].interruptible:
            faded = _faded(self._pieces[0].pcm, int(self._rate_hz * _FADE_S))
        self._pieces = deque(piece for piece in self._pieces if not piece.interruptible)
        if faded:
            self._pieces.appendleft(_Piece(bytearray(faded), True))
        self._expected.clear()
        self._departures.interrupt()
        self._speaking = False
        self._room.set()

    @property
    def put_samples(self) -> int:
        """Samples put up to now, but for what was dropped."""
        return self._taken + self._held

    def expect(self, position: int, shown_s: float, duration_s: float) -> None:
        """Have `departures` told when a piece of speech leaves.

        Args:
            position: `put_samples` in front of it.
            shown_s: When its mouth is shown.
            duration_s: Its length.
        """
        self._expected.append(_Expected(position, shown_s, duration_s))

    def due_s(self) -> float:
        """When the next sample put is due, on the track's clock."""
        now_s = self._clock()
        if self._start_s is None:
            return now_s
        return max(now_s, self._start_s + (self._sent + self._held) / self._rate_hz)

    def stop(self) -> None:
        """End the track; whoever waits in `put()` or `recv()` is told."""
        super().stop()
        self._arrived.set()
        self._room.set()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms, when they are due.

        Raises:
            MediaStreamError: The track has ended.
        """
        await self._until_due()
        if self._speaking and self._held < self._packet:
            await self._until_arrived()
        if self.readyState != "live":
            raise MediaStreamError
        first = self._taken
        pcm = self._take(self._packet)
        self._note_departure(first)
        self._speaking = bool(pcm)
        samples = np.zeros(self._packet, np.int16)
        samples[: len(pcm) // 2] = np.frombuffer(pcm, np.int16)
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate_hz, self._sent
        frame.time_base = Fraction(1, self._rate_hz)
        self._sent += self._packet
        return frame

    @property
    def _held(self) -> int:
        """Samples put and not taken."""
        return sum(len(piece.pcm) for piece in self._pieces) // 2

    async def _until_due(self) -> None:
        now_s = self._clock()
        if self._start_s is None:
            self._start_s = now_s
        wait_s = self._start_s + self._sent / self._rate_hz - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -STANDSTILL_S:
            # Left out of the time stamps too: sound would be late by it for good.
            self._sent += int(-wait_s / PACKET_S) * self._packet
        self.late_s = max(0.0, self._clock() - self._start_s - self._sent / self._rate_hz)

    async def _until_arrived(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._speaking and self._held < self._packet and self.readyState == "live":
                    self._arrived.clear()
                    await self._arrived.wait()

    def _take(self, samples: int) -> bytes:
        """Take up to so many samples."""
        taken = bytearray()
        while self._pieces and len(taken) < samples * 2:
            piece = self._pieces[0].pcm
            part = piece[: samples * 2 - len(taken)]
            taken += part
            del piece[: len(part)]
            if not piece:
                self._pieces.popleft()
        self._room.set()
        self._taken += len(taken) // 2
        return bytes(taken)

    def _note_departure(self, first: int) -> None:
        """Tell that a packet leaves now whose sound begins at this position."""
        assert self._start_s is not None
        left_s = self._clock()
        self._departures.packet(max(0.0, left_s - self._start_s - self._sent / self._rate_hz))
        while self._expected and self._expected[0].position < self._taken:
            piece = self._expected.popleft()
            offset_s = (piece.position - first) / self._rate_hz
            self._departures.speech(piece.shown_s, piece.duration_s, left_s + offset_s)


def _faded(pcm: bytearray, samples: int) -> bytes:
    """Return the first samples of s16 sound, dying away."""
    head = np.frombuffer(bytes(pcm[: samples * 2]), np.int16)
    return bytes((head * np.linspace(1, 0, len(head))).astype(np.int16).tobytes())
