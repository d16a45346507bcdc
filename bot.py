"""The agent: listens, thinks, speaks and shows its face; runs under the pod or on its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
from dotenv import load_dotenv
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
)
from pipecat.runner.types import (
    DailyRunnerArguments,
    LiveKitRunnerArguments,
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from avatar import Avatar, AvatarError
from avatar.processor import AvatarProcessor, avatar_params
from avatar.prometheus import AvatarCollector
from pipecatcloud_system import add_lifespan_to_app, app
from services import ServiceChoice, TurnTaking

SYSTEM_INSTRUCTION = (
    "You are Mira, a friendly assistant with a face, talking aloud with one person. "
    "Answer in two to four short spoken sentences, without lists, markup or emoji."
)
OUTPUT_RATE_HZ = 48_000
"""Sample rate of the sound sent to the user; speech of another rate is resampled once.

Opus's own: at another one aiortc resamples too, and holds back 20 ms of sound for it.
"""
WEBSOCKET_RATE_HZ = 24_000
"""The same over a WebSocket, where sound travels uncompressed."""

load_dotenv(Path(__file__).with_name(".env"))

pipeline_task: PipelineWorker | None = None
"""The running session's pipeline; None between sessions."""

_started_s = time.monotonic()
_services = ServiceChoice.of()
logger.info(f"Services: {_services.as_dict()}")
_turn_taking = TurnTaking(transcribes=_services.stt is not None)
_session: "Session | None" = None
_avatar: Avatar | None = None
_avatar_error: str | None = None
_collector = AvatarCollector()
REGISTRY.register(_collector)


@dataclass
class Session:
    """What the custom routes tell about the running session."""

    id: str | None
    transport: str
    context: LLMContext
    avatar: AvatarProcessor | None
    started_s: float = field(default_factory=time.monotonic)
    user_name: str | None = None
    speaking: bool = False


# --- the avatar ------------------------------------------------------------------------------


def preload() -> None:
    """Load what sessions need, so that their start is quick.

    Starts no threads: where pods are forked from one parent, it runs there, once for all.
    """
    global _avatar, _avatar_error
    import avatar.webrtc  # noqa: F401

    try:
        _services.load()
        _turn_taking.load()
        _avatar = Avatar.load()
    except AvatarError as error:
        _avatar_error = str(error)
        logger.error(f"Not ready: {error}")
    except Exception as error:
        _avatar_error = f"{type(error).__name__}: {error}"
        logger.opt(exception=error).error(f"Not ready: {_avatar_error}")


def readyz() -> dict[str, Any]:
    """Ready once the lip-sync model and the avatar are loaded and one picture was drawn."""
    if _avatar:
        return {"status": "ok", "ready": True}
    return {
        "status": "not ready",
        "ready": False,
        "reason": _avatar_error or "the avatar is still loading",
    }


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load beside the server's own start, off the event loop."""
    loading = asyncio.create_task(asyncio.to_thread(preload))
    yield
    await loading


add_lifespan_to_app(_lifespan)


# --- the session -----------------------------------------------------------------------------


def _sound_and_picture(avatar: Avatar) -> dict[str, Any]:
    """Parameters of a transport that shows the avatar."""
    return {
        # Without a service that understands speech, voices must not interrupt the agent.
        "audio_in_enabled": _services.stt is not None,
        "audio_out_enabled": True,
        "audio_out_end_silence_secs": 0,
        **avatar_params(avatar),
    }


def _transport(args: RunnerArguments, avatar: Avatar) -> BaseTransport:
    """Return the transport that the arguments ask for."""
    match args:
        case SmallWebRTCRunnerArguments():
            from avatar.webrtc import AvatarWebRTCTransport

            return AvatarWebRTCTransport(
                args.webrtc_connection, TransportParams(**_sound_and_picture(avatar))
            )
        case DailyRunnerArguments():
            from pipecat.transports.daily.transport import DailyParams, DailyTransport

            return DailyTransport(
                args.room_url, args.token, "Mira", DailyParams(**_sound_and_picture(avatar))
            )
        case LiveKitRunnerArguments():
            from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport

            return LiveKitTransport(
                args.url, args.token, args.room_name, LiveKitParams(**_sound_and_picture(avatar))
            )
        case WebSocketRunnerArguments():
            from pipecat.serializers.protobuf import ProtobufFrameSerializer
            from pipecat.transports.websocket.fastapi import (
                FastAPIWebsocketParams,
                FastAPIWebsocketTransport,
            )

            return FastAPIWebsocketTransport(
                args.websocket,
                FastAPIWebsocketParams(
                    audio_in_enabled=_services.stt is not None,
                    audio_out_enabled=True,
                    audio_out_sample_rate=WEBSOCKET_RATE_HZ,
                    audio_out_end_silence_secs=0,
                    serializer=ProtobufFrameSerializer(),
                ),
            )
    raise ValueError(
        f"bot() cannot serve {type(args).__name__}: "
        "start it with SmallWebRTC, Daily, LiveKit or WebSocket arguments"
    )


