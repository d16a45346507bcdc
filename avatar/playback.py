"""How far speech has run ahead of what was played, shared by the two ends of the output."""

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Cue:
    number: int
    duration_s: float
    interruptible: bool


class Playback:
    """Counts speech that was sent to the output transport and not yet played."""

    def __init__(self) -> None:
        self._cues: deque[_Cue] = deque()
        self._sent = 0
        self._oldest_valid = 0
        self._played = asyncio.Event()

    @property
    def ahead_s(self) -> float:
        """Seconds of speech between what was sent and what was played."""
        return sum(cue.duration_s for cue in self._cues)

    def send(self, duration_s: float, interruptible: bool) -> int:
        """Note a piece of speech that goes out now; return the number of its cue."""
        self._sent += 1
        self._cues.append(_Cue(self._sent, duration_s, interruptible))
        return self._sent

    def play(self, number: int) -> None:
        """Note that everything before this cue has been played."""
        while self._cues and self._cues[0].number < number:
            self._cues.popleft()
        self._played.set()

    def interrupt(self) -> None:
        """Forget what the output transport drops on an interruption."""
        self._cues = deque(cue for cue in self._cues if not cue.interruptible)
        self._oldest_valid = self._sent + 1
        self._played.set()

    def dropped(self, number: int, interruptible: bool) -> bool:
        """Whether this cue was on its way when an interruption dropped its speech."""
        return interruptible and number < self._oldest_valid

    async def room(self, lead_s: float) -> None:
        """Wait until less than lead_s is ahead.

        Without news from the other end for as long as that speech lasts, it is taken for
        played: a lost cue may cost the picture something but never the sound.
        """
        while self.ahead_s >= lead_s:
            self._played.clear()
            try:
                async with asyncio.timeout(self.ahead_s):
                    await self._played.wait()
            except TimeoutError:
                self._cues.clear()
