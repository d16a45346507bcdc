"""What several tests need: the avatar, speech, an output transport that records, a running pod."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pipecat.frames.frames import OutputAudioRawFrame, OutputImageRawFrame, StartFrame
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from avatar.avatar import Avatar

ROOT = Path(__file__).parent.parent


def require(program: str, how: str) -> str:
    """Return the path of a program; without it skip the test, or fail where CI is set."""
    path = shutil.which(program)
    if path is None:
        message = f"{program} is needed: {how}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def avatar() -> Avatar:
    """The default avatar with its lip-sync model."""
    return Avatar.load()


def speech_like(seconds: float, rate_hz: int) -> np.ndarray:
    """Return (samples,) int16: a buzz with the formants of "ah" and a syllable's rhythm."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    pitches_hz = 120.0 * np.arange(1, 25)
    formants_hz = np.array([700.0, 1200.0, 2600.0])
    gains = (1 / (1 + ((pitches_hz[:, None] - formants_hz) / 80) ** 2)).sum(1)
    buzz = np.sin(2 * np.pi * pitches_hz * time_s[:, None]) @ (gains / gains.sum() * 3)
    rhythm = np.clip(np.sin(2 * np.pi * 3.1 * time_s), 0, 1)
    return (buzz * rhythm * 6000).astype(np.int16)


class RecordingOutput(BaseOutputTransport):
    """A real Pipecat output whose wire is two lists; sound leaves at `pace` times its speed."""

    def __init__(self, size: int, pace: float = 0.0) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_10ms_chunks=1,
                audio_out_end_silence_secs=0,
                video_out_enabled=True,
                video_out_width=size,
                video_out_height=size,
            )
        )
        self.sound: list[tuple[float, bytes]] = []
        self.pictures: list[tuple[float, bytes]] = []
        self.on_sound: Callable[[], None] = lambda: None
        self._pace = pace
        self._due_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        if self._pace:
            now = time.monotonic()
            self._due_s = max(self._due_s, now) + 0.01 / self._pace
            await asyncio.sleep(self._due_s - now)
        self.sound.append((time.monotonic(), frame.audio))
        self.on_sound()
        return True

    async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
        self.pictures.append((time.monotonic(), frame.image))
        return True

    @property
    def pcm(self) -> np.ndarray:
        """All sound written so far, (samples,) int16."""
        return np.frombuffer(b"".join(audio for _, audio in self.sound), np.int16)


@dataclass
class RunningPod:
    """A pod in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_pod(
    log: Path,
    folder: Path = ROOT,
    *,
    command: Sequence[str] = ("-m", "pipecatcloud_system"),
    port: int | None = None,
    probe: str = "/readyz",
    ready: bool = True,
    **environment: str,
) -> RunningPod:
    """Start a pod in a folder and wait until it answers.

    Args:
        log: File for what it prints.
        folder: Working directory, where its bot.py lies.
        command: What Python runs.
        port: Its port; a free one without.
        probe: Path that is asked.
        ready: Wait for 200; else any answer will do.
        **environment: Variables added to the environment.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment, "PORT": str(port)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    pod = RunningPod(url, process, log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url + probe, timeout=2):
                return pod
        except urllib.error.HTTPError:
            if not ready:
                return pod
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.05)
    stop_pod(pod)
    pytest.fail(f"the pod did not become ready:\n{log.read_text()[-3000:]}")


def stop_pod(pod: RunningPod) -> None:
    """End a pod, by force if it has to be."""
    pod.process.terminate()
    try:
        pod.process.wait(15)
    except subprocess.TimeoutExpired:
        pod.process.kill()
        pod.process.wait()


@pytest.fixture(scope="session")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPod]:
    """The agent with its offline voice and brain, in a pod on a free port."""
    running = start_pod(tmp_path_factory.mktemp("pod") / "log")
    yield running
    stop_pod(running)
