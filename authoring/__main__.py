"""python -m authoring: draw the character and store its layers."""

import argparse
from pathlib import Path

from authoring.build import FOLDER, build


def main() -> None:
    """Draw all layers into the folder that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m authoring", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the PNG files")
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
