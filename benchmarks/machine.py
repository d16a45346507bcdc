"""Names the machine and measures one picture warp on it, the yardstick for all other figures.

    python -m benchmarks.machine

A shared machine is sometimes half as fast as a minute ago. The yardstick, one bilinear
`cv2.remap` of a 512x512 BGRA picture on one thread, says how fast it was during a run.
"""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

PACKAGES = ("pipecat-ai", "aiortc", "av", "onnxruntime", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Machine:
    """What a figure was measured on.

    Attributes:
        cpu: model name.
        cores: logical CPUs that this process may use.
        system: operating system and architecture.
        python: version.
        packages: name -> version of what does the work.
        remap_ms: CPU milliseconds of one 512x512 BGRA remap, median of many.
        load: processes waiting for a CPU, averaged over the last minute.
    """

    cpu: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]
    remap_ms: float
    load: float

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}\n"
            f"{packages}\n"
            f"one 512x512 BGRA remap: {self.remap_ms:.2f} ms CPU; load {self.load:.1f}"
        )

    def as_numbers(self) -> dict[str, object]:
        """The same for JSON."""
        return asdict(self)


def this_machine() -> Machine:
    """The machine this runs on, its yardstick measured now (about 0.2 s)."""
    return Machine(
        cpu=_cpu_name(),
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=_versions(),
        remap_ms=remap_ms(),
        load=round(os.getloadavg()[0], 2),
    )


def remap_ms(times: int = 100) -> float:
    """Median CPU milliseconds of one bilinear remap of a 512x512 BGRA picture, one thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (512, 512, 4), np.uint8)
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    columns, rows = columns + 3 * np.sin(rows / 40), rows + 2 * np.cos(columns / 50)
    spent = []
    for _ in range(times):
        start = time.thread_time()
        cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        spent.append(time.thread_time() - start)
    cv2.setNumThreads(threads)
    return float(np.median(spent) * 1e3)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Print the machine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    machine = this_machine()
    print(json.dumps(machine.as_numbers(), indent=2) if options.json else machine)


if __name__ == "__main__":
    main()
