"""Whether every pinned package has a wheel for every machine and Python that the project names.

    python .ci/check_wheels.py

Asks pip, which takes no wheel's contents for it. Besides: whether constraints.txt pins all that
requirements.txt leads to there, markers and all. Ends with 1 and the names where something is
missing; with 0 and a word on it where no package registry answers, or stops to. Takes two to four
minutes.
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packaging.markers import Environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC = [f"manylinux_2_{minor}" for minor in range(28, 16, -1)] + ["manylinux2014"]
MACHINES = {
    "Linux x86-64": ([f"{glibc}_x86_64" for glibc in GLIBC], "linux", "x86_64"),
    "Linux arm64": ([f"{glibc}_aarch64" for glibc in GLIBC], "linux", "aarch64"),
    "macOS arm64": (["macosx_14_0_arm64"], "darwin", "arm64"),
}
"""Name -> what pip calls it, and what markers do. glibc 2.28: Debian 10, RHEL 8. macOS 14."""
FROM_SOURCE = {"docopt"}
"""Published as source alone, all of it Python: pip builds it anywhere."""

Wheels = dict[str, dict[str, Any]]
"""Package -> its entry in pip's report."""


class NoAnswer(Exception):
    """The registry stopped answering, or pip cannot ask it; the message has pip's words."""


def pins() -> list[Requirement]:
    """The lines of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def environment(machine: str, python: str) -> Environment:
    """What markers see on that machine."""
    _, system, processor = MACHINES[machine]
    name = {"linux": "Linux", "darwin": "Darwin"}[system]
    return Environment(
        implementation_name="cpython",
        os_name="posix",
        platform_machine=processor,
        platform_python_implementation="CPython",
        platform_system=name,
        python_full_version=f"{python}.0",
        python_version=python,
        sys_platform=system,
    )


def wheels(wanted: list[Requirement], machine: str, python: str) -> tuple[Wheels, list[str]]:
    """The wheels that pip would take there, and the packages for which it finds none."""
    here = environment(machine, python)
    asked = [f"{one.name}{one.specifier}" for one in wanted if applies(one, here)]
    missing: list[str] = []
    while True:
        ran, entries = reported(asked, machine, python)
        if ran.returncode == 0:
            break
        unfound = ran.stderr.rpartition("No matching distribution found for ")[2].split()
        if not unfound or unfound[0] not in asked:
            raise NoAnswer(f"pip failed for {machine}, Python {python}:\n{ran.stderr[-2000:]}")
        # pip stops at the first: go on without it, to name them all.
        asked.remove(unfound[0])
        missing.append(unfound[0])
    for entry in entries:
        pythons = entry["metadata"].get("requires_python", "")
        if f"{python}.0" not in SpecifierSet(pythons):
            missing.append(f"{name_of(entry)}, which is for Python {pythons}")
    return {name_of(entry): entry for entry in entries}, missing


def reported(
    asked: list[str], machine: str, python: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """How pip ended when asked for wheels, and the entries of its report."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--ignore-installed", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={tag}" for tag in MACHINES[machine][0]]
    # Older versions of pip hold a package's range of Pythons against the one that runs them.
    command += ["--ignore-requires-python"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        ran = subprocess.run(
            [*command, f"--target={folder}", f"--report={report}", *asked],
            capture_output=True,
            text=True,
        )
        entries = json.loads(report.read_text())["install"] if report.exists() else []
    return ran, entries


def name_of(entry: dict[str, Any]) -> str:
    """A report's entry's package."""
    return canonicalize_name(entry["metadata"]["name"])


def applies(one: Requirement, here: Environment, extra: str = "") -> bool:
    """Whether a requirement's marker holds."""
    return one.marker is None or one.marker.evaluate({**here, "extra": extra})


def unpinned(found: Wheels, machine: str, python: str) -> set[str]:
    """What requirements.txt leads to there and constraints.txt does not pin."""
    here = environment(machine, python)
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    waiting = [Requirement(line) for line in lines if line and not line.startswith("#")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        if not applies(one, here):
            continue
        name = canonicalize_name(one.name)
        for extra in {"", *one.extras} - {extra for seen_name, extra in seen if seen_name == name}:
            seen.add((name, extra))
            needs = found.get(name, {"metadata": {}})["metadata"].get("requires_dist", [])
            for need in map(Requirement, needs):
                if applies(need, here, extra):
                    need.marker = None
                    waiting.append(need)
    return {name for name, _ in seen} - found.keys() - FROM_SOURCE


def check(python: str) -> list[str]:
    """One line for each thing that is missing for that Python, after a line for each machine."""
    wanted = [one for one in pins() if canonicalize_name(one.name) not in FROM_SOURCE]
    first, *others = MACHINES
    found, missing = wheels(wanted, first, python)
    # What is pure Python here is so everywhere.
    pure = {name for name, one in found.items() if one["download_info"]["url"].endswith("-any.whl")}
    own = [one for one in wanted if canonicalize_name(one.name) not in pure]
    faults = []
    for machine in MACHINES:
        if machine in others:
            theirs, missing = wheels(own, machine, python)
        else:
            theirs = found
        loose = unpinned(found | theirs, machine, python)
        faults += [f"{machine}, Python {python}: no wheel of {name}" for name in missing]
        faults += [f"{machine}, Python {python}: {name} is not pinned" for name in sorted(loose)]
        built = sum(name not in pure for name in theirs)
        print(f"Python {python}  {machine:13} {built:3} wheels of its own, {len(pure)} of all")
    return faults


def answers() -> bool:
    """Whether a package registry can be reached."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1"]
    with tempfile.TemporaryDirectory() as folder:
        return not subprocess.run(
            [*command, f"--dest={folder}", "packaging"], capture_output=True
        ).returncode


def main() -> int:
    """Check all; gives the exit status."""
    if not answers():
        print("No package registry answers: wheels were not checked.")
        return 0
    try:
        with ThreadPoolExecutor(2) as pool:
            faults = [fault for found in pool.map(check, PYTHONS) for fault in found]
    except NoAnswer as error:
        print(f"{error}\nNot all wheels were checked.")
        return 0
    print(*faults or ["Every pinned package has its wheels."], sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
