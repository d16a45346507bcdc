"""Who may import whom: the rules of CONTRIBUTING.md, read from the sources."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {
    path.stem if path.is_file() else path.name
    for path in ROOT.iterdir()
    if path.suffix == ".py" or (path / "__init__.py").is_file()
}
KNOW_PIPECAT = {
    "frames.py",
    "metrics.py",
    "speech.py",
    "processor.py",
    "presenter.py",
    "outlet.py",
    "webrtc.py",
    "wiring.py",
}
KNOW_AIORTC = {"picture_track.py", "sound_track.py"}


def _modules(source: Path) -> Iterator[str]:
    """Yield every module that a source file imports, at any depth."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _top(source: Path) -> set[str]:
    return {module.split(".")[0] for module in _modules(source)}


def _sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return [path for path in found if "node_modules" not in path.parts]


def _all() -> list[Path]:
    return [path for name in sorted(OURS) if (ROOT / name).is_dir() for path in _sources(name)]


@pytest.mark.parametrize("source", _sources("avatar"), ids=lambda path: path.name)
def test_the_avatar_knows_no_server_and_only_a_few_files_know_pipecat(source: Path) -> None:
    forbidden = {"fastapi", "starlette", "uvicorn", "livekit", "daily"} | OURS - {"avatar"}
    if source.name not in KNOW_AIORTC:
        forbidden |= {"aiortc"}
    if source.name not in KNOW_PIPECAT:
        forbidden |= {"pipecat"}
    assert not _top(source) & forbidden
    if source.name != "onnx.py":
        assert "os.environ" not in source.read_text(encoding="utf-8")


def test_onnx_runtime_sends_no_reports() -> None:
    program = "import avatar, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.stdout == "1\n", ran.stderr
    knowers = [s for s in _all() if "onnxruntime" in _top(s) and "training" not in s.parts]
    assert [source.name for source in knowers if "tests" not in source.parts] == ["onnx.py"]


def test_the_names_that_the_avatar_package_gives_do_not_load_pipecat() -> None:
    assert not _top(ROOT / "avatar" / "__init__.py") & {"pipecat"}
    modules = set(_modules(ROOT / "avatar" / "__init__.py"))
    assert not {f"avatar.{name[:-3]}" for name in KNOW_PIPECAT} & modules


@pytest.mark.parametrize("source", _sources("offline"), ids=lambda path: path.name)
def test_offline_knows_pipecat_and_nothing_of_ours(source: Path) -> None:
    assert not _top(source) & (OURS - {"offline"})


@pytest.mark.parametrize("source", _sources("services"), ids=lambda path: path.name)
def test_services_know_only_the_offline_ones(source: Path) -> None:
    assert not _top(source) & (OURS - {"services", "offline"})


def test_the_bot_knows_two_names_of_the_pod() -> None:
    modules = {m for m in _modules(ROOT / "bot.py") if m.startswith("pipecatcloud_system")}
    assert modules == {
        "pipecatcloud_system",
        "pipecatcloud_system.add_lifespan_to_app",
        "pipecatcloud_system.app",
    }
    assert not _top(ROOT / "bot.py") & (
        OURS - {"avatar", "offline", "services", "pipecatcloud_system"}
    )


@pytest.mark.parametrize("source", _sources("pipecatcloud_system"), ids=lambda path: path.name)
def test_the_pod_knows_no_avatar_and_only_its_main_knows_the_bot(source: Path) -> None:
    forbidden = OURS - {"pipecatcloud_system"}
    if source.name == "__main__.py":
        forbidden -= {"bot"}
    assert not _top(source) & forbidden


@pytest.mark.parametrize("source", _sources("runtime"), ids=lambda path: path.name)
def test_the_control_plane_reaches_pods_over_http_alone(source: Path) -> None:
    assert not _top(source) & ((OURS - {"runtime"}) | {"pipecat"})
    if source.parent.name == "api":
        assert not {m for m in _modules(source) if m.startswith("runtime.api.")}


def test_training_knows_features_and_controls_and_nobody_knows_training() -> None:
    allowed = {
        "avatar.features",
        "avatar.controls",
        "avatar.phones",
        "avatar.dominance",
        "avatar.lipsync",
    }
    for source in _sources("training"):
        ours = {m for m in _modules(source) if m.split(".")[0] in OURS - {"training"}}
        assert all(any(m == a or m.startswith(a + ".") for a in allowed) for m in ours), ours
    outside = [s for s in _all() if "training" not in s.parts[len(ROOT.parts) :]]
    knowers = [source for source in outside if "training" in _top(source)]
    assert {source.parent.name for source in knowers} <= {"tests", "benchmarks"}