async def bot(args: RunnerArguments) -> None:
    """Hold one conversation over the transport that the arguments name.

    Raises:
        ValueError: The arguments are of a kind that the agent does not serve.
        AvatarError: The avatar cannot be loaded.
    """
    avatar = _avatar or await asyncio.to_thread(Avatar.load)
    transport = _transport(args, avatar)
    async with aiohttp.ClientSession() as http:
        await _converse(args, transport, avatar, http)


async def _converse(
    args: RunnerArguments, transport: BaseTransport, avatar: Avatar, http: aiohttp.ClientSession
) -> None:
    global pipeline_task, _session
    context = LLMContext()
    aggregators = LLMContextAggregatorPair(context, user_params=await _turn_taking.take())
    face = None
    if not isinstance(args, WebSocketRunnerArguments):
        face = AvatarProcessor(avatar, transport.output())
    stages = [
        transport.input(),
        _services.make_stt(),
        aggregators.user(),
        _services.make_llm(SYSTEM_INSTRUCTION),
        _services.make_tts(http),
        face,
        transport.output(),
        face.presenter if face else None,
        aggregators.assistant(),
    ]
    worker = PipelineWorker(
        Pipeline([stage for stage in stages if stage]),
        params=PipelineParams(
            audio_out_sample_rate=OUTPUT_RATE_HZ, enable_metrics=True, enable_usage_metrics=True
        ),
        idle_timeout_secs=args.pipeline_idle_timeout_secs,
    )
    # Pipecat's name for it, whether it is ours or not.
    name = next(k.__name__ for k in type(transport).__mro__ if k.__module__.startswith("pipecat."))
    session = Session(args.session_id, name, context, face)
    greeted = False

    @worker.rtvi.event_handler("on_client_ready")
    async def on_client_ready(_rtvi: Any) -> None:
        nonlocal greeted
        if not greeted:
            greeted = True
            hello = {"role": "developer", "content": "Greet the user and say who you are."}
            await worker.queue_frame(LLMMessagesAppendFrame([hello], run_llm=True))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: BaseTransport, _client: Any) -> None:
        await worker.cancel(reason="the user left")

    @worker.event_handler("on_frame_reached_upstream")
    async def on_frame_reached_upstream(_worker: PipelineWorker, frame: Frame) -> None:
        session.speaking = isinstance(frame, BotStartedSpeakingFrame)

    worker.set_reached_upstream_filter((BotStartedSpeakingFrame, BotStoppedSpeakingFrame))
    runner = WorkerRunner(handle_sigint=args.handle_sigint)
    await runner.add_workers(worker)
    pipeline_task, _session = worker, session
    restocking = asyncio.create_task(_turn_taking.restock())
    try:
        with _collector.session(face.figures) if face else nullcontext():
            await runner.run()
    finally:
        restocking.cancel()
        await asyncio.wait({restocking})
        if pipeline_task is worker:
            pipeline_task, _session = None, None


# --- the custom routes -----------------------------------------------------------------------

router = APIRouter()

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _small(value: Any) -> Any:
    """Let no value in whose thousands of entries would each be complained about."""
    if isinstance(value, dict | list) and len(value) > 100:
        raise ValueError("has more than 100 entries")
    return value


Preferences = Annotated[Text | list[Text] | dict[Name, Text], BeforeValidator(_small)]


class Body(BaseModel):
    """A request's body, or a part of one."""

    model_config = ConfigDict(extra="forbid")

    _is_small = model_validator(mode="before")(_small)


