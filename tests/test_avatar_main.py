"""The command line: a video, a track, a sheet, and errors that say what to do."""

import csv
import subprocess
import sys
import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import ROOT, speech_like

from avatar.controls import CONTROLS

RATE_HZ = 22_050
SECONDS = 1.21


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m avatar`."""
    command = [sys.executable, "-m", "avatar", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file with something like speech."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(speech_like(SECONDS, RATE_HZ).tobytes())
    return path


def test_track_has_a_row_for_every_picture(speech: Path, tmp_path: Path) -> None:
    done = run("track", speech, tmp_path / "track.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "track.csv").open() as track:
        rows = list(csv.DictReader(track))
    assert list(rows[0]) == ["time_s", *CONTROLS]
    assert len(rows) == 37
    times = np.array([float(row["time_s"]) for row in rows])
    np.testing.assert_allclose(times[:-1], (np.arange(36) + 0.5) / 30, atol=1e-4)
    assert times[-1] < SECONDS
    values = np.array([[float(row[name]) for name in CONTROLS] for row in rows])
    assert np.isfinite(values).all()


def test_track_is_the_same_every_time(speech: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        assert run("track", speech, tmp_path / name).returncode == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_render_writes_pictures_and_the_whole_sound(speech: Path, tmp_path: Path) -> None:
    done = run("render", speech, tmp_path / "out.mp4", "--size", "128")
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr, "a progress bar"
    with av.open(str(tmp_path / "out.mp4")) as video:
        pictures = [picture.to_ndarray(format="rgb24") for picture in video.decode(video=0)]
    assert len(pictures) == 37
    assert pictures[0].shape == (128, 128, 3)
    assert np.std(pictures[0]) > 20
    with av.open(str(tmp_path / "out.mp4")) as video:
        sound = np.concatenate([s.to_ndarray().reshape(-1) for s in video.decode(audio=0)])
    assert len(sound) >= SECONDS * RATE_HZ - 1024


def test_sheet_shows_every_viseme(tmp_path: Path) -> None:
    assert run("sheet", tmp_path / "sheet.png", "--size", "128").returncode == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[0] * sheet.shape[1] >= 18 * 128 * 128


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("track", "missing.wav", "out.csv"), "missing.wav"),
        (("track", "README.md", "out.csv"), "README.md"),
        (("render", "README.md", "out.mp4", "--size", "5"), "size must be between 128 and 1080"),
        (("sheet", "no/such/folder/out.png"), "out.png"),
        (("sheet", "out.png", "--rig", "no-such-rig"), "no-such-rig"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_examples() -> None:
    assert "python -m avatar render" in run("--help").stdout


def test_explain_writes_a_diagram_and_says_where_it_cannot(speech: Path, tmp_path: Path) -> None:
    done = run("explain", speech, tmp_path / "why.png")
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(tmp_path / "why.png"))
    assert picture.shape[1] > 1000
    done = run("explain", speech, tmp_path / "nowhere" / "why.png")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
