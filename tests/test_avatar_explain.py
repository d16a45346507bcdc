"""The diagram of a speech: as long as the speech, red where the lips are closed."""

import numpy as np
from conftest import speech_like

from avatar.avatar import Avatar
from avatar.controls import MOUTH, VISEMES
from avatar.explain import _CLOSED, STRIP_S, Explained, drawing, explained
from avatar.phones import PHONES
from avatar.words import Word

RATE_HZ = 22_050


def test_it_tells_what_the_face_does(avatar: Avatar) -> None:
    made = explained(avatar.model, speech_like(1.0, RATE_HZ), RATE_HZ)
    assert made.evidence.shape == made.movement.shape == (50, len(MOUTH))
    assert made.visemes.shape == (50, len(VISEMES))
    np.testing.assert_allclose(made.visemes.sum(axis=1), 1.0, atol=1e-3)
    jaw = MOUTH.index("jaw")
    np.testing.assert_array_equal(made.evidence[:, jaw], made.movement[:, jaw])


def test_it_tells_what_was_heard_and_where_in_the_text_it_is(avatar: Avatar) -> None:
    words = [Word("bah", (("b", "aa"),)), Word("mee", (("m", "iy"),))]
    made = explained(avatar.model, speech_like(1.0, RATE_HZ), RATE_HZ, words)
    assert len(made.phones) == len(made.places) == 50
    assert {name for name, _ in made.phones} <= set(PHONES)
    assert {name for name, _ in made.places} <= {"", "bah", "mee"}
    assert all(0 <= share <= 1 for _, share in made.phones + made.places)
    assert explained(avatar.model, speech_like(1.0, RATE_HZ), RATE_HZ).places == []


def test_a_strip_for_every_six_seconds() -> None:
    heights = []
    for seconds in (0.5, STRIP_S, STRIP_S + 0.1, 3 * STRIP_S):
        rows = round(seconds * 50)
        values = [np.zeros((rows, columns), np.float32) for columns in (10, 10, 15)]
        made = Explained(*values, phones=[("aa", 0.9)] * rows, places=[], row_s=0.02)
        heights.append(len(drawing(np.zeros(round(seconds * RATE_HZ), np.int16), RATE_HZ, made)))
    assert heights == [heights[0], heights[0], 2 * heights[0], 3 * heights[0]]


def test_closures_are_red_at_their_time() -> None:
    movement = np.zeros((100, 10), np.float32)
    movement[50:60, MOUTH.index("press")] = 1.0
    made = Explained(movement, movement, np.zeros((100, 15), np.float32), [], [], row_s=0.02)
    picture = drawing(np.zeros(2 * RATE_HZ, np.int16), RATE_HZ, made)
    red = np.flatnonzero((picture == _CLOSED).all(axis=2).any(axis=0))
    per_s = (red[-1] - red[0]) / 0.2
    assert 170 < per_s < 190
    assert abs((red[0] - 76) / per_s - 1.0) < 0.02
