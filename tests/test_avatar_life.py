"""The face's own life: its figures over ten minutes, and that it depends on nothing but time."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.controls import FACE
from avatar.life import Life, LifeFace

FPS = 30
TEN_MINUTES = 600 * FPS


def live(
    seed: int, speaking: bool, pictures: int = TEN_MINUTES, energy: float = 0.0, fps: float = FPS
) -> NDArray[np.float64]:
    """(pictures, 12) of the face's controls, columns as in FACE."""
    life = Life(seed)
    return np.array([life.face(i / fps, speaking, energy) for i in range(pictures)])


def column(faces: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    return faces[:, FACE.index(name)]


def blink_peaks(lid: NDArray[np.float64]) -> NDArray[np.intp]:
    """Pictures at which a lid is at the bottom of a blink."""
    higher = (lid[1:-1] > 0.3) & (lid[1:-1] > lid[:-2]) & (lid[1:-1] >= lid[2:])
    return np.flatnonzero(higher) + 1


def test_the_names_are_those_of_the_face() -> None:
    assert LifeFace._fields == FACE


@pytest.mark.parametrize(("speaking", "rate"), [(False, 17), (True, 26)])
def test_blinks_per_minute(speaking: bool, rate: int) -> None:
    # 10 minutes hold 170 or 260 blinks; 15 % is about twice their standard error.
    counts = [len(blink_peaks(column(live(seed, speaking), "blink_left"))) for seed in (1, 2)]
    assert np.mean(counts) / 10 == pytest.approx(rate, rel=0.15)


def test_blink_gaps_are_spread_and_some_are_double() -> None:
    peaks = blink_peaks(column(live(3, False), "blink_left"))
    gaps_s = np.diff(peaks) / FPS
    assert gaps_s.min() > 0.28
    assert 0.02 < np.mean(gaps_s < 0.45) < 0.16
    single = gaps_s[gaps_s > 0.45]
    assert np.mean(single) > np.median(single)  # a tail to the right, as log-normal gaps have


def test_about_half_of_the_blinks_are_partial() -> None:
    lid = column(live(4, True), "blink_left")
    depths = lid[blink_peaks(lid)]
    assert 0.35 < np.mean(depths < 0.9) < 0.65
    assert depths.min() > 0.45


def test_a_blink_closes_in_80_ms_and_opens_in_170() -> None:
    life = Life(5)
    lid = np.array([life.face(i / 1000, False, 0.0).blink_left for i in range(30_000)])
    moving = np.flatnonzero(np.diff(np.concatenate([[0], (lid > 0).astype(int), [0]])))
    for start, end in moving.reshape(-1, 2):
        if end - start < 300 and start > 0 and end < len(lid):
            bottom = start + int(np.argmax(lid[start:end]))
            assert end - start == pytest.approx(280, abs=3)
            assert bottom - start == pytest.approx(80, abs=3)
    assert len(moving) >= 8


@pytest.mark.parametrize(("speaking", "share"), [(False, 0.12), (True, 0.25)])
def test_looks_away_part_of_the_time(speaking: bool, share: float) -> None:
    away = [
        np.mean(np.hypot(column(faces, "gaze_x"), column(faces, "gaze_y")) > 0.25)
        for faces in (live(seed, speaking) for seed in (6, 7))
    ]
    assert np.mean(away) == pytest.approx(share, abs=0.05)


def test_fixations_and_saccades() -> None:
    life = Life(8)
    gaze = np.array([life.face(i / 1000, False, 0.0).gaze_x for i in range(120_000)])
    moving = np.abs(np.diff(gaze)) > 1e-9
    edges = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]])))
    starts, ends = edges.reshape(-1, 2).T
    assert np.max(ends - starts) <= 46  # ms; the tails of a minimum-jerk move are flat
    fixations_s = (starts[1:] - ends[:-1]) / 1000
    assert fixations_s.min() > 0.30
    assert 1.2 < fixations_s.mean() < 2.0


def test_the_head_sways_more_in_speech_and_stays_small() -> None:
    quiet, talking = live(9, False), live(9, True, energy=0.3)
    for name, limit in (("yaw", 8.0), ("pitch", 6.0), ("roll", 4.0)):
        assert np.abs(column(talking, name)).max() < limit
        assert np.std(column(talking, name)) > 1.2 * np.std(column(quiet, name))
    assert 0.4 < np.std(column(quiet, "yaw")) < 2.6


