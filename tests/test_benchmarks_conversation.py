"""A long talk's bookkeeping: ages, stages, slopes, what is forgotten, and a real short talk."""

import asyncio
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.ages import AgeLog, Ages
from benchmarks.conversation import Talk, converse, heard_pod
from benchmarks.judging import Verdict, judging
from benchmarks.overload import Phase, Watch, recovery, stage_of
from benchmarks.reception import Reception
from benchmarks.recording import AUDIO_HZ, VIDEO_HZ, Recording
from benchmarks.report import Figure
from benchmarks.skew import Lag
from benchmarks.soak import by_minute, drift_ms, figures_of, slope_per_h, write_files
from benchmarks.sound_breaks import Break, Heard
from benchmarks.talk_figures import break_figure, lag_figures
from benchmarks.voice_files import take_voice, write_voice

START_S = 1000.0


def recording_of(first: int, last: int, late_s: dict[int, float]) -> Recording:
    """Packets [first, last) of 20 ms, and a picture of two packets with each; some come late."""
    numbers = np.arange(first, last)
    arrivals = START_S + numbers * 0.02 + [late_s.get(int(n), 0.0) for n in numbers]
    audio = np.stack([arrivals, numbers * 0.02 * AUDIO_HZ, numbers * 0 + 80], axis=1)
    half = np.stack([arrivals, numbers * 0.02 * VIDEO_HZ, numbers * 0 + 900], axis=1)
    video = np.repeat(half, 2, axis=0)
    video[1::2, 0] += 0.003
    return Recording(
        audio_packets=audio,
        video_packets=video,
        audio_reports=np.zeros((0, 3)),
        video_reports=np.zeros((0, 3)),
        pcm=np.zeros(0, np.int16),
        pcm_rtp=0.0,
        pictures=np.zeros((0, 64, 64), np.uint8),
        picture_rtp=np.zeros(0),
    )


def test_ages_count_from_the_best_moment_and_no_packet_twice() -> None:
    log = AgeLog()
    log.add(recording_of(0, 100, {40: 0.13}))
    log.add(recording_of(80, 200, {150: 0.05}))
    sound = log.ages("sound")
    assert len(sound.ages_ms) == 200
    assert sound.values()["old"] == 1
    assert sound.values()["max"] == pytest.approx(130, abs=0.1)
    assert sound.values()["p50"] == pytest.approx(0, abs=0.1)
    pictures = log.ages("pictures")
    assert np.all(np.diff(np.sort(pictures.arrivals_s)) > 0)
    assert pictures.values()["max"] == pytest.approx(130, abs=0.1)
    assert len(pictures.between(START_S, START_S + 1).ages_ms) == 50
    assert math.isnan(log.ages("sound").between(0, 1).values()["p95"])


def verdict(at_s: float, lag_ms: float, *breaks: Break) -> Verdict:
    heard = Heard(0, 96_000, breaks, 0.97, 0.0)
    return Verdict(at_s, 2.0, heard, {"wire": Lag(lag_ms, 0.9)})


def test_breaks_count_by_minute_of_speech() -> None:
    long, short = Break(0.5, -45.0, 0.0), Break(0.5, 5.0, 25.0)
    verdicts = [verdict(START_S, 0.0, long), verdict(START_S + 5, 0.0, short)]
    verdicts += [verdict(START_S + 9, 0.0) for _ in range(28)]
    figure = break_figure("run", verdicts)
    assert figure.values["over 20 ms/min"] == 2
    assert figure.values["over 40 ms/min"] == 1
    assert figure.values["max ms"] == 45
    assert figure.met is False
    assert break_figure("run", verdicts[1:]).met is True
    unheard = [*verdicts[1:], Verdict(START_S, 2.0, None, {})]
    assert break_figure("run", unheard).met is False
    assert break_figure("run", []).met is False


def test_lags_have_a_target_at_both_tails() -> None:
    good = [verdict(START_S, lag) for lag in (-30.0, 5.0, 40.0)]
    assert lag_figures("run", good)[0].met is True
    assert lag_figures("run", [*good, verdict(START_S, 90.0)])[0].met is False
    assert lag_figures("run", good)[1].met is False  # no reports: nothing was measured


@pytest.mark.parametrize(
    ("avatar", "stage"),
    [
        ({"overload": {"stage": 1, "name": "half rate"}}, "1 half rate"),
        ({"overload": {"level": 2, "name": "half size"}}, "2 half size"),
        ({"overload": "full"}, "full"),
        ({"name": "mira"}, "-"),
        (None, "-"),
    ],
)
def test_the_stage_is_read_where_it_is_told(avatar: object, stage: str) -> None:
    assert stage_of({"avatar": avatar}) == stage


