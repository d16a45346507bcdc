"""A small run of chaos: nothing that must hold is violated while everything that can end ends."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def test_sessions_survive_what_they_can_and_end_once(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "benchmarks.chaos",
                "--json",
                "--folder",
                str(tmp_path / "run"),
            ),
            *("--sessions", "40", "--steps", "400", "--at-once", "12", "--seed", "1"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-6000:]
    figures = {each["name"]: each["values"] for each in json.loads(ran.stdout)["figures"]}
    assert figures["violations"] == {"n": 0}
    # That nothing was found means something only where something was done.
    assert figures["steps"]["n"] >= 400
    assert figures["sessions told of"]["n"] >= 40
    assert figures["found adopted"]["n"] > 0
    ended = figures["ended from outside"]
    assert ended.get("SIGKILL", 0) + ended.get("SIGTERM", 0) > 0
