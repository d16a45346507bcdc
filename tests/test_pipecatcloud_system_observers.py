"""Setup files: the operator's own are honoured, and the pod's logs a pipeline's timing."""

import sys
from pathlib import Path

from loguru import logger
from pipecat.frames.frames import BotStartedSpeakingFrame, EndFrame, VADUserStoppedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.workers.runner import WorkerRunner
from pod_process import BOTS, pod_process, test_peer, until
from test_pipecatcloud_system_server import run_pod

from pipecatcloud_system.observers import setup_pipeline_worker

SETUP = """
from loguru import logger

async def setup_pipeline_worker(worker):
    logger.info("the operator's own setup")
"""


async def test_both_setup_files_are_run(tmp_path: Path) -> None:
    setup = tmp_path / "own_setup.py"
    setup.write_text(SETUP)
    with pod_process(tmp_path, PIPECAT_SETUP_FILES=str(setup)) as pod:
        async with test_peer(pod.url) as peer:
            assert (await peer.offer("timed"))[0] == 200
            await peer.hears_and_sees()
            await until(lambda: "The client connected after" in pod.log.read_text())
        log = pod.log.read_text()
    lines = [line.split(" | ")[-1] for line in log.splitlines() if "| INFO " in line]
    told = {line.partition(" - ")[2] for line in lines if line.startswith("timed - ")}
    for said in ("the operator's own setup", "The pipeline took ", "The client connected after "):
        assert any(line.startswith(said) for line in told), log


async def test_each_answer_is_timed() -> None:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    try:
        worker = PipelineWorker(Pipeline([IdentityFilter()]))
        await setup_pipeline_worker(worker)
        await worker.queue_frames(
            [
                VADUserStoppedSpeakingFrame(stop_secs=0.2),
                BotStartedSpeakingFrame(),
                EndFrame(),
            ]
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()
    finally:
        logger.remove(sink)
    assert any(line.startswith("The bot answered after ") for line in lines), lines


def test_a_setup_file_that_is_not_there_keeps_the_pod_from_starting(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text((BOTS / "minimal.py").read_text())
    ended = run_pod(tmp_path, PORT="0", PIPECAT_SETUP_FILES=f"{sys.executable}:{tmp_path}/none.py")
    assert ended.returncode == 2
    assert f"PIPECAT_SETUP_FILES: there is no file {tmp_path}/none.py." in ended.stderr
