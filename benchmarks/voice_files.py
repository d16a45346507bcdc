"""Files of what a pod's voice said, one for each text, from the pod to the benchmark."""

import json
import time
from pathlib import Path

import numpy as np
import soxr

from benchmarks.recording import AUDIO_HZ


def write_voice(folder: Path, text: str, pcm: bytes, rate_hz: int) -> None:
    """Write one text's sound; it is there under its name only when it is whole.

    Args:
        folder: takes the file.
        text: what was said.
        pcm: int16 mono.
        rate_hz: of the sound.
    """
    path = folder / f"{time.monotonic_ns():020d}"
    head = json.dumps({"text": text, "rate_hz": rate_hz}).encode() + b"\n"
    path.write_bytes(head + pcm)
    path.rename(path.with_suffix(".said"))


def take_voice(folder: Path, text: str) -> np.ndarray | None:
    """What was said for a text, last; all files are removed.

    Returns:
        (samples,) int16, 48 kHz, or None when it was not said.
    """
    found = None
    for path in sorted(folder.glob("*.said")):
        head, _, pcm = path.read_bytes().partition(b"\n")
        path.unlink()
        said = json.loads(head)
        if said["text"].strip() == text:
            found = soxr.resample(np.frombuffer(pcm, np.int16), said["rate_hz"], AUDIO_HZ)
    return found
