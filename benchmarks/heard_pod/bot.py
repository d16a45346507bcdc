"""The agent itself, whose offline voice also writes down what it says.

Run in this folder by `python -m pipecatcloud_system`. The voice never says a sentence twice in
the same way, so what was sent can only be known by keeping it. VOICE_FOLDER takes one file for
each text; benchmarks/voice_files.py reads them.
"""

import importlib.util
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from benchmarks.voice_files import write_voice
from offline.espeak_client import Chunk, EspeakClient
from offline.voice import SAMPLE_RATE_HZ

AGENT = Path(__file__).resolve().parents[2] / "bot.py"

_folder = Path(os.environ["VOICE_FOLDER"])
_speak = EspeakClient.speak


async def _kept(self: EspeakClient, text: str, **voice: Any) -> AsyncGenerator[Chunk, None]:
    said = bytearray()
    async with aclosing(_speak(self, text, **voice)) as chunks:
        async for chunk in chunks:
            said += chunk.pcm
            yield chunk
    write_voice(_folder, text, bytes(said), SAMPLE_RATE_HZ)


EspeakClient.speak = _kept  # type: ignore[method-assign]

_spec = importlib.util.spec_from_file_location("agent", AGENT)
assert _spec and _spec.loader
_agent = importlib.util.module_from_spec(_spec)
sys.modules["agent"] = _agent
_spec.loader.exec_module(_agent)
bot, readyz = _agent.bot, _agent.readyz
