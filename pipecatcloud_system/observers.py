"""Logs how long pipelines take to start and to answer; Pipecat loads this as a setup file.

Named in PIPECAT_SETUP_FILES, it is run once for each pipeline, by its path: it can import the
pod's modules, but is none of them. Its lines carry the session's id as all lines do.
"""

from collections.abc import Callable
from typing import Any

from loguru import logger
from pipecat.frames.frames import BotStartedSpeakingFrame, OutputImageRawFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.observers.startup_timing_observer import (
    StartupTimingObserver,
    StartupTimingReport,
    TransportTimingReport,
)
from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver
from pipecat.pipeline.worker import PipelineWorker

from pipecatcloud_system.session import happened


async def setup_worker_runner(_runner: Any) -> None:
    """Do nothing: Pipecat warns of setup files that lack this function."""


async def setup_pipeline_worker(worker: PipelineWorker) -> None:
    """Observe a pipeline's start, and the pauses before the bot speaks."""
    start, latency = StartupTimingObserver(), UserBotLatencyObserver()
    told: set[str] = set()

    async def tell(what: str, text: str) -> None:
        logger.info(text)
        told.add(what)
        if len(told) == 2:
            # It is shown every step of every frame, and has nothing more to tell.
            await worker.remove_observer(start)

    async def on_startup(_: StartupTimingObserver, report: StartupTimingReport) -> None:
        slowest = max(report.processor_timings, key=lambda each: each.duration_secs, default=None)
        detail = f", {slowest.processor_name} {_ms(slowest.duration_secs)}" if slowest else ""
        await tell("start", f"The pipeline took {_ms(report.total_duration_secs)} to start{detail}")

    async def on_transport(_: StartupTimingObserver, report: TransportTimingReport) -> None:
        await tell("client", f"The client connected after {_ms(report.client_connected_secs)}")

    async def on_first_speech(_: UserBotLatencyObserver, latency_s: float) -> None:
        logger.info("The bot first spoke {} after the client connected", _ms(latency_s))

    async def on_latency(_: UserBotLatencyObserver, latency_s: float) -> None:
        logger.info("The bot answered after {}", _ms(latency_s))

    start.add_event_handler("on_startup_timing_report", on_startup)
    start.add_event_handler("on_transport_timing_report", on_transport)
    latency.add_event_handler("on_first_bot_speech_latency", on_first_speech)
    latency.add_event_handler("on_latency_measured", on_latency)
    worker.add_observer(start)
    worker.add_observer(latency)
    if (report := happened.get(None)) is not None:
        worker.add_observer(_FirstFrame(worker, report))


class _FirstFrame(BaseObserver):
    """Reports the first picture that the bot hands out, or its first sound."""

    def __init__(self, worker: PipelineWorker, report: Callable[[str], None]) -> None:
        super().__init__()
        self._worker = worker
        self._report: Callable[[str], None] | None = report

    async def on_push_frame(self, data: FramePushed) -> None:
        if self._report and isinstance(data.frame, BotStartedSpeakingFrame | OutputImageRawFrame):
            self._report("session_first_frame")
            self._report = None
            await self._worker.remove_observer(self)


def _ms(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else f"{seconds * 1000:.0f} ms"
