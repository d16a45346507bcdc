"""Speech with exact phone times from espeak-ng, flite and festival, and festvox-ru's recordings."""

import ctypes
import ctypes.util
import math
import random
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from avatar.features import SAMPLE_RATE
from avatar.phones import Segment
from training.sentences import english, foreign, words

Int16Array = npt.NDArray[np.int16]

LONGEST_S = 16.0
RUSSIAN_VOICE = Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits")

ESPEAK_LANGUAGES = {
    "en-us": 6, "en": 5, "en-gb-scotland": 2, "en-gb-x-rp": 2, "en-029": 1, "en-gb-x-gbclan": 1,
    "es": 2, "de": 3, "fr": 2, "it": 2, "pl": 2, "ru": 2, "pt-br": 2, "nl": 1, "tr": 1,
    "hu": 1, "sv": 1, "fi": 1,
}  # fmt: skip
"""espeak-ng languages and how often each is drawn."""

ESPEAK_VARIANTS = words(
    """m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 klatt6 Alex
Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike
Nguyen adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2 grandma
grandpa gustave iven iven2 iven3 iven4 john linda marcelo max michel miguel norbert pablo paul
pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac"""
)

FESTIVAL_VOICES = {
    "kal": "voice_kal_diphone",
    "ked": "voice_ked_diphone",
    "slt-hts": "voice_cmu_us_slt_arctic_hts",
}


class SynthesisError(Exception):
    """A synthesiser is missing or refused to speak; the message says which and how to get it."""


@dataclass(frozen=True)
class Utterance:
    """One piece of speech and the phones in it."""

    voice: str
    inventory: str
    """How the phones are named, as avatar.phones.canonical knows it."""
    pcm: Int16Array
    """(samples,) 16 kHz mono."""
    segments: list[Segment]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


def read_wav(path: Path) -> Int16Array:
    """(samples,) int16 of a mono 16-bit WAV file, resampled to 16 kHz."""
    with wave.open(str(path)) as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise ValueError(f"{path}: is not mono 16 bit")
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return to_16k(pcm, rate)


