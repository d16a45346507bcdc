"""Runs the stages of a Dockerfile without Docker: overlay mounts above Debian, and chroot.

Debian's own Python stands in for the official Python image, which is Debian and a Python.
Needs Linux, root and debootstrap.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from benchmarks.dockerfile import Ignored, Instruction, Stage, filled, stages

PACKAGES = "ca-certificates,python-is-python3,python3,python3-pip,python3-venv"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
FROM_THE_HOST = ("/etc/resolv.conf", CERTIFICATES)
"""Lent to every RUN, so that it reaches the package registry as this machine does."""


@dataclass
class Built:
    """A stage that was built.

    Attributes:
        layers: folders, the lowest first.
        environment: what its ENV set.
        folder: its WORKDIR.
        user: its USER; empty for root.
        last: the last instruction of each kind.
    """

    layers: list[Path]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    folder: str = "/"
    user: str = ""
    last: dict[str, Instruction] = field(default_factory=dict)


class ChrootBuild:
    """Builds stages of a repository's Dockerfile.

    Args:
        repository: has Dockerfile and .dockerignore.
        folder: takes the layers; what is left there of Debian is used again.
    """

    def __init__(self, repository: Path, folder: Path) -> None:
        self._repository = repository
        self._folder = folder
        self._stages = {stage.name: stage for stage in stages(repository / "Dockerfile")}
        self._ignored = Ignored(repository / ".dockerignore")
        self._built: dict[str, Built] = {}

    @property
    def default(self) -> str:
        """The stage that is built when none is named."""
        return list(self._stages)[-1]

    def built(self, name: str) -> Built:
        """The stage of that name, built when it is asked for the first time.

        Raises:
            CalledProcessError: a step of it failed.
            ValueError: it is based on an image that Debian cannot stand in for.
        """
        if name not in self._built:
            self._built[name] = self._build(self._stages[name])
        return self._built[name]

    def debian(self, image: str) -> Path:
        """Debian with its Python, of the release and version of an official Python image."""
        match = re.fullmatch(r"python:(3\.\d+)-slim-(\w+)", image)
        if match is None:
            raise ValueError(f"Debian cannot stand in for {image}")
        version, release = match.groups()
        root = self._folder / release
        if not root.exists():
            fresh = self._folder / f"{release}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            _step(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, fresh])
            _step(["chroot", fresh, "sh", "-c", "apt-get clean; rm -rf /var/lib/apt/lists/*"])
            fresh.rename(root)
        _step(["chroot", root, f"python{version}", "--version"])
        return root

    def _build(self, stage: Stage) -> Built:
        below = [] if stage.base == "scratch" else [self.debian(stage.base)]
        layer = self._folder / f"layer-{stage.name}"
        shutil.rmtree(layer, ignore_errors=True)
        layer.mkdir(parents=True)
        built = Built([*below, layer])
        arguments: dict[str, str] = {}
        with mounted(below, layer) as root, ExitStack() as lent:
            if below:
                for path in FROM_THE_HOST:
                    lent.enter_context(_bound(Path(path).resolve(), root / path[1:]))
            for one in stage.instructions:
                built.last[one.name] = one
                known = arguments | built.environment
                if one.name == "ARG":
                    arguments |= one.settings
                elif one.name == "ENV":
                    filled_in = {key: filled(text, known) for key, text in one.settings.items()}
                    built.environment |= filled_in
                elif one.name == "WORKDIR":
                    built.folder = one.value
                    (root / one.value[1:]).mkdir(parents=True, exist_ok=True)
                elif one.name == "USER":
                    built.user = one.value
                elif one.name == "COPY":
                    self._copy(one, root, built.folder)
                elif one.name == "RUN":
                    variables = _host_settings() | known
                    _step(in_chroot(root, built.folder, variables, ["sh", "-c", one.value]))
        return built

    def _copy(self, one: Instruction, root: Path, folder: str) -> None:
        *sources, target = one.words
        into = root / str(PurePosixPath(folder) / target)[1:]
        into.mkdir(parents=True, exist_ok=True)
        if "from" in one.flags:
            with mounted(self.built(one.flags["from"]).layers, None) as other:
                for source in sources:
                    _step(["cp", "--archive", f"{other / source[1:]}/.", into])
            return
        for source in sources:
            path = self._repository / source
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                name = PurePosixPath(file.relative_to(self._repository).as_posix())
                if file.is_file() and name not in self._ignored:
                    copy = into / file.relative_to(path if path.is_dir() else path.parent)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, copy)


def in_chroot(
    root: Path, folder: str, environment: dict[str, str], command: Sequence[str], user: str = ""
) -> list[str]:
    """The command that runs another one in a chroot, with this environment and no other."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    who = [f"--userspec={user}"] if user else []
    return ["chroot", *who, str(root), "env", "-i", f"--chdir={folder}", *settings, *command]


@contextmanager
def mounted(lower: Sequence[Path], upper: Path | None) -> Iterator[Path]:
    """Layers, the lowest first, as one folder; without an upper one it cannot be written to."""
    # An overlay's work folder must be on the file system of its upper one.
    with TemporaryDirectory(prefix="overlay-", dir=upper.parent if upper else None) as own:
        empty, work, root = (Path(own, name) for name in ("empty", "work", "root"))
        for folder in (empty, work, root):
            folder.mkdir()
        options = "lowerdir=" + ":".join(str(path) for path in [*reversed(lower), empty])
        if upper:
            options += f",upperdir={upper},workdir={work}"
        _step(["mount", "-t", "overlay", "overlay", "-o", options, root])
        try:
            yield root
        finally:
            _step(["umount", root])


@contextmanager
def _bound(source: Path, target: Path) -> Iterator[None]:
    _step(["mount", "--bind", source, target])
    try:
        yield
    finally:
        _step(["umount", target])


def _host_settings() -> dict[str, str]:
    """What this machine tells pip about the way to the registry."""
    here = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    pip = {name: os.environ[name] for name in ("PIP_INDEX_URL",) if name in os.environ}
    return here | pip | {"PIP_CERT": CERTIFICATES, "PIP_ROOT_USER_ACTION": "ignore"}


def _step(command: Sequence[str | Path]) -> None:
    """Run a command; what it prints goes to standard error."""
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