def test_nothing_repeats_within_ten_minutes() -> None:
    yaw = column(live(10, False), "yaw")
    yaw = (yaw - yaw.mean()) / yaw.std()
    size = 2 ** math.ceil(math.log2(2 * len(yaw)))
    power = np.abs(np.fft.rfft(yaw, size)) ** 2
    similar = np.fft.irfft(power)[: len(yaw)] / np.arange(len(yaw), 0, -1)
    assert similar[20 * FPS : len(yaw) // 2].max() < 0.6


def test_breath_takes_four_seconds() -> None:
    breath = column(live(11, False), "breath")
    assert breath.min() == pytest.approx(0, abs=0.01)
    assert breath.max() == pytest.approx(1, abs=0.01)
    crossings = np.flatnonzero(np.diff(np.sign(breath - 0.5)) > 0)
    assert np.mean(np.diff(crossings)) / FPS == pytest.approx(4.1, rel=0.02)


def test_every_control_stays_in_its_range() -> None:
    faces = live(12, True, energy=1.0)
    assert np.isfinite(faces).all()
    for name in ("smile", "brow", "brow_in", "gaze_x", "gaze_y"):
        assert np.abs(column(faces, name)).max() <= 1
    for name in ("blink_left", "blink_right", "squint", "breath"):
        assert column(faces, name).min() >= 0
        assert column(faces, name).max() <= 1


def test_nothing_but_lids_and_eyes_jumps() -> None:
    life, faces = Life(13), []
    rng = np.random.default_rng(0)
    time_s = 0.0
    for index in range(3000):  # speaking on and off, irregular steps
        time_s += float(rng.uniform(0.020, 0.048))
        faces.append(life.face(time_s, index // 90 % 2 == 0, float(index // 30 % 2)))
    steps = np.abs(np.diff(np.array(faces), axis=0)).max(0)
    limits = {"smile": 0.03, "brow": 0.16, "brow_in": 0.02, "squint": 0.02}
    limits |= {"yaw": 1.2, "pitch": 1.0, "roll": 0.4, "breath": 0.05}
    for name, limit in limits.items():
        assert steps[FACE.index(name)] < limit, name


def test_the_same_seed_gives_the_same_life() -> None:
    assert (live(14, True, 900) == live(14, True, 900)).all()
    assert (live(14, True, 900) != live(15, True, 900)).any()


def test_the_pace_of_the_pictures_changes_little() -> None:
    coarse, fine = live(16, False, 30 * FPS), live(16, False, 60 * FPS, fps=2 * FPS)[::2]
    # Springs hold their target still for a step, so what follows the gaze differs a little.
    assert np.abs(coarse - fine).max() < 0.4
    assert np.abs(coarse - fine).mean() < 0.01


def test_emphasis_lifts_the_brows_and_nods() -> None:
    calm, loud = Life(17), Life(17)
    for index in range(90):
        calm.face(index / FPS, True, 0.2)
        loud.face(index / FPS, True, 0.2)
    lifted = [
        (loud.face(i / FPS, True, 0.9).brow - calm.face(i / FPS, True, 0.2).brow)
        for i in range(90, 96)
    ]
    assert lifted[-1] > 0.1
    assert loud.face(3.3, True, 0.9).pitch > calm.face(3.3, True, 0.2).pitch + 0.5


def test_an_interruption_draws_the_eyes_and_a_nod() -> None:
    life, same = Life(18), Life(18)
    index = 0
    while abs(life.face(index / FPS, True, 0.3).gaze_x) < 0.3:
        same.face(index / FPS, True, 0.3)
        index += 1
    same.face(index / FPS, True, 0.3)
    now = index / FPS
    life.interrupt(now)
    after = [life.face(now + i / FPS, False, 0.0) for i in range(1, 31)]
    plain = [same.face(now + i / FPS, False, 0.0) for i in range(1, 31)]
    assert all(abs(face.gaze_x) < 0.01 and abs(face.gaze_y) < 0.01 for face in after[1:])
    nod = np.array([a.pitch - b.pitch for a, b in zip(after, plain, strict=True)])
    assert nod.max() > 1.5
    assert abs(nod[-1]) < 0.6


def test_an_interruption_before_the_first_picture() -> None:
    life = Life(19)
    life.interrupt(0.0)
    assert life.face(0.0, False, 0.0).gaze_x == 0


def test_a_long_pause_is_no_jump_in_time() -> None:
    life = Life(20)
    life.face(0.0, False, 0.0)
    face = life.face(86_400.0, False, 0.0)
    assert all(math.isfinite(value) for value in face)


def test_time_must_move_forward() -> None:
    life = Life(21)
    life.face(1.0, False, 0.0)
    life.face(1.0, False, 0.0)
    with pytest.raises(ValueError, match="backwards"):
        life.face(0.9, False, 0.0)


@pytest.mark.parametrize(("time_s", "energy"), [(math.nan, 0.0), (math.inf, 0.0), (0.0, math.nan)])
def test_numbers_must_be_finite(time_s: float, energy: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Life(22).face(time_s, True, energy)
    with pytest.raises(ValueError, match="finite"):
        Life(22).interrupt(math.nan)
