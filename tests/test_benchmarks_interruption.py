"""What benchmarks make of an interruption whose sound and mouth are known."""

import numpy as np
import pytest

from benchmarks.interruption import ALIKE, _likeness, _tail, cuts, fresh_starts
from benchmarks.mouth_reading import MouthReader
from benchmarks.recording import AUDIO_HZ, Recording


class Brightness(MouthReader):
    """Reads the opening from how bright the crop is."""

    def opening(self, pictures: np.ndarray) -> np.ndarray:
        opening: np.ndarray = pictures.mean(axis=(1, 2)) / 200
        return opening


READER = Brightness(np.zeros(0), 1.0, 0.0)


def recording_of(loud_s: list[tuple[float, float]], open_until_s: float, at_s: float) -> Recording:
    """Six seconds, loud in some stretches, the mouth open until a time, interrupted at another."""
    pcm = np.zeros(6 * AUDIO_HZ, np.int16)
    for start, end in loud_s:
        pcm[int(start * AUDIO_HZ) : int(end * AUDIO_HZ)] = 8000
    packets_s, pictures_s = np.arange(300) * 0.02, np.arange(180) / 30
    audio = np.stack([100 + packets_s, packets_s * AUDIO_HZ, packets_s * 0 + 80], axis=1)
    video = np.stack([100 + pictures_s, pictures_s * 90_000, pictures_s * 0 + 900], axis=1)
    open_ = (pictures_s < open_until_s)[:, None, None] * np.ones((1, 4, 4))
    return Recording(
        audio_packets=audio,
        video_packets=video,
        audio_reports=np.zeros((0, 3)),
        video_reports=np.zeros((0, 3)),
        pcm=pcm,
        pcm_rtp=0.0,
        pictures=(open_ * 200).astype(np.uint8),
        picture_rtp=video[:, 1],
        events=[(100 + at_s, "/interrupt")],
    )


def test_the_tail_of_the_sound_and_the_closing_lips_are_timed() -> None:
    (cut,) = cuts(recording_of([(0.5, 2.05)], 2.055, at_s=2.0), READER)
    assert cut.sound_ms == pytest.approx(50, abs=1)
    assert cut.lips_ms == pytest.approx(2.0667e3 - 2e3, abs=1)
    assert cut.trailing_ms == 0


def test_a_mouth_open_on_show_counts_until_it_is_replaced() -> None:
    (cut,) = cuts(recording_of([(0.5, 2.0)], 1.999, at_s=1.99), READER)
    assert cut.lips_ms == pytest.approx(10, abs=1)


def test_a_closed_mouth_has_nothing_to_close() -> None:
    (cut,) = cuts(recording_of([(0.5, 2.05)], 1.0, at_s=2.0), READER)
    assert cut.lips_ms == 0


def test_old_sound_that_comes_back_is_noticed() -> None:
    (cut,) = cuts(recording_of([(0.5, 2.03), (2.6, 2.8)], 2.0, at_s=2.0), READER)
    assert cut.sound_ms == pytest.approx(30, abs=1)
    assert cut.trailing_ms == pytest.approx(200, abs=2)


def test_silence_has_no_tail() -> None:
    assert _tail(np.zeros(0)) == (0.0, 0.0)


def test_a_speech_that_begins_with_something_else_is_told_from_its_likes() -> None:
    recording = recording_of([], 0.0, at_s=5.9)
    recording.events[:] = [(100 + at, "/speak") for at in (0.2, 2.2, 4.2)]
    rng = np.random.default_rng(2)
    loudness = np.repeat(rng.uniform(0.02, 1, 16), AUDIO_HZ // 20)
    words = np.cumsum(rng.normal(size=len(loudness))) % 200 - 100
    for start_s in (0.5, 2.5, 4.5):
        begin = int(start_s * AUDIO_HZ)
        recording.pcm[begin : begin + len(words)] = (words * loudness * 90).astype(np.int16)
    assert min(fresh_starts(recording, [0, 0, 0])) > 0.95
    recording.pcm[int(4.5 * AUDIO_HZ) :][: len(words) // 2] = recording.pcm[int(4.8 * AUDIO_HZ) :][
        : len(words) // 2
    ]
    alike = fresh_starts(recording, [0, 0, 0])
    assert min(alike[:2]) > 0.95 > ALIKE > alike[2]


def test_the_same_rows_are_alike_at_another_shift() -> None:
    rng = np.random.default_rng(1)
    rows, other = rng.normal(size=(2, 60, 40))
    assert _likeness(rows[:52], np.roll(rows, 3, axis=0)[:52]) > 0.99
    assert _likeness(rows[:52], other[:52]) < 0.5
