"""Somebody else's bot gets a face by the README's recipe, under Pipecat's own runner."""

import contextlib
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamError
from conftest import ROOT, free_port, start_pod, stop_pod
from pod_process import BOTS, TestPeer, until

from offline.voice import SAMPLE_RATE_HZ
from tests.offline_speech import said

MOUTH = (slice(300, 375), slice(210, 302))
"""Rows and columns of Mira's mouth in a picture of 512 by 512."""

RECIPE = {
    "from pipecat.workers.runner import WorkerRunner": [
        "from pipecat.workers.runner import WorkerRunner",
        "from avatar.processor import Avatar, AvatarProcessor, avatar_params",
    ],
    "TransportParams(audio_in_enabled=True, audio_out_enabled=True)": [
        "TransportParams("
        "audio_in_enabled=True, audio_out_enabled=True, **avatar_params(Avatar.load()))"
    ],
    "    pipeline = Pipeline(": [
        "    face = AvatarProcessor(Avatar.load(), transport.output())",
        "    pipeline = Pipeline(",
    ],
    "            transport.output(),": [
        "            face,",
        "            transport.output(),",
        "            face.presenter,",
    ],
}
"""What becomes of which piece of tests/bots/voice_only.py."""


def with_a_face(source: str) -> str:
    """Return the source of a bot after the recipe."""
    for before, after in RECIPE.items():
        assert source.count(before) == 1, before
        source = source.replace(before, "\n".join(after))
    return source


async def record_hello(path: Path) -> None:
    """Write a WAV of some seconds of speech."""
    text = "Hello! Mama may show a mouth that opens far: papa, Africa, pyjama, banana, mama."
    (speech,) = await said([text], rate_wpm=150)
    with wave.open(str(path), "wb") as recording:
        recording.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        recording.writeframes(speech.tobytes())


class Watcher(TestPeer):
    """A peer that notes how bright the mouth is while the bot speaks and while it does not."""

    def __init__(self, url: str) -> None:
        super().__init__(url, microphone=True)
        self.sizes: set[tuple[int, int]] = set()
        self.mouth: dict[bool, list[float]] = {True: [], False: []}
        self._quiet_frames = 100

    async def _receive(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.sizes.add((frame.width, frame.height))
                    luma = frame.to_ndarray(format="gray")
                    # A pause between two words is shorter.
                    self.mouth[self._quiet_frames < 25].append(float(luma[MOUTH].mean()))
                else:
                    loud = np.abs(frame.to_ndarray()).max() > 1000
                    self.loud_frames += loud
                    self._quiet_frames = 0 if loud else self._quiet_frames + 1


async def watched(url: str) -> Watcher:
    """A peer that has heard the bot speak and fall silent, and has left."""
    peer = Watcher(url)
    status, _ = await peer.offer()
    assert status == 200
    await until(lambda: peer.loud_frames > 100 and len(peer.mouth[True]) > 80, timeout_s=20)
    await until(lambda: len(peer.mouth[False]) > 60, timeout_s=10)
    await peer.close()
    return peer


def test_the_recipe_is_the_readmes() -> None:
    told = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for before, after in RECIPE.items():
        added = " ".join("\n".join(after).split())
        assert added.removeprefix(before).strip() in told, added


async def test_a_voice_only_bot_gets_a_face_that_moves_with_its_voice(tmp_path: Path) -> None:
    source = with_a_face((BOTS / "voice_only.py").read_text(encoding="utf-8"))
    (tmp_path / "bot.py").write_text(source, encoding="utf-8")
    await record_hello(tmp_path / "hello.wav")
    port = free_port()
    pod = start_pod(
        tmp_path / "log",
        tmp_path,
        command=["bot.py", "-t", "webrtc", "--port", str(port)],
        port=port,
        probe="/",
        ready=False,
    )
    try:
        # A machine that is too busy leaves out the mouth's movement, never the sound.
        for _ in range(3):
            peer = await watched(pod.url)
            speaking, silent = np.std(peer.mouth[True]), np.std(peer.mouth[False][-50:])
            if speaking > 3 * silent and (512, 512) in peer.sizes:
                break
    finally:
        stop_pod(pod)
    # The encoder begins with a smaller picture where it has not much time.
    assert (512, 512) in peer.sizes
    assert speaking > 3 * silent, (speaking, silent)
    assert "No face" not in pod.log.read_text()