def test_recovery_is_the_full_rate_and_the_first_stage() -> None:
    slow, full = np.arange(20.0, 45.0, 1 / 15), np.arange(45.0, 60.0, 1 / 30)
    seen = np.concatenate([slow, full])
    watch = Watch([Phase("calm", 0, 20), Phase("burning", 20, 40), Phase("after", 40, 60)])
    watch.stages = [(0.0, "0 full"), (24.0, "1 half rate"), (46.0, "0 full")]
    values = recovery(Ages(seen, seen * 0), watch)
    assert values["full rate"] == pytest.approx(5, abs=0.3)
    assert values["first stage"] == pytest.approx(6)
    watch.stages.pop()
    assert recovery(Ages(slow, slow * 0), watch) == {"full rate": np.inf, "first stage": np.inf}


def test_slope_and_drift_of_a_session_that_grows() -> None:
    times_s = np.arange(0.0, 3600.0, 10.0)
    memory = np.stack([times_s, 200 + np.maximum(0, times_s - 600) / 3600 * 12], axis=1)
    assert slope_per_h(memory, 600.0) == pytest.approx(12, abs=0.1)
    assert math.isnan(slope_per_h(memory, 3590.0))
    lags = np.stack([times_s, times_s / 3600 * 30], axis=1)
    assert drift_ms(lags, 0.0, 3600.0) == pytest.approx(25, abs=0.3)


def test_a_soak_leaves_a_table_and_a_picture(tmp_path: Path) -> None:
    talk = Talk(START_S, START_S + 180, status={"counters": {"tasks": 5}})
    talk.verdicts = [verdict(START_S + at, 3.0) for at in range(0, 180, 6)]
    talk.ages.add(recording_of(0, 9000, {}))
    times_s = START_S + np.arange(0, 180, 10)
    memory = np.stack([times_s, times_s * 0 + 250, times_s * 0 + 280], axis=1)
    figures = {figure.name: figure for figure in figures_of(talk, memory)}
    assert figures["memory, slope"].met is True
    assert figures["drift of mouth and sound, wire"].met is True
    assert isinstance(figures["counters of the pod"], Figure)
    write_files(tmp_path / "hour", by_minute(talk, memory))
    lines = (tmp_path / "hour.csv").read_text().splitlines()
    assert lines[0].startswith("minute,pod_mib,all_mib,lag_wire_ms")
    assert len(lines) == 4
    assert cv2.imread(str(tmp_path / "hour.png")).std() > 5


def test_a_voice_file_goes_from_the_pod_to_the_benchmark_once(tmp_path: Path) -> None:
    tone = (np.sin(np.arange(22_050) / 10) * 9000).astype(np.int16)
    write_voice(tmp_path, "ready", tone.tobytes(), 22_050)
    write_voice(tmp_path, "Hello. ", tone.tobytes(), 22_050)
    found = take_voice(tmp_path, "Hello.")
    assert found is not None
    assert len(found) == AUDIO_HZ
    assert take_voice(tmp_path, "Hello.") is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_forgotten_is_gone_and_timestamps_run_on() -> None:
    reception = Reception(pictures=True)
    near_wrap = 2**32 - 960 * 50
    for number in range(100):
        stamp = (near_wrap + 960 * number) % 2**32
        row = (START_S + number * 0.02, reception._rtp("audio", stamp), 80.0)
        reception._packets["audio"].append(row)
        reception._sound.append((960 * number, np.full(960, number, np.int16)))
    reception.forget(0.5)
    kept = reception.recording([], [])
    assert len(kept.audio_packets) == 26
    assert kept.audio_packets[-1, 1] - near_wrap == 99 * 960
    assert kept.pcm[-1] == 99
    assert kept.pcm_rtp + len(kept.pcm) == near_wrap + 100 * 960


def test_a_talk_with_the_real_pod_is_heard_as_it_was_said() -> None:
    with judging(drawings=300) as judge, heard_pod() as (pod, voice):
        talk = asyncio.run(converse(pod.url, voice, 1.0, judge))
    (only,) = talk.verdicts
    assert only.heard is not None
    assert only.heard.likeness > 0.9
    assert only.length_s > 1.5
    assert only.lags["wire"].correlation > 0.5
    assert len(talk.ages_of("pictures").ages_ms) > 10
    assert talk.status["session"]
