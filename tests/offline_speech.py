"""Speech for tests that need some: sentences by the offline voice."""

import asyncio
from collections.abc import Iterable

import numpy as np

from offline.espeak_client import EspeakClient
from offline.voice import DEFAULT_VOICE


async def said(texts: Iterable[str], rate_wpm: int = 165) -> list[np.ndarray]:
    """(samples,) int16 at the voice's 22050 Hz for each text."""
    client = EspeakClient()
    running = asyncio.create_task(client.run())
    sounds = []
    for text in texts:
        chunks = client.speak(text, voice=DEFAULT_VOICE, rate_wpm=rate_wpm, pitch=50)
        pcm = b"".join([chunk.pcm async for chunk in chunks])
        sounds.append(np.frombuffer(pcm, np.int16))
    running.cancel()
    await asyncio.wait({running})
    return sounds
