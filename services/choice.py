"""Which services the agent uses: those whose keys are set, else the offline ones."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module

import aiohttp
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

CLOUD_VOICE_RATE_HZ = 24_000
"""What voices reached over the network are asked for; every one has it."""

_MODULES = {
    ("stt", "deepgram"): "pipecat.services.deepgram.stt",
    ("llm", "openai"): "pipecat.services.openai.llm",
    ("llm", "offline"): "offline.brain",
    ("tts", "cartesia"): "pipecat.services.cartesia.tts",
    ("tts", "elevenlabs"): "pipecat.services.elevenlabs.tts",
    ("tts", "piper"): "services.piper",
    ("tts", "offline"): "offline.voice",
}


def _setting(environment: Mapping[str, str], name: str, default: str | None = None) -> str | None:
    return environment.get(name, "").strip() or default


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """The names of the chosen services; `stt` is None where nothing can listen.

    Only the modules of chosen services are imported: some take half a second.
    """

    stt: str | None
    llm: str
    tts: str

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "ServiceChoice":
        """Return the choice that the environment's keys make; `.env.example` names them."""
        llm_is_set = _setting(environment, "OPENAI_API_KEY") or _setting(
            environment, "OPENAI_BASE_URL"
        )
        if _setting(environment, "CARTESIA_API_KEY"):
            tts = "cartesia"
        elif _setting(environment, "ELEVENLABS_API_KEY"):
            tts = "elevenlabs"
        elif _setting(environment, "PIPER_BASE_URL"):
            tts = "piper"
        else:
            tts = "offline"
        return cls(
            stt="deepgram" if _setting(environment, "DEEPGRAM_API_KEY") else None,
            llm="openai" if llm_is_set else "offline",
            tts=tts,
        )

    def as_dict(self) -> dict[str, str | None]:
        """Return the names by kind, as `/status` gives them."""
        return asdict(self)

    def load(self) -> None:
        """Import the modules of the chosen services, so that a session's start need not."""
        for kind in ("stt", "llm", "tts"):
            if module := _MODULES.get((kind, getattr(self, kind))):
                import_module(module)

    def make_stt(self, environment: Mapping[str, str] = os.environ) -> STTService | None:
        """Return a new speech-to-text service, None where there is none."""
        if self.stt is None:
            return None
        from pipecat.services.deepgram.stt import DeepgramSTTService

        return DeepgramSTTService(api_key=environment["DEEPGRAM_API_KEY"])

    def make_llm(
        self, instruction: str, environment: Mapping[str, str] = os.environ
    ) -> LLMService[object]:
        """Return a new language model service that follows the instruction."""
        if self.llm == "offline":
            from offline.brain import ScriptedLLMService

            settings = ScriptedLLMService.Settings(system_instruction=instruction)
            return ScriptedLLMService(settings=settings)
        from pipecat.services.openai.llm import OpenAILLMService

        # A local server asks for no key, yet the client library wants one.
        return OpenAILLMService(
            api_key=_setting(environment, "OPENAI_API_KEY", "none"),
            base_url=_setting(environment, "OPENAI_BASE_URL"),
            settings=OpenAILLMService.Settings(
                model=_setting(environment, "OPENAI_MODEL", "gpt-4.1-mini"),
                system_instruction=instruction,
            ),
        )

    def make_tts(
        self, http: aiohttp.ClientSession, environment: Mapping[str, str] = os.environ
    ) -> TTSService:
        """Return a new voice; http is used by voices that are reached over HTTP."""
        if self.tts == "cartesia":
            from pipecat.services.cartesia.tts import CartesiaTTSService

            return CartesiaTTSService(
                api_key=environment["CARTESIA_API_KEY"],
                sample_rate=CLOUD_VOICE_RATE_HZ,
                settings=CartesiaTTSService.Settings(
                    voice=_setting(
                        environment, "CARTESIA_VOICE_ID", "71a7ad14-091c-4e8e-a314-022ece01c121"
                    )
                ),
            )
        if self.tts == "elevenlabs":
            from pipecat.services.elevenlabs.tts import ElevenLabsTTSService

            return ElevenLabsTTSService(
                api_key=environment["ELEVENLABS_API_KEY"],
                sample_rate=CLOUD_VOICE_RATE_HZ,
                settings=ElevenLabsTTSService.Settings(
                    voice=_setting(environment, "ELEVENLABS_VOICE_ID", "21m00Tcm4TlvDq8ikWAM")
                ),
            )
        if self.tts == "piper":
            from services.piper import PiperServerTTSService

            return PiperServerTTSService(
                base_url=environment["PIPER_BASE_URL"],
                http=http,
                voice=_setting(environment, "PIPER_VOICE"),
            )
        from offline.voice import EspeakTTSService

        return EspeakTTSService()
