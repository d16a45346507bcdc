"""Lip-sync when things go wrong: other words than the text's, noise, haste, a telephone."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

from avatar.features import SAMPLE_RATE
from avatar.lipsync import LipSyncModel
from benchmarks.labelled_speech import Recording, SpeechMissing
from benchmarks.lipsync_systems import (
    AUDIO_80,
    AUDIO_240,
    LONG_S,
    SHORT_S,
    TEXT_80,
    TEXT_240,
    Asked,
    Measured,
    lip_sync,
    measure,
    told_text,
)

Float32Array = npt.NDArray[np.float32]

SEED = 5
WRONG_SHARE = 0.1
TEMPO = 1.3
SNR_DB = 10.0
TELEPHONE_HZ = (300.0, 3400.0)
QUIETER_DB = -35.0
SPEECH_FIGURES = ("coarse", "r_jaw", "r_open", "r_round", "recall", "precision", "f1")


def derangement(count: int, seed: int = SEED) -> list[int]:
    """A seeded order of count things in which none has its own place.

    Raises:
        ValueError: there are fewer than two.
    """
    if count < 2:
        raise ValueError("one thing alone has only its own place")
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        if not (order == np.arange(count)).any():
            return [int(place) for place in order]


def with_others_text(recordings: Sequence[Recording]) -> list[Recording]:
    """Each with the words of another one."""
    order = derangement(len(recordings))
    return [
        replace(recording, text=recordings[other].text)
        for recording, other in zip(recordings, order, strict=True)
    ]


def with_wrong_words(recordings: Sequence[Recording], drop: bool) -> list[Recording]:
    """A tenth of all words left out of the text, or other words of the set in their places."""
    rng = np.random.default_rng(SEED)
    texts = [recording.text.split() for recording in recordings]
    vocabulary = sorted({word for text in texts for word in text})
    places = [(i, k) for i, text in enumerate(texts) for k in range(len(text))]
    for place in rng.permutation(len(places))[: round(WRONG_SHARE * len(places))]:
        clip, word = places[place]
        others = [other for other in vocabulary if other != texts[clip][word]]
        texts[clip][word] = "" if drop else str(rng.choice(others))
    return [
        replace(recording, text=" ".join(word for word in text if word))
        for recording, text in zip(recordings, texts, strict=True)
    ]


def faster(recording: Recording, tempo: float = TEMPO) -> Recording:
    """The same speech in less time at the same pitch, by sox.

    Raises:
        SpeechMissing: sox is not installed.
    """
    form = ["-t", "raw", "-r", str(SAMPLE_RATE), "-e", "floating-point", "-b", "32", "-c", "1", "-"]
    command = ["sox", "-V1", *form, *form, "tempo", "-s", str(tempo)]
    try:
        done = subprocess.run(
            command, input=recording.pcm.tobytes(), stdout=subprocess.PIPE, check=True
        )
    except FileNotFoundError as error:
        raise SpeechMissing("speech cannot be made faster: apt-get install sox") from error
    segments = [(start / tempo, end / tempo, phone) for start, end, phone in recording.segments]
    return replace(recording, pcm=np.frombuffer(done.stdout, np.float32), segments=segments)


def noisy(recording: Recording, snr_db: float = SNR_DB) -> Recording:
    """With white noise, so many dB below the mean power of the recording."""
    rng = np.random.default_rng(SEED)
    level = float(np.sqrt(np.mean(recording.pcm**2))) * 10 ** (-snr_db / 20)
    hiss = rng.standard_normal(len(recording.pcm)).astype(np.float32) * np.float32(level)
    return replace(recording, pcm=recording.pcm + hiss)


def by_telephone(recording: Recording) -> Recording:
    """Without what a telephone line leaves out."""
    band = butter(4, TELEPHONE_HZ, "band", fs=SAMPLE_RATE, output="sos")
    return replace(recording, pcm=sosfilt(band, recording.pcm).astype(np.float32))


def quieter(recording: Recording) -> Recording:
    """At a fraction of the level."""
    return replace(recording, pcm=recording.pcm * np.float32(10 ** (QUIETER_DB / 20)))


def conditions(
    model: LipSyncModel, recordings: Sequence[Recording], clean: Mapping[str, Measured]
) -> tuple[dict[str, dict[str, Measured]], list[Asked]]:
    """All conditions but the stream: by name, the figures of each system; and what is asked.

    Args:
        model: the model.
        recordings: two or more with text.
        clean: figures of the same systems on the recordings as they are.
    """
    systems = {
        AUDIO_80: lip_sync(model, SHORT_S),
        TEXT_80: lip_sync(model, SHORT_S, told_text),
        TEXT_240: lip_sync(model, LONG_S, told_text),
    }
    changed = {
        "wrong text": with_others_text(recordings),
        "10 % replaced": with_wrong_words(recordings, drop=False),
        "10 % dropped": with_wrong_words(recordings, drop=True),
        "1.3 times as fast": [faster(recording) for recording in recordings],
        "white noise, 10 dB": [noisy(recording) for recording in recordings],
        "telephone band": [by_telephone(recording) for recording in recordings],
        "35 dB quieter": [quieter(recording) for recording in recordings],
    }
    found = {name: measure(systems, changed[name], name) for name in changed}
    asked = []
    for text, alone in ((TEXT_80, AUDIO_80), (TEXT_240, AUDIO_240)):
        before, after = clean[alone], found["wrong text"][text]
        for figure in ("f1", "coarse", "r_open"):
            fall = before.figure(figure) - after.figure(figure)
            asked.append(Asked(f"wrong text: {text}", f"{figure}, fall", fall, 0.02, False))
    for name in ("10 % replaced", "10 % dropped"):
        for system, least in ((TEXT_80, 0.88), (TEXT_240, 0.91)):
            asked.append(Asked(f"{name}: {system}", "f1", found[name][system].f1, least))
    for name, wanted in (
        ("1.3 times as fast", ((TEXT_80, "f1", 0.9), (TEXT_240, "f1", 0.9))),
        (
            "white noise, 10 dB",
            ((AUDIO_80, "recall", 0.55), (TEXT_80, "f1", 0.93), (TEXT_240, "f1", 0.97)),
        ),
    ):
        for system, figure, least in wanted:
            got = found[name][system].figure(figure)
            asked.append(Asked(f"{name}: {system}", figure, got, least))
    for name in ("telephone band", "35 dB quieter"):
        for system in systems:
            figure, fall = largest_fall(clean[system], found[name][system])
            asked.append(Asked(f"{name}: {system}", f"{figure}, most fall", fall, 0.05, False))
    return found, asked


def largest_fall(before: Measured, after: Measured) -> tuple[str, float]:
    """Which of the figures of speech fell most, and by how much."""
    falls = {name: before.figure(name) - after.figure(name) for name in SPEECH_FIGURES}
    worst = max(falls, key=lambda name: falls[name])
    return worst, falls[worst]
