"""The wheel: what is in it, what it asks for, and that its core runs without Pipecat."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from conftest import ROOT

import avatar

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that `pip install .` builds."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_avatar_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "avatar").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = f"mouthpiece-{PROJECT['version']}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(about)} == wanted
    assert {"avatar/py.typed", "avatar/assets/lipsync.onnx", "avatar/assets/mira/rig.toml"} < wanted
    assert about + "licenses/LICENSE" in wheel.namelist()


def test_the_wheel_says_what_it_needs(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(path).decode())
    assert metadata["Name"] == "mouthpiece"
    assert metadata["License-Expression"] == "BSD-2-Clause"
    assert set(metadata.get_all("Provides-Extra")) == {"pipecat", "build", "prometheus"}
    always = [line for line in metadata.get_all("Requires-Dist") if "extra" not in line]
    assert not any("pipecat" in line for line in always)


def _ranges(lines: list[str]) -> dict[str, str]:
    """Return the version range of each requirement by its name, its extras left out."""
    found = {}
    for line in lines:
        if match := re.fullmatch(r"([\w.-]+)(?:\[[^]]*])?([<>=!~][^#\s]*)", line.strip()):
            found[match[1]] = ",".join(sorted(match[2].split(",")))
    return found


def test_the_ranges_are_those_of_the_requirements() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["pipecat"], *extras["build"]]
    asked += extras["prometheus"]
    ours = _ranges(asked)
    assert len(ours) == len(set(asked))
    everything = _ranges((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines())
    assert ours == {name: everything.get(name) for name in ours}


def test_the_core_runs_from_the_wheel_without_pipecat(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path)
    absent = ("pipecat", "loguru", "aiortc", "av", "tqdm")
    program = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))
from avatar import *
import avatar
assert avatar.__file__.startswith({str(tmp_path)!r}), avatar.__file__
mira = Avatar.load(AvatarConfig(size=128))
print(mira.face().draw(Pose(open=1.0)).shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "(128, 128, 3)\n", ran.stderr


def test_a_missing_extra_is_named() -> None:
    program = (
        "import runpy, sys; sys.modules['tqdm'] = None; "
        "runpy.run_module('avatar', run_name='__main__')"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == "error: tqdm is missing; install mouthpiece with its extra: [build]\n"


def test_the_public_names_are_documented() -> None:
    told = (ROOT / "docs" / "own_bot.md").read_text(encoding="utf-8")
    for name in [*avatar.__all__, "AvatarProcessor", "avatar_params", "AvatarWebRTCTransport"]:
        assert getattr(avatar, name, avatar).__doc__
        assert f"`{name}" in told, name
