"""A voice of Piper's own HTTP server, so that Piper and its GPL stay in their own process."""

import io
import wave
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 30.0


class PiperServerTTSService(TTSService):
    """Asks a Piper HTTP server (`python -m piper.http_server`) for each sentence.

    Pipecat's own service for this server needs the piper package installed beside it.
    """

    def __init__(
        self, *, base_url: str, http: aiohttp.ClientSession, voice: str | None = None, **kwargs: Any
    ) -> None:
        """Prepare the service.

        Args:
            base_url: Address of the server, such as http://127.0.0.1:5000.
            http: The session to ask with; its owner closes it.
            voice: A voice that the server has; its default without.
            **kwargs: Passed to TTSService.
        """
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=voice, language=None),
            **kwargs,
        )
        self._url = base_url.rstrip("/")
        self._http = http
        self._voice = voice

    def can_generate_metrics(self) -> bool:
        """Say that this service measures its time to the first byte."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Yield the sound of a text, in the rate the voice has."""
        request = {"text": text} | ({"voice": self._voice} if self._voice else {})
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with self._http.post(self._url, json=request, timeout=timeout) as response:
                if response.status != 200:
                    yield ErrorFrame(f"Piper at {self._url} answered {response.status}")
                    return
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > LARGEST_ANSWER_BYTES:
                        most = f"{LARGEST_ANSWER_BYTES:,} bytes"
                        yield ErrorFrame(f"Piper at {self._url} sent more than {most}")
                        return
            await self.start_tts_usage_metrics(text)
            await self.stop_ttfb_metrics()
            with wave.open(io.BytesIO(answer)) as wav:
                rate_hz, channels = wav.getframerate(), wav.getnchannels()
                if wav.getsampwidth() != 2:
                    yield ErrorFrame(f"Piper at {self._url} sent sound that is not 16 bit")
                    return
                while piece := wav.readframes(rate_hz // 10):
                    yield TTSAudioRawFrame(piece, rate_hz, channels, context_id=context_id)
        except (aiohttp.ClientError, TimeoutError) as error:
            yield ErrorFrame(f"Piper at {self._url} cannot be reached: {error}")
        except (wave.Error, EOFError) as error:
            yield ErrorFrame(f"Piper at {self._url} sent no WAV: {error}")
