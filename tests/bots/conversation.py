"""A bot.py for tests of the pod: does what its body says, and tells what it has seen."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, WebSocket
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import (
    DailyRunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

from pipecatcloud_system import add_lifespan_to_app, app

RATE_HZ = 24_000
WIDTH, HEIGHT = 64, 48
TONE_S = 30
PLACES = ("room_url", "token", "relay_url", "namespace")

state: dict[str, Any] = {"calls": [], "ready": True, "ready_takes_s": 0.0}
released = asyncio.Event()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    print("lifespan entered", file=sys.stderr)
    yield
    print("lifespan left", file=sys.stderr)


add_lifespan_to_app(lifespan)


@app.get("/state")
async def tell() -> dict[str, Any]:
    return state | {"tasks": len(asyncio.all_tasks())}


@app.post("/state")
async def change(changes: dict[str, Any]) -> dict[str, Any]:
    state.update(changes)
    return {}


@app.post("/release")
async def release() -> dict[str, Any]:
    released.set()
    return {}


@app.post("/count")
async def count(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


def readyz() -> Any:
    time.sleep(state["ready_takes_s"])
    if state["ready"] == "raise":
        raise FileNotFoundError("model.onnx is not there")
    return state["ready"]


async def bot(args: Any) -> None:
    body = args.body
    call = {
        "kind": type(args).__name__,
        "session_id": args.session_id,
        "body": body,
        "connected": 0,
        "disconnected": 0,
        "heard_samples": 0,
        "played_samples": 0,
        "end": None,
        "flow_config": args.flow_config,
    } | {name: getattr(args, name) for name in PLACES if hasattr(args, name)}
    state["calls"].append(call)
    released.clear()
    logger.info("bot() runs")
    try:
        match body.get("do") if isinstance(body, dict) else None:
            case "fail":
                room_token = "hush-hush"
                raise RuntimeError(f"no such voice {room_token[:0]}")
            case "wait":
                await released.wait()
            case "wait, then wind up":
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()
            case "log":
                task = asyncio.create_task(log_from("a task"))
                await asyncio.gather(task, asyncio.to_thread(logger.info, "from a thread"))
            case "hold on":
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)
                await asyncio.sleep(60)
            case _ if isinstance(args, SmallWebRTCRunnerArguments):
                await converse(args, call)
            case _ if isinstance(args, WebSocketRunnerArguments):
                await echo(args.websocket)
            case _ if isinstance(args, DailyRunnerArguments):
                pass
        call["end"] = "returned"
    except asyncio.CancelledError:
        call["end"] = "cancelled"
        raise


async def log_from(place: str) -> None:
    logger.info("from {}", place)


async def echo(websocket: WebSocket) -> None:
    while (text := await websocket.receive_text()) != "bye":
        await websocket.send_text(text)


async def converse(args: SmallWebRTCRunnerArguments, call: dict[str, Any]) -> None:
    transport = SmallWebRTCTransport(
        webrtc_connection=args.webrtc_connection,
        params=TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_sample_rate=RATE_HZ,
            video_out_enabled=True,
            video_out_is_live=True,
            video_out_width=WIDTH,
            video_out_height=HEIGHT,
        ),
    )
    pictures = Pictures(transport, call)
    worker = PipelineWorker(
        Pipeline([transport.input(), Ear(call), transport.output(), pictures]),
        params=PipelineParams(audio_out_sample_rate=RATE_HZ),
    )

    @transport.event_handler("on_client_connected")
    async def on_client_connected(*_: Any) -> None:
        call["connected"] += 1
        logger.info("on_client_connected")
        if call["connected"] == 1:
            # All at once, as a fast voice does; the output plays it at its pace.
            tone = np.sin(np.arange(RATE_HZ * TONE_S) * 2 * np.pi * 440 / RATE_HZ) * 8000
            await worker.queue_frame(OutputAudioRawFrame(tone.astype("<i2").tobytes(), RATE_HZ, 1))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(*_: Any) -> None:
        call["disconnected"] += 1
        if args.body.get("do") != "ignore leaving":
            await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


class Ear(FrameProcessor):
    """Counts the sound that the peer sends."""

    def __init__(self, call: dict[str, Any]) -> None:
        super().__init__()
        self._call = call

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._call["heard_samples"] += len(frame.audio) // 2
            return
        await self.push_frame(frame, direction)


class Pictures(FrameProcessor):
    """Counts the sound that was played, and sends 30 pictures a second."""

    def __init__(self, transport: SmallWebRTCTransport, call: dict[str, Any]) -> None:
        super().__init__()
        self._transport = transport
        self._call = call
        self._drawing: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._drawing = self.create_task(self._draw())
        if isinstance(frame, OutputAudioRawFrame):
            self._call["played_samples"] += len(frame.audio) // 2
        if isinstance(frame, CancelFrame | EndFrame) and self._drawing:
            await self.cancel_task(self._drawing)
            self._drawing = None
        await self.push_frame(frame, direction)

    async def _draw(self) -> None:
        while True:
            await asyncio.sleep(1 / 30)
            picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8).tobytes()
            await self._transport.output().write_video_frame(
                OutputImageRawFrame(picture, (WIDTH, HEIGHT), "RGB")
            )
