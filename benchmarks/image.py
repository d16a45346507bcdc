"""The container image, built and run without Docker: does it serve, how large is it.

    sudo python -m benchmarks.image
    sudo python -m benchmarks.image --folder /var/tmp/image     # keeps Debian for the next time

Runs the Dockerfile's steps in a chroot (see chroot_build), starts the pod in it as the image's own
user, as process 1, with nothing to write to, and talks to it from outside. Sizes are those of
`tar | gzip -6`, in which registries count; the base is Debian with Debian's Python and pip, in
the place of the official Python image. Needs Linux, root and debootstrap; what it proves is the
recipe, not the image: that still has to be built.

Ends with 1 when the pod does not serve or a target is missed.
"""

import argparse
import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil

from benchmarks.chroot_build import Built, ChrootBuild, in_chroot, mounted
from benchmarks.peer import Peer
from benchmarks.pods import OFFLINE, REPOSITORY
from benchmarks.report import Figure, print_report

MEGA = 1e6
READY_TIMEOUT_S = 60.0
LARGEST = 12
# The kernel shows a process's own namespaces only in a /proc mounted from inside them.
AS_PROCESS_1 = 'mount -t proc proc "$0/proc" && exec "$@"'


@dataclass(frozen=True)
class Running:
    """A pod in its chroot.

    Attributes:
        url: its address.
        process: of the pod, which is process 1 in there.
        outer: what runs the chroot; ends with the pod's status.
        ready_s: seconds from start to ready.
    """

    url: str
    process: psutil.Process
    outer: subprocess.Popen[str]
    ready_s: float


@contextmanager
def running(built: Built, root: Path) -> Iterator[Running]:
    """The image's own command on a free port, ended with the block.

    Args:
        built: the stage that `root` has.
        root: its files; may be read-only.

    Raises:
        RuntimeError: it ended, or was not ready within a minute.
    """
    variables = built.environment | OFFLINE | {"PORT": "0"}
    command = in_chroot(root, built.folder, variables, built.last["CMD"].words, built.user)
    started = time.perf_counter()
    own_pids = ["unshare", "--mount", "--pid", "--fork"]
    outer = subprocess.Popen(
        [*own_pids, "sh", "-c", AS_PROCESS_1, str(root), *command],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert outer.stdout is not None
        line = outer.stdout.readline()
        if not line.startswith("Listening on "):
            raise RuntimeError(f"the pod ended with {outer.wait()}: {line}")
        url = f"http://127.0.0.1:{urlsplit(line.split()[-1]).port}"
        _wait_ready(url, started)
        ready_s = time.perf_counter() - started
        (process,) = psutil.Process(outer.pid).children()
        yield Running(url, process, outer, ready_s)
    finally:
        # Process 1 in there takes all others with it.
        for child in psutil.Process(outer.pid).children() if outer.poll() is None else []:
            child.kill()
        outer.wait()


def _wait_ready(url: str, started: float) -> None:
    while time.perf_counter() - started < READY_TIMEOUT_S:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the pod was not ready within {READY_TIMEOUT_S:g} s")


async def talk(url: str) -> Figure:
    """A conversation's first seconds.

    Raises:
        TimeoutError: no connection, picture or sound came.
    """
    async with Peer(url) as peer:
        await peer.connect()
        offered = time.time()
        picture_s = await peer.first_picture()
        await peer.post("/speak", {"message": "I live in a container now."})
        await peer.speech(start_s=10.0)
        recording = peer.recording()
    values = {
        "first picture after the connection, ms": (picture_s - offered) * 1e3,
        "pictures": float(len(recording.pictures)),
        "sound, s": len(recording.pcm) / 48_000,
    }
    return Figure("heard and seen from outside", values)


def health(built: Built, root: Path, port: int) -> tuple[int, float]:
    """Exit status of the image's health check, and the CPU milliseconds it takes."""
    command = built.last["HEALTHCHECK"].words
    variables = built.environment | {"PORT": str(port)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run(
        in_chroot(root, built.folder, variables, command, built.user), stderr=subprocess.DEVNULL
    ).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return status, spent_s * 1e3


def serving(built: Built, root: Path) -> list[Figure]:
    """What the image does when it runs."""
    with running(built, root) as pod:
        port = urlsplit(pod.url).port or 0
        healthy, check_ms = health(built, root, port)
        heard = asyncio.run(talk(pod.url))
        memory = pod.process.memory_info().rss / (1 << 20)
        user = pod.process.uids().effective
        pod.process.send_signal(signal.SIGTERM)
        ended = pod.outer.wait(30)
    unhealthy, _ = health(built, root, port)
    return [
        Figure("start to ready", {"s": pod.ready_s}),
        Figure("runs as", {"user": user, "resident MiB": memory}),
        heard,
        Figure("exit status after SIGTERM", {"status": ended}, limits={"status": 0}),
        Figure(
            "health check",
            {"status": healthy, "right when gone": float(unhealthy == 0), "CPU ms": check_ms},
            limits={"status": 0, "right when gone": 0},
        ),
    ]


def sizes(built: Built, root: Path) -> list[Figure]:
    """Compressed sizes, and what the largest packages take unpacked."""
    venv = built.layers[-1] / "opt/venv"
    (packages,) = venv.glob("lib/python*/site-packages")
    by_name: dict[str, float] = {}
    for entry in packages.iterdir():
        files = [entry, *entry.rglob("*")] if entry.is_dir() else [entry]
        # A wheel's own libraries lie beside it: numpy and numpy.libs.
        name = entry.name.removesuffix(".libs").replace("opencv_python_headless", "cv2")
        size = sum(file.stat().st_size for file in files if file.is_file()) / MEGA
        by_name[name] = by_name.get(name, 0.0) + size
    largest = dict(sorted(by_name.items(), key=lambda item: -item[1])[:LARGEST])
    compressed = {"image": gzipped(root), "above its base": gzipped(built.layers[-1])}
    return [
        Figure("compressed", compressed, "MB", {"image": 450.0}),
        Figure("largest packages, unpacked", largest, "MB"),
    ]


def gzipped(folder: Path) -> float:
    """Megabytes of a folder's archive, compressed as registries keep layers."""
    line = 'tar --create --directory "$0" . | gzip -6 | wc --bytes'
    counted = subprocess.run(["sh", "-c", line, folder], check=True, capture_output=True)
    return int(counted.stdout) / MEGA


def main() -> None:
    """Build, run, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="for Debian and the layers; kept")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("it mounts file systems: run it as root")
    with TemporaryDirectory(prefix="image-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        build = ChrootBuild(REPOSITORY, folder)
        built = build.built(build.default)
        with mounted(built.layers, None) as root:
            figures = [*serving(built, root), *sizes(built, root)]
    met = print_report("The image, built in a chroot", figures, options.json)
    sys.exit(not met)


if __name__ == "__main__":
    main()
