"""Steps of the picture: given up one by one when time is short, taken back when it is not."""

from itertools import pairwise

from avatar.overload import STAGES, Overload

FPS = 30


class Run:
    """Pictures noted at their rate, on a clock of its own."""

    def __init__(self) -> None:
        self.overload = Overload()
        self.now_s = 50.0
        assert self.go(4.9, 1.0) == [], "a session gets time to settle"
        self.now_s += 0.2

    def go(self, seconds: float, late_share: float) -> list[int]:
        """Note pictures of which a share is late; return the levels it went through."""
        levels = []
        for number in range(int(seconds * FPS)):
            self.now_s += 1 / FPS
            late = (number * late_share) % 1 + late_share >= 1
            if self.overload.note(self.now_s, late):
                levels.append(self.overload.level)
        return levels


def test_it_begins_with_everything_and_a_few_late_pictures_change_nothing() -> None:
    run = Run()
    assert run.overload.stage == STAGES[0]
    assert run.go(60, 0.1) == []


def test_steps_are_given_up_one_at_a_time_and_the_last_one_stays() -> None:
    run = Run()
    assert run.go(20, 0.8) == [1, 2, 3]
    assert run.overload.stage.name == "simple lips"


def test_a_step_returns_after_a_calm_time_one_at_a_time() -> None:
    run = Run()
    run.go(4.3, 0.8)
    assert run.overload.level == 2
    assert run.go(7, 0.0) == []
    assert run.go(60, 0.0) == [1, 0]


def test_what_returned_too_soon_waits_longer_the_next_time() -> None:
    run = Run()
    waits = []
    for _ in range(3):
        while run.overload.level == 0:
            run.go(0.1, 0.8)
        begun_s = run.now_s
        while run.overload.level:
            run.go(0.1, 0.0)
        waits.append(run.now_s - begun_s)
    assert waits[1] > 1.7 * waits[0]
    assert waits[2] > 1.7 * waits[1]


def test_rates_and_sizes_only_fall() -> None:
    for before, after in pairwise(STAGES):
        assert after.rate_divisor >= before.rate_divisor
        assert after.size_divisor >= before.size_divisor
        assert after.model <= before.model
