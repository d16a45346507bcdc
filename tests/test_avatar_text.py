"""Text and phonemes on their way from Pipecat's frames to the lips."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from conftest import RecordingOutput, speech_like
from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.phones import PHONES, Segment
from avatar.processor import AvatarProcessor
from avatar.voice_phones import OPEN_S, VoicePhones
from avatar.words import Word

RATE_HZ = 24_000


@dataclass(frozen=True)
class Event:
    """A phoneme event as a voice might give it."""

    sample: int
    ipa: str


class Listening(Animator):
    """An animator that notes what it is told; one list for each speech."""

    told_words: list[list[str]]
    told_phones: list[list[Segment]]
    told_words_at: list[list[tuple[str, float]]]

    def told_word(self, text: str, start_s: float) -> None:
        self.told_words_at[-1].append((text, start_s))
        super().told_word(text, start_s)

    def expect(self, words: list[Word]) -> None:
        self.told_words[-1] += [word.text for word in words]
        super().expect(words)

    def told(self, phones: list[Segment]) -> None:
        self.told_phones[-1] += phones
        super().told(phones)


class Stage:
    """The avatar before a recording output."""

    def __init__(self, avatar: Avatar, pace: float = 0.0) -> None:
        self.words: list[list[str]] = []
        self.phones: list[list[Segment]] = []
        self.word_times: list[list[tuple[str, float]]] = []
        self.output = RecordingOutput(avatar.config.size, pace)
        self._avatar = avatar
        self.processor = AvatarProcessor(avatar, self.output, make_animator=self._animator)

    def _animator(self, rate_hz: int) -> Animator:
        animator = Listening(self._avatar.model, rate_hz, self._avatar.config.fps)
        self.words.append([])
        self.phones.append([])
        self.word_times.append([])
        animator.told_words, animator.told_phones = self.words, self.phones
        animator.told_words_at = self.word_times
        return animator

    async def run(self, frames: list[Frame]) -> list[Frame]:
        pipeline = Pipeline([self.processor, self.output, self.processor.presenter])
        params = PipelineParams(audio_out_sample_rate=RATE_HZ)
        down, _ = await run_test(pipeline, frames_to_send=frames, pipeline_params=params)
        return list(down)


def announced(text: str, context_id: str | None = "c") -> AggregatedTextFrame:
    """A sentence that the voice is about to speak."""
    frame = AggregatedTextFrame(text, "sentence", context_id=context_id)
    frame.will_be_spoken = True
    return frame


def sound(seconds: float, context_id: str = "c", events: tuple[Event, ...] = ()) -> Frame:
    frame = TTSAudioRawFrame(
        speech_like(seconds, RATE_HZ).tobytes(), RATE_HZ, 1, context_id=context_id
    )
    if events:
        frame.metadata["phonemes"] = events
    return frame


async def test_a_sentence_is_known_before_its_sound_and_passes_on(avatar: Avatar) -> None:
    stage = Stage(avatar)
    spoken = TTSTextFrame("Pay $5,", "word", context_id="c")
    frames = [announced("Pay $5, Bob."), TTSStartedFrame(context_id="c"), sound(0.3), spoken]
    down = await stage.run([*frames, announced("Now!"), sound(0.3), TTSStoppedFrame("c")])
    assert stage.words == [["pay", "five", "dollars", "bob", "now"]]
    texts = [frame for frame in down if isinstance(frame, AggregatedTextFrame)]
    assert [frame.text for frame in texts] == ["Pay $5, Bob.", "Pay $5,", "Now!"]


async def test_a_text_waits_for_its_own_context(avatar: Avatar) -> None:
    stage = Stage(avatar)
    frames = [announced("One.", "a"), announced("Two.", "b"), sound(0.2, "a"), sound(0.2, "b")]
    await stage.run([*frames, TTSStoppedFrame(context_id="b")])
    assert stage.words == [["one"], ["two"]]


async def test_what_is_not_spoken_is_not_expected(avatar: Avatar) -> None:
    stage = Stage(avatar)
    silent = AggregatedTextFrame("print(x)", "code", context_id="c")
    await stage.run([silent, sound(0.2), TTSStoppedFrame(context_id="c")])
    assert stage.words == [[]]


async def test_a_text_outlives_a_pause_of_its_voice(avatar: Avatar) -> None:
    stage = Stage(avatar)
    frames = [announced("Sure. Bob buys plums.", "c"), sound(0.3), SleepFrame(1.0), sound(0.3)]
    await stage.run([*frames, TTSStoppedFrame(context_id="c")])
    first, second = stage.words
    assert first == ["sure", "bob", "buys", "plums"]
    assert second and second == first[-len(second) :]


async def test_what_was_left_unsaid_is_forgotten_with_its_turn(avatar: Avatar) -> None:
    stage = Stage(avatar)
    frames = [announced("Bob buys plums."), sound(0.3), SleepFrame(1.0)]
    await stage.run([*frames, TTSStoppedFrame(context_id="c"), sound(0.3), SleepFrame(0.5)])
    assert stage.words == [["bob", "buys", "plums"], []]


async def test_an_interruption_forgets_what_was_to_be_spoken(avatar: Avatar) -> None:
    stage = Stage(avatar)
    frames = [announced("Never said."), SleepFrame(0.1), InterruptionFrame(), SleepFrame(0.1)]
    await stage.run([*frames, announced("Yes."), sound(0.2), TTSStoppedFrame(context_id="c")])
    assert stage.words == [["yes"]]


async def test_phonemes_come_with_the_sound_in_the_speech_s_own_time(avatar: Avatar) -> None:
    stage = Stage(avatar)
    first = sound(0.2, events=(Event(0, "m"), Event(RATE_HZ // 10, "aɪ")))
    second = sound(0.2, events=(Event(RATE_HZ // 20, "p"), Event(RATE_HZ // 10, "")))
    await stage.run([announced("My p."), first, second, TTSStoppedFrame(context_id="c")])
    (told,) = stage.phones
    assert [phone for _, _, phone in told][:3] == ["m", "aa", "ih"]
    assert told[0][:2] == (0.0, pytest.approx(0.1))
    burst_s = 0.25
    (p,) = [segment for segment in told if segment[2] == "p"]
    assert p == (pytest.approx(burst_s - 0.045), pytest.approx(0.3), "p")


@pytest.mark.parametrize(("late_s", "told"), [(0.15, [("pam", 0.15)]), (-0.5, []), (3.0, [])])
async def test_the_times_of_words_count_from_when_the_speech_came(
    avatar: Avatar, late_s: float, told: list[tuple[str, float]]
) -> None:
    stage = Stage(avatar)
    word = TTSTextFrame("Pam,", "word", context_id="c")
    other = TTSTextFrame("Bob.", "word", context_id="other")
    frames = [announced("Hi Pam, Bob."), sound(0.2), SleepFrame(0.1), word, other, sound(0.2)]

    def stamp() -> None:
        began_ns = stage.processor._speech_began_ns
        word.pts = other.pts = (began_ns or 0) + round(late_s * 1e9)

    stage.output.on_sound = stamp
    await stage.run([*frames, TTSStoppedFrame(context_id="c")])
    assert stage.word_times == [[(name, pytest.approx(at, abs=1e-6)) for name, at in told]]


async def test_phonemes_are_better_than_the_times_of_words(avatar: Avatar) -> None:
    stage = Stage(avatar)
    word = TTSTextFrame("Hi", "word", context_id="c")
    stage.output.on_sound = lambda: setattr(word, "pts", stage.processor._speech_began_ns)
    first = sound(0.2, events=(Event(0, "h"), Event(RATE_HZ // 10, "aɪ")))
    frames = [announced("Hi."), first, SleepFrame(0.1), word, sound(0.2)]
    await stage.run([*frames, TTSStoppedFrame(context_id="c")])
    assert stage.word_times == [[]] and stage.phones[0]


@pytest.mark.parametrize(
    "events", [({"sample": 3},), 5, (Event(None, "a"),), (Event("x", "a"),)], ids=str
)
async def test_events_that_are_none_are_not_used_and_cost_no_sound(
    avatar: Avatar, events: Any
) -> None:
    stage = Stage(avatar)
    frame = sound(0.3, events=events)
    await stage.run([frame, TTSStoppedFrame(context_id="c")])
    assert stage.phones == [[]]
    speech = speech_like(0.3, RATE_HZ)
    np.testing.assert_array_equal(stage.output.pcm[: len(speech)], speech)


async def test_sound_that_is_there_is_looked_at_and_none_is_late(avatar: Avatar) -> None:
    stage = Stage(avatar, pace=1.0)
    await stage.run([sound(2.0), SleepFrame(1.0)])
    assert stage.processor.figures().lookahead_ms == pytest.approx(240, abs=45)
    speech = speech_like(2.0, RATE_HZ)
    np.testing.assert_array_equal(stage.output.pcm[: len(speech)], speech)


def test_events_become_phones_and_the_last_stays_open() -> None:
    phones = VoicePhones()
    assert phones.add([(0.0, "b"), (0.1, "ɔ")]) == [(0.0, 0.1, "b"), (0.1, 0.1 + OPEN_S, "ao")]
    assert phones.add([(0.25, ""), (0.3, "m")])[-2:] == [(0.1, 0.25, "ao"), (0.3, 0.6, "m")]
    assert phones.add([]) == phones.add([])
    assert {phone for _, _, phone in phones.add([(0.9, "?"), (1.0, "tʃ")])} <= set(PHONES)
