"""The scripted brain as a Pipecat service: tokens, pace, context, interruption."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMServiceMetadataFrame,
    LLMTextFrame,
    MetricsFrame,
    TextFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import SleepFrame, run_test

from offline.brain import ScriptedLLMService

QUICK = ScriptedLLMService.Settings(token_interval_s=0.0)


async def answered(
    frames: Sequence[Frame],
    *,
    settings: ScriptedLLMService.Settings = QUICK,
    metrics: bool = False,
) -> list[Frame]:
    brain = ScriptedLLMService(settings=settings, clock=lambda: datetime(2026, 3, 2, 9, 30))
    down, up = await run_test(
        brain, frames_to_send=frames, pipeline_params=PipelineParams(enable_metrics=metrics)
    )
    assert all(isinstance(frame, LLMServiceMetadataFrame) for frame in up)
    return [frame for frame in down if not isinstance(frame, LLMServiceMetadataFrame)]


def asking(*messages: tuple[str, str]) -> LLMContextFrame:
    return LLMContextFrame(LLMContext([{"role": role, "content": text} for role, text in messages]))


def said(frames: Sequence[Frame]) -> str:
    return "".join(frame.text for frame in frames if isinstance(frame, LLMTextFrame))


async def test_reply_is_framed_and_streamed_by_word() -> None:
    down = await answered([asking(("user", "What time is it?"))])
    assert isinstance(down[0], LLMFullResponseStartFrame)
    assert isinstance(down[-1], LLMFullResponseEndFrame)
    tokens = [frame.text for frame in down[1:-1] if isinstance(frame, LLMTextFrame)]
    assert len(tokens) == len(down) - 2 > 8
    assert all(re.fullmatch(r"\s*\S+", token) for token in tokens)
    assert "9:30 in the morning" in said(down)


async def test_context_is_used() -> None:
    down = await answered(
        [
            asking(
                ("system", "About the user: name: Ada. preferences: likes tea."),
                ("user", "Hello!"),
                ("assistant", "Hello, Ada!"),
                ("user", "What's my name?"),
            )
        ]
    )
    assert "Ada" in said(down)


async def test_content_in_parts_and_other_messages_are_understood() -> None:
    context = LLMContext(
        [{"role": "user", "content": [{"type": "text", "text": "Count to three."}]}]
    )
    brain = ScriptedLLMService()
    context.add_message(brain.create_llm_specific_message({"anything": 1}))
    assert await brain.run_inference(context) == "Here we go. 1, 2, 3."


async def test_system_instruction_names_the_agent() -> None:
    settings = ScriptedLLMService.Settings(
        system_instruction="You are Mira, a friendly assistant.", token_interval_s=0.0
    )
    frame = asking(("developer", "Greet the user and say who you are."))
    assert "I'm Mira" in said(await answered([frame], settings=settings))


async def test_seed_decides_among_ways_to_say_it() -> None:
    frame = asking(("user", "Tell me a joke."))
    jokes = [
        said(
            await answered(
                [frame], settings=ScriptedLLMService.Settings(seed=seed, token_interval_s=0.0)
            )
        )
        for seed in (1, 1, 2, 3, 4, 5)
    ]
    assert jokes[0] == jokes[1]
    assert len(set(jokes)) > 1


async def test_tokens_come_at_their_pace() -> None:
    started = time.monotonic()
    settings = ScriptedLLMService.Settings(token_interval_s=0.02)
    down = await answered([asking(("user", "Count to ten."))], settings=settings)
    tokens = len([frame for frame in down if isinstance(frame, LLMTextFrame)])
    assert time.monotonic() - started >= tokens * 0.02


async def test_interruption_ends_the_reply_at_once() -> None:
    down = await answered(
        [
            asking(("user", "Tell me a story.")),
            SleepFrame(0.2),
            InterruptionFrame(),
            SleepFrame(0.1),
            asking(("user", "Count to three.")),
        ],
        settings=ScriptedLLMService.Settings(token_interval_s=0.005),
    )
    cut = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert 1 < len(said(down[:cut]).split()) < 60
    assert said(down[cut:]) == "Here we go. 1, 2, 3."


async def test_other_frames_pass() -> None:
    down = await answered([TextFrame("hello")])
    assert [type(frame) for frame in down] == [TextFrame]


async def test_time_to_first_token_is_measured() -> None:
    down = await answered([asking(("user", "Hi"))], metrics=True)
    values = [
        data.value
        for frame in down
        if isinstance(frame, MetricsFrame)
        for data in frame.data
        if isinstance(data, TTFBMetricsData) and data.value
    ]
    assert len(values) == 1


def test_no_client_of_a_remote_model_is_loaded() -> None:
    code = (
        "import sys\nfrom offline.brain import ScriptedLLMService\nScriptedLLMService()\n"
        "assert 'openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
