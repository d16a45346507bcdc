"""Scores the lip-sync model on labelled speech, beside two simple ways of moving a mouth.

    python benchmarks/lipsync.py FOLDER      <id>.wav (16 kHz mono) and <id>.tsv (start, end, phone)
    python benchmarks/lipsync.py             Debian's pocketsphinx-testdata, aligned here
    python benchmarks/lipsync.py --json

The model is heard as a session hears it: avatar.lipsync, streaming, 20 ms at a time. The truth is
what the dominance functions of training make of the labelled phones. Needs scipy; the profiles of
the second baseline are fitted on flite's voices (apt-get install flite), never on FOLDER.

coarse      share of 10 ms frames whose class is right, of: sil, PP (p b m), FF (f v), round (O U),
            open (aa E), other. From the likeliest of the fifteen visemes.
controls    the same classes read from the controls instead, for the mouth as it is drawn: press,
            fv, not speak, round, open, the first of these that passes 0.5.
viseme      share of frames whose viseme of fifteen is right.
jaw … round Pearson's r where the labels speak.
closures    stretches of press > 0.5 for 20 ms or more; found when the middles are within 40 ms.
lag         shift in ms at which jaw and lips correlate best; above zero the mouth is late.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.signal import lfilter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avatar.controls import MOUTH, VISEMES
from avatar.features import HOP_SAMPLES, SAMPLE_RATE, LogMel
from avatar.lipsync import ROW_SAMPLES, LipSyncModel, LipSyncState
from benchmarks.labelled_speech import Recording, SpeechMissing, align_test_data, read_folder
from benchmarks.machine import this_machine
from training.metrics import Scores, Track, score
from training.phones import canonical
from training.synthesis import SynthesisError, flite_utterances

Float32Array = npt.NDArray[np.float32]
System = Callable[[Float32Array], Track]
"""Makes a track of (samples,) float32 sound at 16 kHz."""

PROFILE_VOICES = ("slt", "rms", "awb", "kal16")
PROFILE_UTTERANCES = 25
CEPSTRA = 12
LOUD_RANGE = 5.0
"""Speech lies within this range of mean log-mel below the loudest frame."""
SMOOTH_S = 0.02
QUIET = -9.5
"""Mean log-mel that no speech is below."""
NOISE_SECONDS = 30
NOISE_LEVEL = 0.05
"""Root mean square of the sounds a mouth must ignore."""


def lip_sync(model: LipSyncModel) -> System:
    """The model, streaming."""

    def track(pcm: Float32Array) -> Track:
        state = LipSyncState(model)
        pieces = [
            state.feed_with_visemes(pcm[at : at + ROW_SAMPLES])
            for at in range(0, len(pcm), ROW_SAMPLES)
        ]
        pieces.append(state.flush_with_visemes())
        mouth, visemes = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        return Track.of_rows(mouth, visemes, model.card.row_s, len(pcm) / SAMPLE_RATE)

    return track


def loudness() -> System:
    """The jaw follows the level, from 30 dB below its running peak upwards."""

    def track(pcm: Float32Array) -> Track:
        mel = LogMel().feed(pcm)
        level_db = 10 / np.log(10) * np.log(np.exp(mel).sum(axis=1))
        peak_db = np.maximum.accumulate(np.maximum(level_db, 0.0))
        opening = np.clip((level_db - peak_db + 30.0) / 30.0, 0.0, 1.0)
        mouth = np.zeros((len(mel), len(MOUTH)), np.float32)
        mouth[:, MOUTH.index("jaw")] = mouth[:, MOUTH.index("open")] = 0.8 * opening
        mouth[:, MOUTH.index("speak")] = opening > 0.05
        mouth[:, MOUTH.index("press")] = (opening > 0.05) & (opening < 0.35)
        names = np.where(opening <= 0.05, "sil", np.where(opening < 0.35, "PP", "E"))
        names[opening > 0.75] = "aa"
        visemes = np.array([VISEMES.index(name) for name in names], np.int16)
        return Track(mouth, visemes)

    return track


def _cepstra(pcm: Float32Array) -> Float32Array:
    """(frames, 12) mel-frequency cepstra without the first, less the mean of this voice."""
    mel = LogMel().feed(pcm)
    cepstra = dct(mel, axis=1, norm="ortho")[:, 1 : 1 + CEPSTRA]
    loud = mel.mean(axis=1)
    voice = cepstra[loud > loud.max() - LOUD_RANGE].mean(axis=0)
    return np.asarray(cepstra - voice, np.float32)


def profiles() -> System:
    """The nearest of fifteen mean cepstra, one per viseme, as uLipSync does; smoothed.

    Raises:
        SynthesisError: flite is missing.
    """
    cepstra, visemes, mouths = [], [], []
    for voice in PROFILE_VOICES:
        for utterance in islice(flite_utterances(voice, random.Random(7)), PROFILE_UTTERANCES):
            segments = canonical(utterance.segments, utterance.inventory)
            found = _cepstra(utterance.pcm.astype(np.float32) / 32768)
            truth = Track.of_phones(segments, utterance.seconds)
            frames = min(len(found), len(truth.visemes))
            cepstra.append(found[:frames])
            visemes.append(truth.visemes[:frames])
            mouths.append(truth.mouth[:frames])
    heard, labels, shown = (np.concatenate(parts) for parts in (cepstra, visemes, mouths))
    scale = heard.std(axis=0)
    means = np.stack([heard[labels == i].mean(axis=0) for i in range(len(VISEMES))]) / scale
    poses = np.stack([shown[labels == i].mean(axis=0) for i in range(len(VISEMES))])
    keep = np.exp(-HOP_SAMPLES / SAMPLE_RATE / SMOOTH_S)

    def track(pcm: Float32Array) -> Track:
        far = ((_cepstra(pcm)[:, None] / scale - means) ** 2).sum(axis=2)
        loud = LogMel().feed(pcm).mean(axis=1)
        nearest = np.where(
            loud < max(QUIET, loud.max() - LOUD_RANGE), VISEMES.index("sil"), far.argmin(axis=1)
        )
        smooth = lfilter([1 - keep], [1, -keep], poses[nearest], axis=0)
        return Track(smooth.astype(np.float32), nearest.astype(np.int16))

    return track


def silence(n: int, rng: np.random.Generator) -> Float32Array:
    """Digital silence."""
    return np.zeros(n, np.float32)


def noise(n: int, rng: np.random.Generator) -> Float32Array:
    """White noise."""
    return rng.standard_normal(n).astype(np.float32)


def keyboard(n: int, rng: np.random.Generator) -> Float32Array:
    """Keys struck about five times a second: a click, a resonance, a quieter release."""
    struck = np.zeros(n)
    times = np.cumsum(rng.uniform(0.08, 0.35, n // 1600)) * SAMPLE_RATE
    for at in times[times < n - 3000].astype(int):
        struck[at] = rng.uniform(0.5, 1)
        struck[at + int(rng.uniform(900, 2000))] = rng.uniform(0.2, 0.5)
    sound = np.zeros(n)
    for pitch_hz, width_hz in ((420, 150), (1900, 400), (3800, 700), (5600, 900)):
        radius = np.exp(-np.pi * width_hz / SAMPLE_RATE)
        angle = 2 * np.pi * pitch_hz / SAMPLE_RATE
        poles = [1.0, -2 * radius * np.cos(angle), radius**2]
        sound += rng.uniform(0.5, 1) * lfilter([1.0], poles, struck)
    return sound.astype(np.float32)


def guitar(n: int, rng: np.random.Generator) -> Float32Array:
    """Chords of plucked strings (Karplus and Strong 1983) over a beat of drums."""
    sound = np.zeros(n + SAMPLE_RATE)
    beat = SAMPLE_RATE // 2
    for i, at in enumerate(range(0, n, beat)):
        root = (0, 5, 7, 9)[i // 4 % 4]
        for step in (0, 4, 7, 12):
            period = round(SAMPLE_RATE / (110.0 * 2 ** ((root + step) / 12)))
            pluck = np.zeros(SAMPLE_RATE)
            pluck[:period] = rng.uniform(-1, 1, period)
            poles = np.zeros(period + 2)
            poles[0], poles[period], poles[period + 1] = 1.0, -0.498, -0.498
            sound[at : at + SAMPLE_RATE] += lfilter([1.0], poles, pluck)
        fade = np.exp(-np.arange(beat) / (0.03 * SAMPLE_RATE))
        drum = np.sin(2 * np.pi * 70 * np.arange(beat) / SAMPLE_RATE)
        sound[at : at + beat] += fade * (3 * drum if i % 2 == 0 else rng.standard_normal(beat))
    return sound[:n].astype(np.float32)


NOISES = {"silence": silence, "noise": noise, "keyboard": keyboard, "music": guitar}


def openings(system: System) -> dict[str, float]:
    """Mean `open` during sounds that are not speech."""
    result = {}
    for name, make in NOISES.items():
        sound = make(NOISE_SECONDS * SAMPLE_RATE, np.random.default_rng(3))
        level = float(np.sqrt(np.mean(sound**2)))
        sound = sound * np.float32(NOISE_LEVEL / level if level > 0 else 1.0)
        result[name] = float(system(sound).control("open").mean())
    return result


def measure(system: System, recordings: list[Recording]) -> tuple[Scores, dict[str, float]]:
    """The scores of one system on all recordings, and its openings without speech."""
    tracks, truths = [], []
    for recording in recordings:
        track = system(recording.pcm)
        truth = Track.of_phones(recording.segments, recording.seconds)
        frames = min(len(track.mouth), len(truth.mouth))
        tracks.append(Track(track.mouth[:frames], track.visemes[:frames]))
        truths.append(Track(truth.mouth[:frames], truth.visemes[:frames]))
    return score(tracks, truths), openings(system)


def table(rows: dict[str, tuple[Scores, dict[str, float]]]) -> str:
    """One line per system."""
    head = f"{'':22}coarse controls viseme |  jaw  open round | recall prec.   F1 | lag ms"
    lines = [head + " | opening in " + " ".join(f"{name:>8}" for name in NOISES)]
    for name, (scores, opening) in rows.items():
        lines.append(
            f"{name:22}{scores.coarse:6.3f} {scores.coarse_by_controls:8.3f} {scores.viseme:6.3f}"
            f" | {scores.r_jaw:4.2f}  {scores.r_open:4.2f}  {scores.r_round:4.2f}"
            f" | {scores.recall:6.2f}  {scores.precision:4.2f} {scores.f1:4.2f}"
            f" | {scores.lag_ms:+6.0f} |            "
            + " ".join(f"{opening[name]:8.3f}" for name in NOISES)
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="recordings with labels")
    parser.add_argument("--model", type=Path, help="an ONNX file with its card; the shipped one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    try:
        recordings = read_folder(options.folder) if options.folder else align_test_data()
        model = LipSyncModel.load(options.model)
        systems = {
            "loudness": loudness(),
            "MFCC profiles": profiles(),
            f"{model.card.name} {model.card.version}": lip_sync(model),
        }
    except (SpeechMissing, SynthesisError) as error:
        parser.exit(1, f"{error}\n")
    rows = {name: measure(system, recordings) for name, system in systems.items()}
    minutes = sum(recording.seconds for recording in recordings) / 60
    if options.json:
        figures = {
            name: {**asdict(scores), "opening": opening} for name, (scores, opening) in rows.items()
        }
        about = {"machine": this_machine().as_numbers(), "recordings": len(recordings)}
        print(json.dumps({**about, "minutes": minutes, "systems": figures}, indent=2))
    else:
        delay_ms = 1000 * model.card.lookahead_s
        print(f"{len(recordings)} recordings, {minutes:.1f} min; delay {delay_ms:.0f} ms")
        print(table(rows))
        print(this_machine())


if __name__ == "__main__":
    main()
