"""A session of any length in which the agent speaks most of the time, judged as it goes on.

Sentences are asked for one after another. What was received of each goes to the judge and is then
forgotten, so that an hour takes no more memory than a minute.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.ages import AgeLog, Ages
from benchmarks.judging import Judge, Verdict
from benchmarks.peer import Peer
from benchmarks.pods import Pod, running_pod
from benchmarks.sentences import SENTENCES
from benchmarks.voice_files import take_voice

HEARD_POD = Path(__file__).resolve().parent / "heard_pod"
"""Folder of the agent whose voice writes down what it says."""
PAUSE_S = (1.0, 2.0)
START_WITHIN_S = 15.0
KEEP_S = 0.5
"""Kept of what was judged: packets and pictures that belong to what comes next."""
MOST_WAITING = 12
"""Sentences that wait for their verdict; more, and the conversation waits."""
SETTLE_S = 2.5
"""Sender reports come about every second; the first are needed before the first sentence."""


@dataclass
class Talk:
    """What a conversation was like.

    Attributes:
        start_s: on the peer's clock.
        end_s: likewise.
        verdicts: one for each sentence.
        ages: of sound and pictures.
        status: what GET /status answered at the end.
    """

    start_s: float = 0.0
    end_s: float = 0.0
    verdicts: list[Verdict] = field(default_factory=list)
    ages: AgeLog = field(default_factory=AgeLog)
    status: dict[str, Any] = field(default_factory=dict)

    def ages_of(self, stream: str) -> Ages:
        """Ages of "sound" or "pictures" since it began."""
        return self.ages.ages(stream).between(self.start_s, np.inf)


@contextmanager
def heard_pod() -> Iterator[tuple[Pod, Path]]:
    """The agent's pod, and the folder in which its voice writes down what it says."""
    with (
        tempfile.TemporaryDirectory(prefix="voice-") as folder,
        running_pod(HEARD_POD, {"VOICE_FOLDER": folder}) as pod,
    ):
        yield pod, Path(folder)


async def converse(
    url: str,
    voice: Path,
    seconds: float,
    judge: Judge,
    name: str = "talking",
    begun: asyncio.Event | None = None,
) -> Talk:
    """Hold a conversation.

    Args:
        url: of a pod of `heard_pod()`.
        voice: the folder of its voice.
        seconds: length; the sentence under way is heard out.
        judge: gives the verdicts.
        name: shown while it runs.
        begun: set when the connection stands and the talk begins.
    """
    rng, talk, waiting = np.random.default_rng(5), Talk(), []
    async with Peer(url) as peer:
        await peer.connect()
        await peer.first_picture(30.0)
        await asyncio.sleep(SETTLE_S)
        begun_s, talk.start_s = time.monotonic(), time.time()
        if begun:
            begun.set()
        with tqdm(total=round(seconds), desc=name, unit="s", disable=None) as bar:
            for sentence in cycle(SENTENCES):
                if time.monotonic() - begun_s >= seconds:
                    break
                await _say(peer, sentence, float(rng.uniform(*PAUSE_S)))
                recording = peer.recording()
                peer.forget(KEEP_S)
                talk.ages.add(recording)
                sent = take_voice(voice, sentence)
                waiting.append(asyncio.create_task(judge.verdict(sent, recording)))
                if len(waiting) > MOST_WAITING:
                    talk.verdicts.append(await waiting.pop(0))
                bar.update(round(min(time.monotonic() - begun_s, seconds)) - bar.n)
        talk.end_s = time.time()
        talk.status = await peer.get("/status")
    talk.verdicts += await asyncio.gather(*waiting)
    return talk


async def _say(peer: Peer, sentence: str, pause_s: float) -> None:
    """Have a sentence said and wait until it was; one that is not heard is noticed later."""
    await peer.post("/speak", {"message": sentence})
    try:
        await peer.speech(start_s=START_WITHIN_S, quiet_s=pause_s)
    except TimeoutError:
        return
