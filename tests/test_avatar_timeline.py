"""The schedule of mouth movement: windows, closures at their peak, interruption."""

import numpy as np

from avatar.controls import MOUTH
from avatar.mouth_curve import CLOSURE_ROWS, Closures, picture_mouth
from avatar.timeline import MouthTimeline

JAW, OPEN, PRESS, FV = (MOUTH.index(name) for name in ("jaw", "open", "press", "fv"))
PICTURE_S = 1 / 30


def _curve(control: int, values: list[float]) -> np.ndarray:
    curve = np.zeros((len(values), len(MOUTH)), np.float32)
    curve[:, control] = values
    return curve


def test_nothing_is_said_before_and_after_a_cue() -> None:
    timeline = MouthTimeline()
    timeline.add(1.0, PICTURE_S, _curve(JAW, [1, 1, 1, 1]))
    assert timeline.mouth(1.0 - PICTURE_S, 1.0) is None
    mouth = timeline.mouth(1.0, 1.0 + PICTURE_S)
    assert mouth is not None and mouth[JAW] == 1
    assert timeline.mouth(1.0 + PICTURE_S, 1.0 + 2 * PICTURE_S) is None


def test_a_picture_between_two_cues_takes_half_of_each() -> None:
    timeline = MouthTimeline()
    timeline.add(0.0, PICTURE_S, _curve(JAW, [0, 0, 0, 0.2]))
    timeline.add(PICTURE_S, PICTURE_S, _curve(JAW, [0.4, 1, 1, 1]))
    mouth = timeline.mouth(PICTURE_S / 2, 1.5 * PICTURE_S)
    assert mouth is not None
    np.testing.assert_allclose(mouth[JAW], 0.3, atol=1e-6)


def test_jitter_of_a_cue_neither_opens_a_gap_nor_adds_up() -> None:
    timeline = MouthTimeline()
    rng = np.random.default_rng(3)
    for number in range(60):
        start_s = number * PICTURE_S + rng.uniform(-0.006, 0.006)
        timeline.add(start_s, PICTURE_S, _curve(JAW, [number / 60] * 4))
        if number > 2:
            at_s = (number - 1) * PICTURE_S
            mouth = timeline.mouth(at_s, at_s + PICTURE_S)
            assert mouth is not None
            assert abs(mouth[JAW] - (number - 1) / 60) < 1 / 60


def test_a_pause_in_the_sound_moves_what_follows() -> None:
    timeline = MouthTimeline()
    timeline.add(0.0, PICTURE_S, _curve(JAW, [1] * 4))
    timeline.add(0.2, PICTURE_S, _curve(JAW, [1] * 4))
    assert timeline.mouth(0.1, 0.1 + PICTURE_S) is None
    assert timeline.mouth(0.2, 0.2 + PICTURE_S) is not None


def test_interruption_drops_only_what_may_be_interrupted() -> None:
    timeline = MouthTimeline()
    timeline.add(0.0, PICTURE_S, _curve(JAW, [1] * 4))
    timeline.add(PICTURE_S, PICTURE_S, _curve(JAW, [0.5] * 4), interruptible=False)
    timeline.interrupt()
    assert timeline.mouth(0.0, PICTURE_S) is None
    mouth = timeline.mouth(PICTURE_S, 2 * PICTURE_S)
    assert mouth is not None and mouth[JAW] == 0.5


def test_no_closure_falls_between_two_pictures() -> None:
    mouth = picture_mouth(_curve(PRESS, [0, 0, 0, 1]))
    assert mouth[PRESS] == 1
    assert mouth[OPEN] == 0


def test_a_short_closure_is_held_and_shuts_the_mouth() -> None:
    rows = np.zeros((12, len(MOUTH)), np.float32)
    rows[:, OPEN] = 0.8
    rows[4, PRESS] = 0.7
    shaped = Closures(0.5, 0.5).shape(rows)
    assert shaped[:, PRESS].sum() == CLOSURE_ROWS
    np.testing.assert_array_equal(shaped[4 : 4 + CLOSURE_ROWS, OPEN], 0)
    np.testing.assert_allclose(shaped[:4, OPEN], 0.8)
    assert rows[4, PRESS] == np.float32(0.7), "the evidence itself is left alone"


def test_closures_do_not_depend_on_how_rows_arrive() -> None:
    rows = np.random.default_rng(5).random((40, len(MOUTH))).astype(np.float32)
    whole = Closures(0.5, 0.6).shape(rows)
    closures = Closures(0.5, 0.6)
    np.testing.assert_array_equal(
        np.concatenate([closures.shape(rows[i : i + 1]) for i in range(40)]), whole
    )


def test_lip_under_teeth_leaves_a_narrow_gap() -> None:
    rows = np.zeros((3, len(MOUTH)), np.float32)
    rows[:, OPEN], rows[:, FV] = 0.9, 0.9
    assert Closures(0.5, 0.5).shape(rows)[:, OPEN].max() < 0.2
