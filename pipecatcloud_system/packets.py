"""Sound in frames as long as a packet: half the work of sending it."""

import asyncio

import numpy as np
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from av import AudioFrame

_FRAMES_IN_A_PACKET = 2
"""Pipecat's track gives 10 ms at a time, aiortc's Opus encoder sends 20."""


_REFILL_S = 0.001
"""Pipecat's output hands its next 10 ms over when the last have been taken. A late source does not
wait, and without this pause would give silence in the middle of speech."""


class PacketTrack(AudioStreamTrack):
    """Another track's sound, two of its frames at a time.

    Costs no time: the encoder waits for the second frame anyway, but is called for each, in
    another thread.
    """

    def __init__(self, source: MediaStreamTrack) -> None:
        """Take over a track that gives 10 ms of s16 sound at a time."""
        super().__init__()
        self._source = source

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms.

        Raises:
            MediaStreamError: The source has ended.
        """
        parts = []
        for _ in range(_FRAMES_IN_A_PACKET):
            await asyncio.sleep(_REFILL_S)
            parts.append(await self._source.recv())
        first = parts[0]
        assert isinstance(first, AudioFrame)
        samples = np.concatenate([part.to_ndarray() for part in parts], axis=1)  # type: ignore[union-attr]
        sound = AudioFrame.from_ndarray(samples, format=first.format.name, layout=first.layout.name)
        sound.sample_rate, sound.pts, sound.time_base = first.rate, first.pts, first.time_base
        return sound

    def stop(self) -> None:
        """End this track and its source."""
        super().stop()
        self._source.stop()
