"""Reports name the machine and hold figures against their targets."""

import json

import numpy as np
import pytest

from benchmarks.machine import this_machine
from benchmarks.report import Figure, print_report
from benchmarks.sessions_soak import Rest, figures_of
from benchmarks.skew import Spread


def test_a_spread_is_held_against_its_limits() -> None:
    good = Figure.of_spread("one", Spread.of(np.arange(-20.0, 21.0)), median=10, tails=30)
    bad = Figure.of_spread("two", Spread.of(np.arange(-20.0, 21.0) + 25), median=10, tails=30)
    assert (good.met, bad.met) == (True, False)
    assert "met" in str(good) and "MISSED" in str(bad)


def test_nothing_measured_is_not_a_target_met() -> None:
    assert Figure.of_spread("none", Spread.of(np.zeros(0)), 10, 30).met is False


def test_reports_name_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    print_report("Title", [Figure("a", {"n": 3}, "", {"n": 0})], as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]["cpu"] and report["machine"]["remap_ms"] > 0
    assert report["figures"][0]["met"] is False
    print_report("Title", [Figure("a", {"n": 3})], as_json=False)
    assert this_machine().cpu in capsys.readouterr().out


def test_a_soak_tells_growth_and_left_over_tasks() -> None:
    steady = [Rest(100 + min(n, 5), 9, 0.1) for n in range(51)]
    leaking = [Rest(100 + n, 9 + n, 0.1) for n in range(51)]
    assert all(figure.met is not False for figure in figures_of(steady, 0, 0))
    missed = {figure.name for figure in figures_of(leaking, 1, 2) if figure.met is False}
    assert missed == {
        "growth from the 5th to the last",
        "growth over the last twenty",
        "asyncio tasks left behind",
        "sessions refused",
        "broken offers accepted",
    }
