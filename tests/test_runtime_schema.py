"""The whole of /openapi.json under generated requests: no 5xx, no secret in a reply or the log."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import ORGANIZATION, RunningPlane, running_plane, stub_agent

BOT = "import asyncio\n\nasync def bot(args):\n    await asyncio.sleep(2)\n"
SECRET = "sn0w-under-the-c4rpet"
EXAMPLES = 10
CONFIG = """
[parameters]
"path.organization" = "local"
"path.agent" = "stub"
"path.name" = "stub"
"""
"""Else nearly every path would lead to what is not there."""
DELETE_AGENT = "delete_v1_organizations__organization__services__name__delete"
"""Left out: what comes after it would find no agent."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane with a stub agent that has a secret."""
    folder = tmp_path_factory.mktemp("plane")
    with running_plane(folder, {"stub": stub_agent(folder / "stub", BOT)}) as running:
        path = f"{ORGANIZATION}/secrets/kept"
        put = {"secretKey": "STUB_SECRET", "secretValue": SECRET}
        assert running.ask("PUT", path, put).status == 202
        assert running.deploy("stub", secretSet="kept")["errors"] == []
        yield running


@pytest.mark.parametrize("key", ["private", "public", "none"])
def test_generated_requests_find_no_failure_and_no_secret(
    plane: RunningPlane, tmp_path: Path, key: str
) -> None:
    keys = {"private": plane.private_key, "public": plane.public_key}
    replies = tmp_path / "replies.yaml"
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{plane.url}/openapi.json", "--exclude-operation-id", DELETE_AGENT),
        *("--checks", "not_a_server_error", "--max-examples", str(EXAMPLES)),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic"),
        *("--warnings", "off", "--no-color", "--report", "vcr"),
        *("--report-vcr-path", str(replies)),
        # A metric's name is chosen by nobody, and its page is long.
        *("--exclude-path", "/metrics"),
    ]
    if key in keys:
        command += ["--header", f"Authorization: Bearer {keys[key]}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert plane.process.poll() is None
    assert DELETE_AGENT in plane.ask("GET", "/openapi.json").content.decode()
    asked = re.findall(r" - [A-Z]+ /\S+ (\d+) \d+ ms", plane.log.read_text())
    assert len(asked) > 500
    assert {"200", "400", "401", "404"} <= set(asked)
    told = replies.read_text()
    assert "status: " in told or '"status"' in told
    assert SECRET not in told
    log = plane.log.read_text()
    # The first lines show the keys, once.
    after = log.partition("Listening on")[2]
    for secret in (SECRET, plane.private_key, plane.public_key):
        assert secret not in after
    assert "A task of the control plane failed" not in after
    assert "A request failed" not in after, after[after.index("A request failed") :][:2000]
