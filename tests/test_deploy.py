"""What the images hold, what Pipecat Cloud's own tool reads, and that nothing dropped is missed."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from conftest import ROOT, RunningPod, free_port

from benchmarks.dockerfile import Ignored, stages

STAGES = {stage.name: stage for stage in stages(ROOT / "Dockerfile")}
POD = STAGES["pod"]
UNUSED = STAGES["packages"].all("ARG")[0].settings["UNUSED"].split()
SERVED = """
import importlib.metadata, os, sys

gone = set(sys.argv[1:])
names = importlib.metadata.packages_distributions()
owned = [(name, owner.lower()) for name, owners in names.items() for owner in owners]
blocked = {name for name, owner in owned if owner in gone}
assert gone <= {owner for _, owner in owned}, "UNUSED names what nobody asks for any more"

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)

sys.meta_path.insert(0, Missing())
import bot, pipecat.runner.run, pipecatcloud_system.server
import pipecat.transports.daily.transport, pipecat.transports.livekit.transport
import pipecat.transports.smallwebrtc.transport, pipecat.transports.websocket.fastapi
import pipecat.transports.whatsapp.client
from services.choice import _MODULES
for module in _MODULES.values():
    __import__(module)
bot.preload()
assert bot.readyz()["ready"]
print("served")
"""
"""Imports all that the pod may need, with the packages of its arguments out of reach."""


def test_the_default_image_is_the_pod() -> None:
    assert list(STAGES.values())[-1] is POD
    assert POD.all("CMD")[-1].words == ["python", "-m", "pipecatcloud_system"]
    assert POD.all("STOPSIGNAL")[-1].value == "SIGTERM"
    user = POD.all("USER")[-1].value
    assert all(int(number) > 0 for number in user.split(":"))
    assert POD.instructions.index(POD.all("USER")[-1]) > POD.instructions.index(POD.all("RUN")[-1])


def test_the_pod_listens_beyond_loopback_in_its_container_alone() -> None:
    settings = {key: text for one in POD.all("ENV") for key, text in one.settings.items()}
    assert settings["HOST"] == "0.0.0.0"
    assert settings["ORT_DISABLE_TELEMETRY"] == "1"
    cloud = STAGES["pipecat-cloud"].all("ENV")[0].settings
    assert cloud["ORT_DISABLE_TELEMETRY"] == "1"


def test_packages_come_before_code_and_nothing_else_is_copied() -> None:
    for stage in STAGES.values():
        for one in stage.all("COPY"):
            for source in one.words[:-1] if "from" not in one.flags else []:
                assert (ROOT / source).exists(), source
                assert source != ".", "COPY . takes whatever lies about"
    copies = [shlex.split(one.value)[0] for one in POD.all("COPY")]
    assert copies == ["/opt/venv", "/", "pipecatcloud_system"]
    cloud = [one.name for one in STAGES["pipecat-cloud"].instructions]
    assert cloud == ["ENV", "COPY", "RUN", "COPY", "RUN"]
    assert "pipecatcloud_system" not in str(STAGES["agent"].instructions)


def test_the_pod_needs_nothing_of_what_the_image_drops() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SERVED, *UNUSED],
        cwd=ROOT,
        env={**os.environ, "PIPECAT_LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout.endswith("served\n"), ran.stderr[-3000:]


@pytest.mark.parametrize("runs", [True, False])
def test_the_health_check_tells_a_pod_from_nobody(pod: RunningPod, runs: bool) -> None:
    words = POD.all("HEALTHCHECK")[-1].words
    assert words[0] == "python"
    port = pod.url.rpartition(":")[2] if runs else str(free_port())
    ran = subprocess.run([sys.executable, *words[1:]], env={"PORT": port}, capture_output=True)
    assert (ran.returncode == 0) == runs, ran.stderr.decode()


# --- what is packed --------------------------------------------------------------------------

KEPT_OUT = (".env", "services/.env", ".env.local", ".git/config", "tests/x.py", "a.pem")
KEPT_OUT += (".venv/bin/python", "client/src/main.ts", "client/node_modules/a/b.js", "docs/x.md")
KEPT_OUT += ("avatar/__pycache__/x.pyc", "training/x.py", "benchmarks/x.py", "bot.pyc")


def _needed() -> set[str]:
    return {
        source
        for stage in STAGES.values()
        for one in stage.all("COPY")
        if "from" not in one.flags
        for source in one.words[:-1]
    }


def test_docker_is_sent_no_secret_and_all_that_is_copied() -> None:
    ignored = Ignored(ROOT / ".dockerignore")
    assert [path for path in KEPT_OUT if PurePosixPath(path) not in ignored] == []
    assert [path for path in _needed() if PurePosixPath(path) in ignored] == []
    for source in sorted(_needed()):
        files = (file for file in (ROOT / source).rglob("*") if file.is_file())
        names = (PurePosixPath(file.relative_to(ROOT).as_posix()) for file in files)
        lost = [name for name in names if name in ignored and "__pycache__" not in name.parts]
        assert lost == []


# --- Pipecat Cloud's tool: in processes of its own, since importing it takes over the log ----

READ_CONFIG = """
import json
from pipecatcloud._utils.deploy_utils import load_deploy_config_file
print(json.dumps(load_deploy_config_file().to_dict()))
"""
PACK = """
import sys
from pathlib import Path
from pipecatcloud._utils.build_utils import create_deterministic_tarball, get_exclusions
folder = Path(sys.argv[1])
packed = create_deterministic_tarball(str(folder), get_exclusions(folder))
sys.stdout.buffer.write(packed.tarball)
"""


def _tool(program: str, *arguments: str, **environment: str) -> bytes:
    pytest.importorskip("toml", reason="pipecatcloud is needed: requirements-dev.txt has it")
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    return ran.stdout


def test_pipecat_cloud_reads_our_settings() -> None:
    read = json.loads(_tool(READ_CONFIG, PIPECAT_DEPLOY_CONFIG_PATH=str(ROOT / "pcc-deploy.toml")))
    assert (read["agent_name"], read["agent_profile"]) == ("mouthpiece", "agent-1x")
    assert read["build_config"]["dockerfile"] == "Dockerfile"
    assert read["scaling"] == {"min_agents": 0, "max_agents": 5}


def test_pipecat_cloud_packs_no_secret_and_all_that_is_copied(tmp_path: Path) -> None:
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, tmp_path)
    for source in _needed():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / source, tmp_path / source)
    for name in KEPT_OUT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret", encoding="utf-8")
    with tarfile.open(fileobj=io.BytesIO(_tool(PACK, str(tmp_path)))) as packed:
        names = set(packed.getnames())
    assert not names & set(KEPT_OUT)
    assert {"Dockerfile", "bot.py", "requirements.txt", "client/dist/index.html"} < names
    assert {"avatar/assets/lipsync.onnx", "pipecatcloud_system/routes.py"} < names
