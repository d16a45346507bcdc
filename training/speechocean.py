"""Lays out the recordings that the model of record hears, from a copy of speechocean762.

    python -m training.speechocean CORPUS FOLDER

CORPUS is the corpus as it is published (train/, test/, WAVE/). FOLDER then has, for `--recordings`,
a link to each sentence that a person of ten years or more reads, and its text. Which of them are
heard, the aligner says (`training.recordings`).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

YOUNGEST = 10


def chosen(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Speaker, utterance and text of each sentence that is chosen."""
    for part in ("train", "test"):
        ages = {who: int(age) for who, age in _pairs(corpus / part / "spk2age")}
        speakers = dict(_pairs(corpus / part / "utt2spk"))
        for utterance, text in _pairs(corpus / part / "text"):
            if ages[speakers[utterance]] >= YOUNGEST:
                yield speakers[utterance], utterance, text


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        first, _, rest = line.strip().partition("\t" if "\t" in line else " ")
        yield first, rest.strip()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.speechocean",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", type=Path, help="as it is published")
    parser.add_argument("folder", type=Path, help="for the links; made if it is not there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        for speaker, utterance, text in tqdm(chosen(options.corpus), "choose", unit="sentence"):
            name = options.folder / f"{speaker}_{utterance}.wav"
            name.unlink(missing_ok=True)
            sound = options.corpus / "WAVE" / f"SPEAKER{speaker}" / f"{utterance}.WAV"
            name.symlink_to(sound.resolve(strict=True))
            name.with_suffix(".txt").write_text(text.lower() + "\n", "utf-8")
            count += 1
    except (OSError, KeyError, ValueError) as error:
        parser.exit(1, f"{options.corpus} is not speechocean762 as it is published: {error!r}\n")
    print(f"{count} sentences in {options.folder}")


if __name__ == "__main__":
    main()
