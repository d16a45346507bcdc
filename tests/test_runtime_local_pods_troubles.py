"""Pods of this machine that do not come to be, or end when nobody expects it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from control_plane import stub_agent
from pod_engine import SLEEPS, Pods, engine, run_folder, soon
from pod_process import until

from runtime.local_process import LocalProcess
from runtime.pods import PodSpec, Unavailable


@pytest.fixture(scope="module")
def run() -> Iterator[Path]:
    with run_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PodSpec:
    folder = stub_agent(tmp_path_factory.mktemp("agent"), SLEEPS)
    return PodSpec("stub", "first-deployment", folder, {"STUB_SECRET": "hush"})


@pytest_asyncio.fixture
async def pods(run: Path) -> AsyncIterator[Pods]:
    async with engine(run) as pods:
        yield pods


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_here\n", "No module named 'no_such_module_here'"),
        (
            "async def bot(args): pass\n\ndef preload():\n    raise ValueError('no model')",
            "no model",
        ),
        ("nothing = 1\n", "has no bot"),
    ],
)
async def test_a_bad_bot_is_told_with_its_last_words(
    pods: Pods, tmp_path: Path, source: str, said: str
) -> None:
    bad = PodSpec("stub", tmp_path.name[-8:], stub_agent(tmp_path / "bad", source))
    with pytest.raises(Unavailable, match=said):
        await pods.ensure(bad, warm=1, limit=2)
    assert (await pods.list()).pods == ()


async def test_a_pod_that_dies_as_it_starts_is_told_with_its_last_words(
    pods: Pods, spec: PodSpec
) -> None:
    wrong = PodSpec(spec.agent, "wrong", spec.folder, {"STUB_SECRET": "wrong"})
    await pods.ensure(wrong, warm=0, limit=2)
    with pytest.raises(Unavailable, match="the secret is wrong"):
        await pods.claim("one", soon())
    assert pods.failing
    await until(lambda: pods.claimed == 0)


async def test_a_pod_that_is_ended_while_it_starts_is_no_failure(pods: Pods, spec: PodSpec) -> None:
    await pods.ensure(spec, warm=2, limit=2)

    async def starting() -> bool:
        return len(await pods.of("starting")) == 2

    await until(starting)
    await pods.close_door()
    await pods.count(warm=0)
    assert not pods.failing


async def test_a_bad_deployment_leaves_the_pods_that_serve(
    pods: Pods, spec: PodSpec, tmp_path: Path
) -> None:
    await pods.ensure(spec, warm=1, limit=2)
    bad = PodSpec("stub", "bad-one", stub_agent(tmp_path / "bad", "raise ValueError"))
    with pytest.raises(Unavailable):
        await pods.ensure(bad, warm=1, limit=2)
    assert (await pods.claim("one", soon())).deployment_id == spec.deployment_id


async def test_a_bot_with_threads_has_its_pods_started_one_by_one(
    run: Path, tmp_path: Path
) -> None:
    source = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n" + SLEEPS
    )
    spec = PodSpec("stub", "threads", stub_agent(tmp_path / "threads", source))
    first = Pods(run)
    await first.ensure(spec, warm=0, limit=2)
    pod = await first.claim("one", soon())
    assert pod.process_id is not None
    process = psutil.Process(pod.process_id)
    assert process.ppid() == os.getpid()
    assert "pipecatcloud_system" in process.cmdline()
    await first.leave()
    async with engine(run) as second:
        assert [each.id for each in await second.of("claimed")] == [pod.id]
        process.kill()
        event = await second.gone(pod.id)
        assert event.pod is not None
        assert event.pod.session_id == "one"


async def test_who_leaves_before_his_pod_is_ready_leaves_nothing(pods: Pods, spec: PodSpec) -> None:
    await pods.ensure(spec, warm=0, limit=1)
    for number in range(3):
        claiming = asyncio.create_task(pods.claim(f"gone-{number}", soon()))
        await until(lambda: pods.claimed == 1)
        claiming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await claiming
        await until(lambda: pods.claimed == 0, timeout_s=5)
    assert (await pods.claim("here", soon())).session_id == "here"


async def test_a_claim_that_comes_too_early_gives_its_place_back(pods: Pods, spec: PodSpec) -> None:
    slow = PodSpec(spec.agent, "slow", spec.folder)
    await pods.ensure(slow, warm=0, limit=1)
    with pytest.raises(Unavailable, match="in time"):
        await pods.claim("one", soon(0.2))
    # Its bot.py is being loaded; what comes of it is not wanted any more.
    await until(lambda: pods.claimed == 0, timeout_s=10)
    assert (await pods.claim("two", soon())).session_id == "two"


async def test_a_pod_that_is_being_forked_is_not_lost(run: Path, spec: PodSpec) -> None:
    """The control plane ends between a pod's fork and the note of its number."""
    first = Pods(run)
    await first.ensure(spec, warm=0, limit=1)
    parent = await first._launchers.load(spec)
    launch, forked = parent.launch, asyncio.Future[int]()

    async def held(folder: Path, environment: Mapping[str, str]) -> int:
        forked.set_result(await launch(folder, environment))
        return await asyncio.Future()

    parent.launch = held  # type: ignore[method-assign]
    claiming = asyncio.create_task(first.claim("one", soon()))
    process = psutil.Process(await forked)
    await first.leave()
    claiming.cancel()
    await until(lambda: list(run.glob("pods/*/sock")))
    async with engine(run) as second:
        await second.ensure(spec, warm=1, limit=1)
        await second.count(warm=1)
        await until(lambda: not process.is_running())


