"""Corpus text, noises and variation: deterministic, in range, and rich enough."""

import random
from collections import Counter

import numpy as np
import pytest

from avatar.features import BANDS, SAMPLE_RATE, SILENCE, LogMel
from training.augment import narrow_line, vary, warp
from training.noises import KINDS, room
from training.prepare import log_mel, prepare_utterance
from training.sentences import SYLLABLES, english, foreign
from training.synthesis import Utterance, to_16k


def test_sentences_are_filled_and_repeatable() -> None:
    sentences = [english(random.Random(seed)) for seed in range(300)]
    assert sentences == [english(random.Random(seed)) for seed in range(300)]
    assert len(set(sentences)) == 300
    assert not any(mark in sentence for sentence in sentences for mark in '{}"\\')
    letters = Counter("".join(sentences).lower())
    assert min(letters[letter] for letter in "bmpfvw") > 100


@pytest.mark.parametrize("language", SYLLABLES)
def test_foreign_words_are_repeatable(language: str) -> None:
    text = foreign(language, random.Random(5))
    assert text == foreign(language, random.Random(5))
    assert len(text.split()) >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_noises_have_unit_level(kind: str) -> None:
    sound = KINDS[kind](2 * SAMPLE_RATE, np.random.default_rng(1))
    assert sound.shape == (2 * SAMPLE_RATE,) and sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0, rel=1e-3)


def test_a_room_begins_with_the_direct_sound() -> None:
    assert room(np.random.default_rng(2))[0] == 1.0


class Unvaried:
    """Chance that leaves everything as it is."""

    def random(self) -> float:
        return 1.0

    def integers(self, *_: int) -> int:
        return 0


def test_training_hears_what_the_avatar_hears() -> None:
    pcm = (0.1 * np.random.default_rng(3).standard_normal(16_000)).astype(np.float32)
    pcm[:2000], pcm[6000:] = 0.0, 1e-4 * pcm[6000:]
    mel = vary(log_mel(pcm), None, Unvaried())  # type: ignore[arg-type]
    np.testing.assert_allclose(mel, LogMel().feed(pcm), atol=2e-3)


def test_tempo_shortens_without_moving_sounds() -> None:
    pcm = np.zeros(16_000, np.float32)
    pcm[8000:] = 0.1 * np.random.default_rng(3).standard_normal(8000)
    for tempo in (0.8, 1.25):
        loud = log_mel(pcm, tempo).mean(axis=1) > -8
        assert np.flatnonzero(loud)[0] == pytest.approx(50 / tempo, abs=1)


def test_warp_moves_a_resonance() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(3200) / SAMPLE_RATE).astype(np.float32)
    mel = log_mel(tone)[5:6]
    assert warp(mel, 1.15)[0].argmax() > mel[0].argmax() > warp(mel, 0.87)[0].argmax()


@pytest.mark.parametrize("seed", range(10))
def test_a_narrow_line_loses_more_the_farther_out(seed: int) -> None:
    gain = narrow_line(np.random.default_rng(seed))
    middle = BANDS // 2
    assert gain.shape == (BANDS,) and gain[middle] == 0.0 and gain.max() == 0.0
    assert (np.diff(gain[:middle]) >= 0).all() and (np.diff(gain[middle:]) <= 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_variation_keeps_shape_and_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mel, noise = rng.uniform(SILENCE, 3, (2, 100, BANDS)).astype(np.float32)
    varied = vary(mel, noise if seed % 2 else None, rng)
    assert varied.shape == mel.shape and varied.dtype == np.float32
    assert np.isfinite(varied).all() and varied.min() >= SILENCE - 1e-3


@pytest.mark.parametrize("plain", [True, False])
def test_labels_move_with_the_sound(plain: bool) -> None:
    pcm = np.zeros(16_000, np.int16)
    pcm[6400:9600] = (6000 * np.random.default_rng(0).standard_normal(3200)).astype(np.int16)
    utterance = Utterance("test", "canonical", pcm, [(0.4, 0.6, "aa")])
    for seed in range(5):
        prepared = prepare_utterance(utterance, np.random.default_rng(seed), plain)
        rows = len(prepared.mouth)
        assert prepared.mel.shape == (2 * rows, BANDS)
        assert len(prepared.visemes) == len(prepared.phones) == rows
        power = np.exp(prepared.mel).sum(axis=1)
        centre = (power * np.arange(2 * rows)).sum() / power.sum() / 2
        labelled = np.flatnonzero(prepared.visemes != 0).mean()
        assert centre == pytest.approx(labelled, abs=4)


def test_resampling_keeps_the_pitch() -> None:
    tone = (10_000 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)).astype(np.int16)
    spectrum = np.abs(np.fft.rfft(to_16k(tone, 22_050).astype(float)))
    assert len(to_16k(tone, 22_050)) == 16_000
    assert spectrum.argmax() == pytest.approx(440, abs=1)
