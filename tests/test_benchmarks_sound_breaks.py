"""Breaks in received speech are found and measured, and none are found where there are none."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
import soxr
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame

from benchmarks.recording import AUDIO_HZ
from benchmarks.sentences import SENTENCES
from benchmarks.sound_breaks import Break, compare
from offline.voice import SAMPLE_RATE_HZ
from tests.offline_speech import said

PACKET = AUDIO_HZ // 50


@pytest.fixture(scope="module")
def sentences() -> list[np.ndarray]:
    """(samples,) int16 at 48 kHz each, resampled at once."""
    raw = asyncio.run(said(SENTENCES[:4]))
    return [soxr.resample(pcm, SAMPLE_RATE_HZ, AUDIO_HZ) for pcm in raw]


def through_opus(pcm: np.ndarray) -> np.ndarray:
    """(samples,) int16 as a peer decodes it."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    parts = []
    for start in range(0, len(pcm) - PACKET + 1, PACKET):
        frame = AudioFrame.from_ndarray(pcm[None, start : start + PACKET], "s16", "mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, start
        frame.time_base = Fraction(1, AUDIO_HZ)
        payloads, timestamp = encoder.encode(frame)
        for payload in payloads:
            (decoded,) = decoder.decode(JitterFrame(payload, timestamp))
            parts.append(decoded.to_ndarray().reshape(-1)[:: len(decoded.layout.channels)])
    return np.concatenate(parts)


def received(edited: np.ndarray) -> np.ndarray:
    """An edited sentence in the middle of quiet noise, resampled again and Opus-coded."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 8, len(edited) + 5 * AUDIO_HZ // 2).astype(np.int16)
    start = 11 * AUDIO_HZ // 10 + 137
    noise[start : start + len(edited)] += edited
    again = soxr.resample(soxr.resample(noise, AUDIO_HZ, 44_100), 44_100, AUDIO_HZ)
    return through_opus(again)


def loud_place(pcm: np.ndarray, share: float = 0.45) -> int:
    """A sample in loud speech, about that far into the sentence."""
    level = np.convolve(np.abs(pcm.astype(float)), np.ones(2400), "same")
    first, last = int((share - 0.1) * len(pcm)), int((share + 0.1) * len(pcm))
    return first + int(level[first:last].argmax())


def with_silence(pcm: np.ndarray, at: int, ms: float) -> np.ndarray:
    return np.concatenate([pcm[:at], np.zeros(int(ms * AUDIO_HZ / 1e3), np.int16), pcm[at:]])


def without(pcm: np.ndarray, at: int, ms: float) -> np.ndarray:
    return np.concatenate([pcm[:at], pcm[at + int(ms * AUDIO_HZ / 1e3) :]])


def the_break(sent: np.ndarray, edited: np.ndarray) -> Break:
    heard = compare(sent, received(edited))
    assert heard is not None
    (found,) = heard.breaks
    return found


@pytest.mark.parametrize("number", range(4))
def test_speech_as_it_was_sent_has_no_breaks(sentences: list[np.ndarray], number: int) -> None:
    heard = compare(sentences[number], received(sentences[number]))
    assert heard is not None
    assert heard.breaks == ()
    assert heard.likeness > 0.9
    assert heard.unlike_ms == 0
    assert heard.end - heard.start == len(sentences[number])


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("ms", [8.0, 25.0, 400.0])
def test_silence_that_was_put_in_is_found(
    sentences: list[np.ndarray], number: int, ms: float
) -> None:
    sent = sentences[number]
    at = loud_place(sent)
    found = the_break(sent, with_silence(sent, at, ms))
    assert found.shift_ms == pytest.approx(ms, abs=1)
    assert found.at_s == pytest.approx(at / AUDIO_HZ, abs=0.03)
    assert found.size_ms == pytest.approx(ms, abs=10)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("ms", [20.0, 45.0, 200.0])
def test_sound_that_was_left_out_is_found(
    sentences: list[np.ndarray], number: int, ms: float
) -> None:
    sent = sentences[number]
    at = loud_place(sent)
    found = the_break(sent, without(sent, at, ms))
    assert found.shift_ms == pytest.approx(-ms, abs=1)
    assert at / AUDIO_HZ - 0.06 < found.at_s < at / AUDIO_HZ + ms / 1e3 + 0.06


@pytest.mark.parametrize("number", range(4))
def test_a_lost_packet_is_a_hole(sentences: list[np.ndarray], number: int) -> None:
    edited = sentences[number].copy()
    at = loud_place(edited)
    edited[at : at + 2 * PACKET] = 0
    found = the_break(sentences[number], edited)
    assert found.shift_ms == 0
    assert found.hole_ms == pytest.approx(40, abs=10)


def test_an_end_that_is_missing_is_a_hole(sentences: list[np.ndarray]) -> None:
    sent = sentences[0]
    loud = np.flatnonzero(np.abs(sent) > 3000)
    found = the_break(sent, sent[: loud[-1] - int(0.06 * AUDIO_HZ)])
    assert found.size_ms == pytest.approx(60, abs=25)


def test_several_breaks_are_told_apart(sentences: list[np.ndarray]) -> None:
    sent = sentences[1]
    first, second = loud_place(sent, 0.25), loud_place(sent, 0.75)
    heard = compare(sent, received(with_silence(without(sent, second, 45), first, 25)))
    assert heard is not None
    shifts = [found.shift_ms for found in heard.breaks]
    assert shifts == pytest.approx([25, -45], abs=1)


def test_another_sentence_is_not_found(sentences: list[np.ndarray]) -> None:
    assert compare(sentences[0], received(sentences[3])) is None
    assert compare(sentences[0], np.zeros(AUDIO_HZ, np.int16)) is None