def to_16k(pcm: Int16Array, rate_hz: int) -> Int16Array:
    """The same sound at 16 kHz."""
    if rate_hz == SAMPLE_RATE:
        return pcm
    divisor = math.gcd(rate_hz, SAMPLE_RATE)
    resampled = resample_poly(pcm.astype(np.float32), SAMPLE_RATE // divisor, rate_hz // divisor)
    return np.clip(resampled, -32768, 32767).astype(np.int16)


class _EspeakEvent(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    class Id(ctypes.Union):
        _fields_ = (
            ("number", ctypes.c_int),
            ("name", ctypes.c_char_p),
            ("string", ctypes.c_char * 8),
        )

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", Id),
    )


class Espeak:
    """espeak-ng's library with phoneme events; one per process, for the library is global."""

    _SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA = 2, 1, 2
    _EVENT_PHONEME, _EVENT_END, _EVENT_TERMINATED = 7, 5, 6
    _RATE, _PITCH, _RANGE = 1, 3, 4
    _UTF8 = 1
    _LATE_S = 0.010
    """Its events come this much later than the onset that flite and hand labels mark."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise SynthesisError("libespeak-ng is missing: apt-get install espeak-ng")
        self._library = ctypes.CDLL(name)
        self._rate_hz = self._library.espeak_Initialize(
            self._SYNCHRONOUS, 200, None, self._PHONEME_EVENTS | self._PHONEME_IPA
        )
        self._pieces: list[Int16Array] = []
        self._events: list[tuple[float, str]] = []
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
        )
        self._callback = callback_type(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, pcm: "ctypes._Pointer[ctypes.c_short]", samples: int, events: object) -> int:
        if samples > 0 and pcm:
            self._pieces.append(np.ctypeslib.as_array(pcm, (samples,)).copy())
        at = 0
        while (event := events[at]).type != 0:  # type: ignore[index]
            time_s = max(0.0, event.audio_position / 1000 - self._LATE_S)
            if event.type == self._EVENT_PHONEME:
                raw = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                self._events.append((time_s, raw.decode("utf-8", "ignore")))
            elif event.type in (self._EVENT_END, self._EVENT_TERMINATED):
                self._events.append((time_s, ""))
            at += 1
        return 0

    def speak(self, text: str, voice: str, wpm: int, pitch: int, pitch_range: int) -> Utterance:
        """One utterance; pitch and pitch_range are 0..100.

        Raises:
            SynthesisError: there is no such voice, or nothing was spoken.
        """
        self._pieces.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SynthesisError(f"espeak-ng has no voice {voice}")
        for parameter, value in (
            (self._RATE, wpm),
            (self._PITCH, pitch),
            (self._RANGE, pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, self._UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._pieces:
            raise SynthesisError(f"espeak-ng said nothing with voice {voice}")
        pcm = np.concatenate(self._pieces)
        events = sorted(self._events, key=lambda event: event[0])
        ends = [start for start, _ in events[1:]] + [len(pcm) / self._rate_hz]
        segments = [
            (start, end, name)
            for (start, name), end in zip(events, ends, strict=True)
            if name and end > start
        ]
        return Utterance(voice, "ipa", to_16k(pcm, self._rate_hz), segments)


def espeak_utterances(rng: random.Random) -> Iterator[Utterance]:
    """Endless speech in many languages, accents and voice variants."""
    espeak = Espeak()
    while True:
        language = rng.choices(list(ESPEAK_LANGUAGES), list(ESPEAK_LANGUAGES.values()))[0]
        text = english(rng) if language.startswith("en") else foreign(language, rng)
        voice = f"{language}+{rng.choice(ESPEAK_VARIANTS)}"
        wpm = int(min(240, max(110, rng.gauss(165, 24))))
        yield espeak.speak(text, voice, wpm, rng.randint(20, 80), rng.randint(25, 85))


def flite_utterances(voice: str, rng: random.Random) -> Iterator[Utterance]:
    """Endless English from one of flite's voices."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        while True:
            command = ["flite", "-voice", voice, "-psdur", "-t", english(rng), "-o", str(path)]
            command += ["--setf", f"duration_stretch={rng.uniform(0.85, 1.25):.2f}"]
            command += ["--setf", f"int_f0_target_mean={rng.uniform(90, 200):.0f}"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            except FileNotFoundError as error:
                raise SynthesisError("flite is missing: apt-get install flite") from error
            segments: list[Segment] = []
            for item in done.stdout.split():
                name, _, end = item.rpartition(":")
                segments.append((segments[-1][1] if segments else 0.0, float(end), name))
            yield Utterance(f"flite-{voice}", "arpabet", read_wav(path), segments)


_FESTIVAL_SCRIPT = """
(define (speak text wave labels)
  (let ((utterance (utt.synth (eval (list 'Utterance 'Text text))))
        (file (fopen labels "w")))
    (mapcar (lambda (segment)
              (format file "%f %s\\n" (item.feat segment 'end) (item.name segment)))
            (utt.relation.items utterance 'Segment))
    (fclose file)
    (utt.save.wave utterance wave 'riff)))
"""


def festival_utterances(voice: str, rng: random.Random, batch: int = 40) -> Iterator[Utterance]:
    """Endless English from one of FESTIVAL_VOICES."""
    while True:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            lines = [f"({FESTIVAL_VOICES[voice]})", _FESTIVAL_SCRIPT]
            for i in range(batch):
                lines.append(f"(Parameter.set 'Duration_Stretch {rng.uniform(0.85, 1.2):.2f})")
                lines.append(f'(speak "{english(rng)}" "{folder}/{i}.wav" "{folder}/{i}.lab")')
            script = folder / "script.scm"
            script.write_text("\n".join(lines))
            try:
                subprocess.run(["festival", "-b", str(script)], capture_output=True, check=True)
            except FileNotFoundError as error:
                raise SynthesisError("festival is missing: apt-get install festival") from error
            except subprocess.CalledProcessError as error:
                raise SynthesisError(f"festival failed: {error.stderr.decode()[-300:]}") from error
            for i in range(batch):
                segments: list[Segment] = []
                for line in (folder / f"{i}.lab").read_text().splitlines():
                    end, phone = line.split()
                    segments.append((segments[-1][1] if segments else 0.0, float(end), phone))
                yield Utterance(
                    f"festival-{voice}", "arpabet", read_wav(folder / f"{i}.wav"), segments
                )


def russian_utterances() -> Iterator[Utterance]:
    """The 620 recordings of festvox-ru, in order of their names; real speech."""
    if not RUSSIAN_VOICE.is_dir():
        raise SynthesisError("festvox-ru is missing: apt-get install festvox-ru")
    for path in sorted((RUSSIAN_VOICE / "wav").glob("*.wav")):
        labels = (RUSSIAN_VOICE / "lab" / f"{path.stem}.lab").read_text("latin-1")
        segments: list[Segment] = []
        for line in labels.split("#\n", 1)[1].splitlines():
            fields = line.split()
            if len(fields) >= 3:
                segments.append((segments[-1][1] if segments else 0.0, float(fields[0]), fields[2]))
        yield Utterance("russian", "msu_ru", read_wav(path), segments)
