"""client/dist: built from client/src byte for byte, and free of other hosts."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parent.parent / "client"
DIST = CLIENT / "dist"
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def _skip(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_committed_bundle_is_what_the_sources_give(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        _skip("npm is needed: apt install nodejs npm (Node 20 or later)")
    copy = tmp_path / "client"
    shutil.copytree(CLIENT, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    installed = _run(copy, "npm", "ci", "--ignore-scripts")
    if installed.returncode != 0:
        _skip(f"npm ci needs a package registry: {installed.stderr[-500:]}")
    for script in ("check", "build"):
        done = _run(copy, "npm", "run", script)
        assert done.returncode == 0, done.stdout + done.stderr
    built, committed = _files(copy / "dist"), _files(DIST)
    assert built.keys() == committed.keys()
    changed = [name for name in built if built[name] != committed[name]]
    assert not changed, f"{changed} in client/dist are old: run `npm ci && npm run build`"


def test_the_page_loads_nothing_from_other_hosts() -> None:
    for name in ("index.html", "client.css"):
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+[^\s'\"]*", (DIST / name).read_text()))
        assert addresses <= {SVG_NAMESPACE}, name
    page = (DIST / "index.html").read_text()
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in page
    assert not re.search(r"\son\w+=|<style|<script(?! type=\"module\" src=\"client\.js\")", page)


def test_the_bundle_is_without_dailys_loader_and_small() -> None:
    script = (DIST / "client.js").read_bytes()
    assert b"daily.co" not in script
    assert b"sentry" not in script.lower()
    assert len(script) < 200_000


def test_the_bundle_names_the_licences_of_what_it_holds() -> None:
    licences = (DIST / "LICENSES.txt").read_text()
    for package in json.loads((CLIENT / "package.json").read_text())["dependencies"]:
        assert f"\n{package} " in licences


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((CLIENT / "package-lock.json").read_text())["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all(entry.get("integrity") for name, entry in packages.items() if name)
