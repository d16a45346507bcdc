"""The offline voice as a Pipecat service: sound, word times, failures, settings."""

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from offline.voice import PHONEMES, SAMPLE_RATE_HZ, EspeakTTSService, _pieces, _WordsInOrder

LONG = "The quick brown fox jumps over the lazy dog. " * 200


async def spoken(
    frames: Sequence[Frame],
    *,
    settings: EspeakTTSService.Settings | None = None,
    observer: BaseObserver | None = None,
    metrics: bool = False,
) -> tuple[list[Frame], list[Frame]]:
    """What comes out of the voice, downstream and upstream."""
    down, up = await run_test(
        EspeakTTSService(settings=settings),
        frames_to_send=frames,
        observers=[observer] if observer else None,
        pipeline_params=PipelineParams(enable_metrics=metrics),
    )
    return list(down), list(up)


def sound_s(frames: Sequence[Frame]) -> float:
    return sum(f.num_frames / f.sample_rate for f in frames if isinstance(f, TTSAudioRawFrame))


def words(frames: Sequence[Frame]) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TTSTextFrame)]


class KillOnFirstSound(BaseObserver):
    """Kills the speech process when the voice sends its first sound."""

    def __init__(self) -> None:
        super().__init__()
        self.killed_pid: int | None = None

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, TTSAudioRawFrame) and self.killed_pid is None:
            assert isinstance(data.source, EspeakTTSService)
            self.killed_pid = data.source._client.pid
            assert self.killed_pid
            os.kill(self.killed_pid, signal.SIGKILL)


async def test_reply_is_spoken_with_its_words_on_time() -> None:
    down, up = await spoken(
        [
            LLMFullResponseStartFrame(),
            LLMTextFrame("Hello there, Dr. Smith."),
            LLMTextFrame(" I have 123 apples — it's fine!"),
            LLMFullResponseEndFrame(),
        ]
    )
    assert not up
    audio = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert {(frame.sample_rate, frame.num_channels) for frame in audio} == {(SAMPLE_RATE_HZ, 1)}
    assert words(down) == [
        "Hello", "there,", "Dr.", "Smith.", "I", "have", "123", "apples", "— it's", "fine!",
    ]  # fmt: skip
    pts = [frame.pts for frame in down if isinstance(frame, TTSTextFrame)]
    assert pts == sorted(pts)
    # The words of the second sentence follow the sound of the first.
    position_s = 0.0
    for frame in down:
        if isinstance(frame, TTSTextFrame):
            assert frame.pts is not None and pts[0] is not None
            at_s = (frame.pts - pts[0]) / 1e9
            assert position_s - 1e-6 <= at_s <= position_s + 0.08, (
                "within the chunk that follows it"
            )
        elif isinstance(frame, TTSAudioRawFrame):
            position_s += frame.num_frames / SAMPLE_RATE_HZ
    order = [type(frame) for frame in down if isinstance(frame, TTSStartedFrame | TTSStoppedFrame)]
    assert order == [TTSStartedFrame, TTSStoppedFrame]


async def test_phonemes_come_with_the_sound() -> None:
    down, _ = await spoken([TTSSpeakFrame("Hello.")])
    audio = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert [p.ipa for frame in audio for p in frame.metadata[PHONEMES] if p.ipa] == [
        "h", "ə", "l", "ˈoʊ",
    ]  # fmt: skip
    for frame in audio:
        assert all(0 <= p.sample <= frame.num_frames for p in frame.metadata[PHONEMES])


async def test_utterances_in_a_row_do_not_overlap() -> None:
    down, _ = await spoken([TTSSpeakFrame("One apple."), TTSSpeakFrame("Two pears.")])
    pts = [frame.pts for frame in down if isinstance(frame, TTSTextFrame)]
    first_stop = next(i for i, frame in enumerate(down) if isinstance(frame, TTSStoppedFrame))
    assert pts[0] and pts[2]
    assert (pts[2] - pts[0]) / 1e9 == pytest.approx(sound_s(down[:first_stop]), abs=0.02)


@pytest.mark.parametrize("text", ["😀 🎉", "…", "?!", "   "])
async def test_unspeakable_text_is_silence_at_once(text: str) -> None:
    down, up = await asyncio.wait_for(
        spoken(
            [
                TTSSpeakFrame(text),
                LLMFullResponseStartFrame(),
                LLMTextFrame(text),
                LLMFullResponseEndFrame(),
            ]
            * 4
        ),
        2.5,
    )
    assert sound_s(down) == 0
    assert not up, "and no error either"