async def test_a_pod_that_cannot_be_noted_costs_no_place(
    pods: Pods, spec: PodSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills between its fork and its record."""
    await pods.ensure(spec, warm=0, limit=1)
    noted = LocalProcess.note

    def full(process: LocalProcess) -> None:
        if process.pid:
            raise OSError(28, "No space left on device")
        noted(process)

    monkeypatch.setattr(LocalProcess, "note", full)
    with pytest.raises(Unavailable, match="No space left"):
        await pods.claim("one", soon())
    monkeypatch.undo()
    assert pods.claimed == 0
    assert (await pods.claim("two", soon())).session_id == "two"


async def test_an_end_that_is_noticed_late_was_when_the_parent_saw_it(
    pods: Pods, spec: PodSpec
) -> None:
    await pods.ensure(spec, warm=0, limit=1)
    pod = await pods.claim("one", soon())
    killed_s = time.time()
    os.kill(pod.process_id or 0, signal.SIGKILL)
    # The control plane is busy, or only just starting.
    time.sleep(0.8)  # noqa: ASYNC251
    event = await pods.gone(pod.id)
    assert event.at_s is not None
    assert event.at_s - killed_s < 0.5


async def test_a_folder_that_is_gone_is_told(pods: Pods, tmp_path: Path) -> None:
    gone = PodSpec("stub", "gone", tmp_path / "no-such-folder")
    with pytest.raises(Unavailable, match=r"bot\.py cannot be loaded"):
        await pods.check(gone)


async def test_a_deployment_that_loads_slowly_holds_up_no_pod_of_another(
    pods: Pods, spec: PodSpec, tmp_path: Path
) -> None:
    await pods.ensure(spec, warm=0, limit=2)
    await pods.check(spec)
    slow = PodSpec("stub", "slow", stub_agent(tmp_path / "slow", "import time; time.sleep(600)"))
    loading = asyncio.create_task(pods.check(slow))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(5):
        assert (await pods.claim("one", soon())).deployment_id == spec.deployment_id
    loading.cancel()
    await asyncio.wait({loading})
    await until(lambda: not _running("parent-slow"))


def _running(argument: str) -> bool:
    """Whether a process was started with this in its arguments."""
    found = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any(argument in " ".join(line) for line in found)
