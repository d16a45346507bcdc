"""The choice of services by keys, and services reached over HTTP, against servers on loopback."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from pipecat.frames.frames import (
    ErrorFrame,
    LLMContextFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import SleepFrame, run_test

from services import ServiceChoice, TurnTaking
from services.piper import PiperServerTTSService

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server on loopback that answers every POST as told; returns its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_post("/{path:.*}", handler)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        site = web.TCPSite(runners[-1], "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("keys", "stt", "llm", "tts"),
    [
        ({}, None, "offline", "offline"),
        ({"OPENAI_API_KEY": "k"}, None, "openai", "offline"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, None, "openai", "offline"),
        ({"DEEPGRAM_API_KEY": "k"}, "deepgram", "offline", "offline"),
        ({"CARTESIA_API_KEY": "k", "PIPER_BASE_URL": "http://x"}, None, "offline", "cartesia"),
        ({"ELEVENLABS_API_KEY": "k"}, None, "offline", "elevenlabs"),
        ({"PIPER_BASE_URL": "http://127.0.0.1:5000"}, None, "offline", "piper"),
        ({"OPENAI_API_KEY": "  "}, None, "offline", "offline"),
    ],
)
async def test_keys_choose_the_services_and_each_can_be_made(
    keys: dict[str, str], stt: str | None, llm: str, tts: str
) -> None:
    choice = ServiceChoice.of(keys)
    assert choice.as_dict() == {"stt": stt, "llm": llm, "tts": tts}
    choice.load()
    assert (choice.make_stt(keys) is None) == (stt is None)
    choice.make_llm("Be brief.", keys)
    async with aiohttp.ClientSession() as http:
        choice.make_tts(http, keys)


async def test_any_openai_compatible_server_answers(serve: Serve) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, await request.json()))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for word in ("Hello ", "there."):
            delta = {"choices": [{"index": 0, "delta": {"content": word}}]}
            await response.write(f"data: {json.dumps(delta)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    keys = {"OPENAI_BASE_URL": await serve(answer) + "/v1", "OPENAI_MODEL": "tiny"}
    llm = ServiceChoice.of(keys).make_llm("Be brief.", keys)
    context = LLMContext([{"role": "user", "content": "Hi."}])
    down, _ = await run_test(llm, frames_to_send=[LLMContextFrame(context), SleepFrame(0.5)])
    said = "".join(frame.text for frame in down if isinstance(frame, LLMTextFrame))
    assert said == "Hello there."
    path, body = asked[0]
    assert path == "/v1/chat/completions"
    assert body["model"] == "tiny"
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Hi."]


def _wav(rate_hz: int) -> tuple[bytes, np.ndarray]:
    pcm = (np.sin(np.arange(rate_hz) / 20) * 9000).astype(np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm.tobytes())
    return file.getvalue(), pcm


async def test_a_piper_server_speaks(serve: Serve) -> None:
    wav, pcm = _wav(22_050)
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        return web.Response(body=wav)

    url = await serve(answer)
    async with aiohttp.ClientSession() as http:
        piper = PiperServerTTSService(base_url=url + "/", http=http, voice="lessac")
        down, _ = await run_test(
            piper, frames_to_send=[TTSSpeakFrame("Hello there."), SleepFrame(0.5)]
        )
    sound = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert {frame.sample_rate for frame in sound} == {22_050}
    heard = np.frombuffer(b"".join(frame.audio for frame in sound), np.int16)
    np.testing.assert_array_equal(heard, pcm)
    assert asked == [{"text": "Hello there.", "voice": "lessac"}]


async def test_a_sentence_of_piper_s_that_comes_in_pieces_is_whole(serve: Serve) -> None:
    wav, pcm = _wav(22_050)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(wav), 5_000):
            await response.write(wav[at : at + 5_000])
            await asyncio.sleep(0.01)
        return response

    url = await serve(answer)
    async with aiohttp.ClientSession() as http:
        piper = PiperServerTTSService(base_url=url, http=http)
        down, _ = await run_test(piper, frames_to_send=[TTSSpeakFrame("Hello."), SleepFrame(0.8)])
    sound = b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))
    np.testing.assert_array_equal(np.frombuffer(sound, np.int16), pcm)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(500, b"", "answered 500"), (200, b"hello", "sent no WAV"), (None, b"", "cannot be reached")],
)
async def test_a_piper_server_that_fails_is_named(
    serve: Serve, status: int | None, body: bytes, said: str
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status or 500, body=body)

    url = await serve(answer) if status else "http://127.0.0.1:9"
    async with aiohttp.ClientSession() as http:
        piper = PiperServerTTSService(base_url=url, http=http)
        _, up = await run_test(piper, frames_to_send=[TTSSpeakFrame("Hello."), SleepFrame(0.5)])
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert any(said in error and url in error for error in errors), errors


async def test_each_session_gets_its_own_turn_taking() -> None:
    turn_taking = TurnTaking(transcribes=False)
    turn_taking.load()
    first, second = await turn_taking.take(), await turn_taking.take()
    assert first.vad_analyzer is not second.vad_analyzer
    assert first.empty_user_turn is None
