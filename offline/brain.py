"""The offline brain: scripted replies as a Pipecat language-model service."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

from pipecat.adapters.llm.base_llm_adapter import BaseLLMAdapter
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMSpecificMessage,
    standard_message_text,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings
from pipecat.utils.types import NOT_GIVEN, NotGiven, assert_given

from offline.conversation import Message
from offline.replies import reply


class ScriptedInvocationParams(TypedDict):
    """What a context becomes for the scripted brain."""

    messages: list[Message]


class ScriptedLLMAdapter(BaseLLMAdapter[ScriptedInvocationParams]):
    """Turns a context into plain messages; the brain has no tools.

    The default adapter would do too, but loads the OpenAI package.
    """

    @property
    def id_for_llm_specific_messages(self) -> str:
        """Name of the messages meant for this service alone."""
        return "scripted"

    async def get_llm_invocation_params(
        self, context: LLMContext, **kwargs: Any
    ) -> ScriptedInvocationParams:
        """The context's messages that hold text."""
        messages = []
        for message in context.get_messages():
            text = standard_message_text(message)
            if text and not isinstance(message, LLMSpecificMessage):
                messages.append(Message(str(message["role"]), text))
        return {"messages": messages}

    def to_provider_tools_format(self, tools_schema: ToolsSchema) -> list[Any]:
        """No tools."""
        return []

    def get_messages_for_logging(self, context: LLMContext) -> list[dict[str, Any]]:
        """The context's messages, with sounds and pictures left out."""
        return [
            dict(message)
            for message in context.get_messages(truncate_large_values=True)
            if not isinstance(message, LLMSpecificMessage)
        ]


@dataclass
class ScriptedLLMSettings(LLMSettings):
    """Settings of `ScriptedLLMService`; `seed` chooses among ways to say the same.

    Parameters:
        token_interval_s: time between two tokens; a token is a word.
    """

    token_interval_s: float | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class ScriptedLLMService(LLMService[ScriptedLLMAdapter]):
    """Holds a small conversation without a language model.

    Replies depend on the context, the seed and the clock alone. They are streamed word by
    word; an interruption cancels the stream where it is.
    """

    Settings = ScriptedLLMSettings
    _settings: ScriptedLLMSettings
    adapter_class = ScriptedLLMAdapter

    def __init__(
        self,
        *,
        settings: ScriptedLLMSettings | None = None,
        clock: Callable[[], datetime] = datetime.now,
        **kwargs: Any,
    ) -> None:
        """Make the service.

        Args:
            settings: what differs from the defaults.
            clock: gives the local time, for those who ask.
            **kwargs: passed to `LLMService`.
        """
        defaults = self.Settings(
            model="scripted",
            system_instruction=None,
            temperature=None,
            max_tokens=None,
            top_p=None,
            top_k=None,
            frequency_penalty=None,
            presence_penalty=None,
            seed=0,
            filter_incomplete_user_turns=False,
            user_turn_completion_config=None,
            token_interval_s=0.03,
        )
        if settings is not None:
            defaults.apply_update(settings)
        super().__init__(settings=defaults, **kwargs)
        self._clock = clock

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: it does."""
        return True

    async def run_inference(
        self,
        context: LLMContext,
        max_tokens: int | None = None,
        system_instruction: str | None = None,
        response_schema: dict[str, Any] | None = None,
    ) -> str | None:
        """The reply to a context, whole and at once."""
        return await self._reply(context)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass every other frame on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        try:
            await self._stream_reply(frame.context)
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())

    async def _stream_reply(self, context: LLMContext) -> None:
        await self.start_ttfb_metrics()
        for token in re.findall(r"\s*\S+", await self._reply(context)):
            await asyncio.sleep(assert_given(self._settings.token_interval_s))
            await self.stop_ttfb_metrics()
            await self._push_llm_text(token)

    async def _reply(self, context: LLMContext) -> str:
        self._log_llm_response(context)
        params = await self.get_llm_adapter().get_llm_invocation_params(context)
        messages = params["messages"]
        if isinstance(self._settings.system_instruction, str):
            messages = [Message("system", self._settings.system_instruction), *messages]
        seed = self._settings.seed
        return reply(messages, seed=seed if isinstance(seed, int) else 0, now=self._clock())