class Speech(Body):
    """Body of /speak."""

    message: Text


class Message(Body):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text


class ContextUpdate(Body):
    """Body of /context: what to know about the user, or messages, or both."""

    user_name: Name | None = None
    preferences: Preferences | None = None
    messages: Annotated[list[Message], Field(max_length=500)] = []
    run_llm: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> "ContextUpdate":
        if not (self.user_name or self.preferences or self.messages):
            raise ValueError("give user_name, preferences or messages")
        return self

    def as_messages(self) -> list[dict[str, str]]:
        """Return the update as messages for the language model."""
        facts = []
        if self.user_name:
            facts.append(f"name: {self.user_name}.")
        if self.preferences:
            wishes = self.preferences
            if isinstance(wishes, dict):
                wishes = [f"{name}: {value}" for name, value in wishes.items()]
            if isinstance(wishes, list):
                wishes = "; ".join(wishes)
            facts.append(f"preferences: {wishes}.")
        about = [{"role": "system", "content": "About the user: " + " ".join(facts)}]
        return (about if facts else []) + [message.model_dump() for message in self.messages]


def _no_session() -> JSONResponse:
    return JSONResponse({"error": "No active pipeline"}, status_code=503)


@router.post("/speak")
async def speak(speech: Speech) -> Any:
    """Say a message aloud, after what is being said."""
    if not pipeline_task:
        return _no_session()
    await pipeline_task.queue_frame(TTSSpeakFrame(speech.message))
    return {"queued": True, "message": speech.message}


@router.post("/context")
async def context(update: ContextUpdate) -> Any:
    """Tell the agent about the user, or add messages to its conversation."""
    if not (pipeline_task and _session):
        return _no_session()
    _session.user_name = update.user_name or _session.user_name
    messages = update.as_messages()
    await pipeline_task.queue_frame(LLMMessagesAppendFrame(messages, run_llm=update.run_llm))
    return {"status": "context updated", "messages_added": len(messages), **update.model_dump()}


@router.post("/interrupt")
async def interrupt() -> Any:
    """Fall silent now."""
    if not pipeline_task:
        return _no_session()
    await pipeline_task.queue_frame(InterruptionFrame())
    return {"interrupted": True}


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """The figures of the avatar, and of whatever else this process counts, for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/status")
async def status() -> dict[str, Any]:
    """What the agent is doing."""
    session, face = _session, _session and _session.avatar
    figures = face and face.figures()
    return {
        "session": session
        and {
            "id": session.id,
            "transport": session.transport,
            "uptime_s": round(time.monotonic() - session.started_s, 3),
        },
        "message_count": len(session.context.get_messages()) if session else 0,
        "user_name": session and session.user_name,
        "speaking": bool(session and session.speaking),
        "uptime": round(time.monotonic() - _started_s, 3),
        "services": _services.as_dict(),
        "avatar": _avatar
        and {
            "name": _avatar.rig.name,
            "size": _avatar.config.size,
            "fps": _avatar.config.fps,
            "model": _avatar.model.card.name,
            "lookahead_ms": round(_avatar.model.card.lookahead_s * 1000),
            "overload": figures and {"level": figures.level, "name": figures.stage},
            "lookahead_used_ms": figures and figures.lookahead_ms,
            "av_offset_ms": figures
            and {"median": figures.av_offset_ms, "p95": figures.av_offset_p95_ms},
        },
        "counters": {
            "tasks": len(asyncio.all_tasks()),
            **(asdict(face.counters) if face else {}),
            **({"pictures": asdict(face.presenter.counters)} if face else {}),
        },
    }


def _mount(server: FastAPI) -> None:
    """Hang the custom routes and the page on a server, before its own routes."""
    server.include_router(router)
    page = Path(__file__).parent / "client" / "dist"
    if page.is_dir():
        server.mount("/client", StaticFiles(directory=page, html=True), name="client")

        @server.get("/", include_in_schema=False)
        async def root() -> RedirectResponse:
            return RedirectResponse("/client/")


_mount(app)

if __name__ == "__main__":
    from pipecat.runner.run import app as runner_app
    from pipecat.runner.run import main

    preload()
    _mount(runner_app)
    main()