async def test_emoji_are_not_read_out() -> None:
    down, _ = await spoken([TTSSpeakFrame("Fine 😀 thanks")])
    plain, _ = await spoken([TTSSpeakFrame("Fine thanks")])
    assert sound_s(down) == pytest.approx(sound_s(plain), abs=0.1)
    assert " ".join(words(down)) == "Fine 😀 thanks"


async def test_interruption_ends_the_sound_and_the_next_sentence_is_clean() -> None:
    down, _ = await spoken(
        [
            TTSSpeakFrame(LONG),
            SleepFrame(0.1),
            InterruptionFrame(),
            SleepFrame(0.05),
            TTSSpeakFrame("Hi."),
        ]
    )
    cut = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert 0 < sound_s(down[:cut]) < 0.5 * len(LONG) / 15, "it was cut in the middle"
    assert sound_s(down[cut:]) < 1.0
    assert words(down[cut:]) == ["Hi."]


async def test_killed_process_costs_one_sentence_only() -> None:
    observer = KillOnFirstSound()
    down, up = await spoken(
        [TTSSpeakFrame(LONG[:290]), TTSSpeakFrame("Still here.")], observer=observer
    )
    assert observer.killed_pid
    errors = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert len(errors) == 1 and "died" in errors[0].error
    assert words(down)[-2:] == ["Still", "here."]
    last_start = max(i for i, frame in enumerate(down) if isinstance(frame, TTSStartedFrame))
    assert sound_s(down[last_start:]) > 0.5


async def test_process_killed_between_sentences_goes_unnoticed() -> None:
    tts = EspeakTTSService()

    class KillOnStop(BaseObserver):
        async def on_push_frame(self, data: FramePushed) -> None:
            if isinstance(data.frame, TTSStoppedFrame) and data.source is tts:
                assert tts._client.pid
                os.kill(tts._client.pid, signal.SIGKILL)

    down, up = await run_test(
        tts,
        frames_to_send=[TTSSpeakFrame("One."), SleepFrame(0.1), TTSSpeakFrame("Two.")],
        observers=[KillOnStop()],
    )
    assert words(down) == ["One.", "Two."]
    assert not up


async def test_unknown_voice_is_reported_at_start() -> None:
    _, up = await spoken([], settings=EspeakTTSService.Settings(voice="tlh"))
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert errors == ["no such voice: tlh"]


async def test_settings_change_while_running() -> None:
    text = "The settings can change between two sentences."
    down, _ = await spoken(
        [
            TTSSpeakFrame(text),
            TTSUpdateSettingsFrame(delta=EspeakTTSService.Settings(rate_wpm=330)),
            TTSSpeakFrame(text),
        ]
    )
    half = next(i for i, frame in enumerate(down) if isinstance(frame, TTSStoppedFrame))
    assert sound_s(down[half:]) < 0.7 * sound_s(down[:half])


async def test_time_to_first_sound_is_measured_and_small() -> None:
    down, _ = await spoken([TTSSpeakFrame("Hello.")], metrics=True)
    times = [
        data.value
        for frame in down
        if isinstance(frame, MetricsFrame)
        for data in frame.data
        if isinstance(data, TTFBMetricsData) and data.value
    ]
    assert len(times) == 1 and times[0] < 0.2


async def test_process_is_gone_after_the_pipeline() -> None:
    tts = EspeakTTSService()
    pids = []

    class NotePid(BaseObserver):
        async def on_push_frame(self, data: FramePushed) -> None:
            if isinstance(data.frame, TTSStartedFrame):
                pids.append(tts._client.pid)

    await run_test(tts, frames_to_send=[TTSSpeakFrame("Hi.")], observers=[NotePid()])
    assert pids[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_text_of_any_length_is_spoken_whole() -> None:
    text = "Some words, and then no end " * 40
    down, up = await spoken([TTSSpeakFrame(text)])
    assert not up
    assert " ".join(words(down)) == text.strip()


def test_pieces() -> None:
    assert list(_pieces("one two three", 8)) == ["one two ", "three"]
    assert list(_pieces("One. Two words. Three.", 19)) == ["One. Two words. ", "Three."]
    assert list(_pieces("onetwothree", 4)) == ["onet", "woth", "ree"]
    assert list(_pieces("short", 8)) == ["short"]


def test_words_are_taken_whole_and_once() -> None:
    text = "It costs 123 euros — really."
    in_order = _WordsInOrder(text)
    assert [in_order.up_to(character) for character in (0, 3, 9, 10, 13, 21)] == [
        "It", "costs", "123", "", "euros", "— really.",
    ]  # fmt: skip
