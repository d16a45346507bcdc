"""The speech process: eSpeak NG behind pipes, started by `espeak_client`, run by path.

Nothing of eSpeak NG is loaded by importing this module, so its GPL, its global state and its
crashes stay in the process that runs `main()`. That process needs the standard library and
the `espeakng-loader` wheel, and leaves when its standard input closes.

Requests, one JSON object per line on standard input:
    {"id": 1, "text": "Hi.", "voice": "en-us", "rate": 165, "pitch": 50}   ids only ever grow
    {"stop": 1}                      give up request 1 and every one before it

Answers on standard output, one JSON object per line; "bytes" says how much PCM follows it
(16-bit signed little-endian, mono). Positions are samples from the start of the request:
    {"ready": true, "sample_rate": 22050}                                  once, first
    {"id": 1, "start": 0, "words": [[sample, character, length], ...],
     "phonemes": [[sample, "h"], ...], "bytes": 2204}                      as it is synthesised
    {"id": 1, "end": 19832}          the request is finished or was stopped; samples sent
    {"id": 1, "error": "..."}        the request failed, instead of "end"
    {"error": "..."}                 the process cannot work, and leaves
Characters count from 0 in "text". Phonemes are IPA; "" is a pause.
"""

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

MAX_TEXT_CHARS = 2_000
"""Longest text of one request."""
CHUNK_MS = 50
"""Sound per answer."""

# From speak_lib.h of eSpeak NG 1.52.
_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA = 0x0001, 0x0002
_CHARS_UTF8, _END_PAUSE = 0x0001, 0x1000
_POS_CHARACTER = 1
_RATE, _PITCH = 1, 3
_EVENT_LIST_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_CONTINUE, _ABORT = 0, 1


class _EventId(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_ubyte * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Speaker:
    """eSpeak NG, one request at a time; answers go to `answers_fd`."""

    def __init__(self, answers_fd: int) -> None:
        import espeakng_loader

        self._answers_fd = answers_fd
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.sample_rate = int(
            self._library.espeak_Initialize(
                _OUTPUT_SYNCHRONOUS,
                CHUNK_MS,
                espeakng_loader.get_data_path().encode(),
                _PHONEME_EVENTS | _PHONEME_IPA,
            )
        )
        if self.sample_rate <= 0:
            raise OSError(f"eSpeak NG did not start: error {self.sample_rate}")
        self._callback = _Callback(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""
        self._request_id = 0
        self._position_samples = 0
        self.stopped_id = 0
        """Requests up to this id are given up. Written by the reading thread."""

    def send(self, answer: dict[str, Any], pcm: bytes = b"") -> None:
        data = json.dumps(answer, ensure_ascii=False).encode() + b"\n" + pcm
        try:
            while data:
                data = data[os.write(self._answers_fd, data) :]
        except OSError:
            # Nobody listens any more, and inside the callback no exception could travel.
            os._exit(0)

    def speak(self, request: dict[str, Any]) -> None:
        """Synthesise one request and send its answers.

        Raises:
            ValueError: the text is too long, or eSpeak NG refuses the voice or the text.
            KeyError: the request lacks a field.
        """
        self._request_id = request["id"]
        self._position_samples = 0
        text = request["text"]
        if len(text) > MAX_TEXT_CHARS:
            raise ValueError(f"{len(text)} characters of text, the limit is {MAX_TEXT_CHARS}")
        if request["voice"] != self._voice:
            self._voice = ""
            if self._library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
                raise ValueError(f"no such voice: {request['voice']}")
            self._voice = request["voice"]
        self._library.espeak_SetParameter(_RATE, int(request["rate"]), 0)
        self._library.espeak_SetParameter(_PITCH, int(request["pitch"]), 0)
        data = text.encode("utf-8", "replace") + b"\0"
        error = self._library.espeak_Synth(
            data, len(data), 0, _POS_CHARACTER, 0, _CHARS_UTF8 | _END_PAUSE, None, None
        )
        if error:
            raise ValueError(f"eSpeak NG refused the text: error {error}")
        self.send({"id": self._request_id, "end": self._position_samples})

    def _on_sound(self, wav: Any, samples: int, events: Any) -> int:
        if self._request_id <= self.stopped_id:
            return _ABORT
        words: list[tuple[int, int, int]] = []
        phonemes: list[tuple[int, str]] = []
        index = 0
        while events[index].type != _EVENT_LIST_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                words.append((event.sample, event.text_position - 1, event.length))
            elif event.type == _EVENT_PHONEME:
                ipa = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "replace")
                phonemes.append((event.sample, ipa))
            index += 1
        if samples > 0 or words or phonemes:
            pcm = ctypes.string_at(wav, samples * 2) if samples > 0 else b""
            answer = {
                "id": self._request_id,
                "start": self._position_samples,
                "words": words,
                "phonemes": phonemes,
                "bytes": len(pcm),
            }
            self.send(answer, pcm)
            self._position_samples += samples
        return _CONTINUE


def _read_requests(speaker: _Speaker, requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Take requests from standard input until it closes, which ends the process."""
    try:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            if "stop" in request:
                speaker.stopped_id = max(speaker.stopped_id, request["stop"])
            else:
                requests.put(request)
    finally:
        os._exit(0)  # the main thread may be inside the library, or waiting for a request


def main() -> None:
    """Serve requests until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers_fd = os.dup(1)
    os.dup2(2, 1)  # so that nothing the library prints can fall between the answers
    try:
        speaker = _Speaker(answers_fd)
    except (ImportError, OSError) as error:
        os.write(answers_fd, json.dumps({"error": str(error)}).encode() + b"\n")
        sys.exit(1)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(speaker, requests), daemon=True).start()
    speaker.send({"ready": True, "sample_rate": speaker.sample_rate})
    while True:
        request = requests.get()
        try:
            speaker.speak(request)
        except (KeyError, ValueError) as error:
            speaker.send({"id": request.get("id", 0), "error": f"{error}"})


if __name__ == "__main__":
    main()
