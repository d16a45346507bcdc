"""A CPU quota holds a process, its children too, and counts what they use."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.cpu_group import CgroupV1, CgroupV2, CpuGroup, DutyCycle, family

BURN_S = 0.4
BURN = f"""
import sys, time
print("there", flush=True)
sys.stdin.readline()
start = time.process_time()
while time.process_time() - start < {BURN_S}: pass
print(time.process_time() - start, flush=True)
sys.stdin.readline()
"""
IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"


def possible(kind: type) -> bool:
    """Whether this machine lets such a group be made."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            kind(psutil.Process(process.pid), None).close()
        except OSError:
            return False
        finally:
            process.communicate(b"\n")
    return True


KINDS = [kind for kind in (CgroupV1, CgroupV2, DutyCycle) if possible(kind)]


@pytest.fixture(params=[BURN, IN_A_CHILD], ids=["itself", "child"])
def burner(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that burns BURN_S of CPU when it gets a line, and leaves at the next."""
    process = subprocess.Popen(
        [sys.executable, "-c", request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # A child that is born while its parent is moved may stay behind.
    assert process.stdout and process.stdout.readline() == "there\n"
    yield process
    for member in family(psutil.Process(process.pid)):
        member.resume()
    process.communicate()


def burnt_in_s(process: subprocess.Popen[str]) -> float:
    """Wall time of the burning."""
    assert process.stdin and process.stdout
    start_s = time.monotonic()
    process.stdin.write("\n")
    process.stdin.flush()
    assert float(process.stdout.readline()) >= BURN_S
    return time.monotonic() - start_s


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_of_a_cpu_takes_four_times_as_long(
    kind: type, burner: subprocess.Popen[str]
) -> None:
    group: CpuGroup = kind(psutil.Process(burner.pid), 0.25)
    try:
        spent_s = burnt_in_s(burner)
        used = group.usage()
    finally:
        group.close()
    # A quota can only be used up: other load makes this longer, nothing makes it shorter.
    assert spent_s > BURN_S / 0.25 - 0.5
    assert used.throttled >= 3
    assert used.periods >= used.throttled
    assert used.throttled_s > 0.3
    assert used.cpu_s > BURN_S * 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_quota_it_is_only_counted(kind: type, burner: subprocess.Popen[str]) -> None:
    group: CpuGroup = kind(psutil.Process(burner.pid), None)
    try:
        burnt_in_s(burner)
        used = group.usage()
    finally:
        group.close()
    assert used.cpu_s > BURN_S * 0.8
    assert used.throttled == 0


def test_the_stand_in_never_leaves_a_process_stopped(burner: subprocess.Popen[str]) -> None:
    process = psutil.Process(burner.pid)
    group = DutyCycle(process, 0.01)
    assert burner.stdin
    burner.stdin.write("\n")
    burner.stdin.flush()
    while not group.usage().throttled:
        time.sleep(0.01)
    group.close()
    assert process.status() != psutil.STATUS_STOPPED


def test_what_was_used_since_is_the_difference(burner: subprocess.Popen[str]) -> None:
    group = DutyCycle(psutil.Process(burner.pid), None)
    before = group.usage()
    burnt_in_s(burner)
    assert group.usage().since(before).cpu_s > BURN_S * 0.8
    group.close()
