"""Hearing when the user begins and ends to speak: models loaded before they are needed."""

import asyncio

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

RESTOCK_AFTER_S = 1.0
"""A session's first second is busy enough."""


class TurnTaking:
    """Gives each session its own models, of which the next are loaded while nobody waits.

    Loading takes up to 0.2 s of one core: too long for the event loop, and for a session's start.
    """

    def __init__(self, transcribes: bool) -> None:
        """Load nothing yet.

        Args:
            transcribes: Whether what the user says becomes text. If not, nothing tells a pause
                from the end of a turn but its length, and no turn is answered.
        """
        self._transcribes = transcribes
        self._spare: LLMUserAggregatorParams | None = None

    def load(self) -> None:
        """Load the models of the next session, unless they are."""
        self._spare = self._spare or self._params()

    async def restock(self) -> None:
        """Load the models of the next session once the running one has settled."""
        await asyncio.sleep(RESTOCK_AFTER_S)
        await asyncio.to_thread(self.load)

    async def take(self) -> LLMUserAggregatorParams:
        """Return the parameters for the next session's user aggregator."""
        if self._spare is None:
            await asyncio.to_thread(self.load)
        params, self._spare = self._spare, None
        assert params
        return params

    def _params(self) -> LLMUserAggregatorParams:
        vad = SileroVADAnalyzer()
        if self._transcribes:
            return LLMUserAggregatorParams(
                vad_analyzer=vad, user_turn_strategies=UserTurnStrategies()
            )
        pause = SpeechTimeoutUserTurnStopStrategy(wait_for_transcript=False)
        return LLMUserAggregatorParams(
            vad_analyzer=vad,
            user_turn_strategies=UserTurnStrategies(stop=[pause]),
            empty_user_turn=None,
        )
