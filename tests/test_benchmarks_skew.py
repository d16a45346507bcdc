"""The skew that benchmarks read from recordings whose skew is known."""

import numpy as np
import pytest

from benchmarks.recording import AUDIO_HZ, VIDEO_HZ, Recording, unwrapped
from benchmarks.skew import Spread, burst_skew, correlation_lag, holes, loud_edges, mouth_edges

FPS = 30
LENGTH_S = 45.0
NTP_AHEAD_S = 2.2e9


def recording_of(
    mouth_at: np.ndarray, pcm: np.ndarray, *, arrives_after_s: float = 0.0, stall: bool = False
) -> Recording:
    """A recording of that mouth and sound; the clocks of its two streams start far apart.

    Args:
        mouth_at: (pictures,) 0 or 1.
        pcm: (samples,) int16, 48 kHz.
        arrives_after_s: how late each picture comes after the sound of its time.
        stall: every second, 60 ms of packets arrive together at their end.
    """

    def arrival(sent_s: np.ndarray) -> np.ndarray:
        late = sent_s % 1.0
        return 1000.0 + np.where(stall & (late < 0.06), sent_s - late + 0.06, sent_s)

    packets_s = np.arange(len(pcm) // 960) * 0.02
    pictures_s = np.arange(len(mouth_at)) / FPS
    audio_rtp = 4_000_000_000.0 + packets_s * AUDIO_HZ
    video_rtp = 77_000.0 + pictures_s * VIDEO_HZ
    shown_s = pictures_s + arrives_after_s
    audio = np.stack([arrival(packets_s), audio_rtp, np.full(len(packets_s), 80.0)], axis=1)
    video = np.stack([arrival(shown_s), video_rtp, np.full(len(video_rtp), 900.0)], axis=1)
    reports_s = np.arange(0.5, LENGTH_S, 1.0)
    return Recording(
        audio_packets=audio,
        video_packets=np.concatenate([video - [[0.001, 0, 0]], video]),
        audio_reports=np.stack(
            [1000 + reports_s, NTP_AHEAD_S + reports_s, 4e9 + reports_s * AUDIO_HZ], axis=1
        ),
        video_reports=np.stack(
            [
                1000 + reports_s,
                NTP_AHEAD_S + reports_s,
                77_000 + (reports_s - arrives_after_s) * VIDEO_HZ,
            ],
            axis=1,
        ),
        pcm=pcm,
        pcm_rtp=4_000_000_000.0,
        pictures=(np.asarray(mouth_at)[:, None, None] * np.ones((1, 4, 4)) * 200).astype(np.uint8),
        picture_rtp=video_rtp,
        picture_size=(512, 512),
    )


def bursts() -> tuple[np.ndarray, np.ndarray]:
    """(samples,) int16 bursts of 0.2 s off the picture grid, and (pictures,) the mouth for it.

    Each picture shows the mouth of its middle.
    """
    seconds = np.arange(int(LENGTH_S * AUDIO_HZ)) / AUDIO_HZ
    jitter = np.random.default_rng(3).uniform(-0.05, 0.05, 80)
    open_ = np.zeros(len(seconds), bool)
    for burst in range(70):
        start = 0.5 + burst * 0.617 + jitter[burst]
        open_[int(start * AUDIO_HZ) : int((start + 0.2) * AUDIO_HZ)] = True
    pcm = np.where(open_, 16000 * np.cos(2 * np.pi * 700 * seconds), 0).astype(np.int16)
    middles = ((np.arange(int(LENGTH_S * FPS)) + 0.5) / FPS * AUDIO_HZ).astype(int)
    return pcm, open_[middles]


@pytest.mark.parametrize("late_ms", [-40.0, 0.0, 25.0])
def test_bursts_give_the_skew_that_was_put_in(late_ms: float) -> None:
    pcm, mouth = bursts()
    recording = recording_of(mouth, pcm, arrives_after_s=late_ms / 1e3)
    clocks = recording.report_clocks()
    assert clocks is not None
    for pair in (recording.wire_clocks(), clocks):
        skew = burst_skew(recording, mouth.astype(float), pair)
        for edges in (Spread.of(skew.opening_ms), Spread.of(skew.closing_ms)):
            assert edges.n == 70
            # One picture is 33.3 ms, so single edges spread by half of that to either side.
            assert abs(edges.median - late_ms) < 4
            assert late_ms - 17.5 < edges.p05 < edges.p95 < late_ms + 17.5
        assert skew.missed == 0


def test_stalls_show_on_the_wire_and_not_through_sender_reports() -> None:
    pcm, mouth = bursts()
    recording = recording_of(mouth, pcm, arrives_after_s=0.05, stall=True)
    clocks = recording.report_clocks()
    assert clocks is not None
    wire = Spread.of(burst_skew(recording, mouth.astype(float), recording.wire_clocks()).opening_ms)
    reports = Spread.of(burst_skew(recording, mouth.astype(float), clocks).opening_ms)
    assert wire.p95 - wire.p05 > reports.p95 - reports.p05
    assert abs(reports.median - 50) < 4


def test_a_mouth_that_never_moves_is_missed() -> None:
    pcm, mouth = bursts()
    recording = recording_of(np.zeros_like(mouth), pcm)
    skew = burst_skew(recording, np.zeros(len(mouth)), recording.wire_clocks())
    assert (skew.missed, len(skew.opening_ms)) == (140, 0)
    assert np.isnan(Spread.of(skew.opening_ms).median)


@pytest.mark.parametrize("late_ms", [-63.0, -7.0, 0.0, 11.0, 120.0])
def test_correlation_finds_a_shift_finer_than_a_picture(late_ms: float) -> None:
    rows_s = np.arange(0, 4, 0.02) + 0.01
    rng = np.random.default_rng(5)
    fine_s = np.arange(-1, 5, 0.001)
    fine = np.convolve(rng.normal(size=len(fine_s)), np.hanning(150), "same")
    seen_s = np.arange(0.4, 3.6, 1 / FPS) + 0.0071
    shown = np.interp(seen_s + 0.5 / FPS - late_ms / 1e3, fine_s, fine)
    noisy = 3 * shown + 2 + rng.normal(scale=0.3 * shown.std(), size=len(shown))
    lag = correlation_lag(rows_s, np.interp(rows_s, fine_s, fine), seen_s, noisy)
    assert abs(lag.lag_ms - late_ms) < 3
    assert lag.correlation > 0.9


def test_edges_bridge_short_pauses_only() -> None:
    pcm = np.zeros(AUDIO_HZ, np.int16)
    for start_s, end_s in ((0.1, 0.2), (0.25, 0.3), (0.6, 0.7)):
        pcm[int(start_s * AUDIO_HZ) : int(end_s * AUDIO_HZ)] = 9000
    starts, ends = loud_edges(pcm)
    assert np.allclose(starts / AUDIO_HZ, [0.1, 0.6], atol=1e-4)
    assert np.allclose(ends / AUDIO_HZ, [0.3, 0.7], atol=1e-4)
    opened, closed = mouth_edges(np.array([0, 0, 1, 1, 0, 1]))
    assert (opened.tolist(), closed.tolist()) == ([2, 5], [4])


def test_silence_put_into_a_burst_is_a_hole() -> None:
    pcm, _ = bursts()
    assert holes(pcm) == 0
    start = int(loud_edges(pcm)[0][7])
    pcm[start + 2000 : start + 2480] = 0
    pcm[start + 4000 : start + 4960] = 0
    assert holes(pcm) == 2


def test_timestamps_run_on_over_their_wrap() -> None:
    stamps = [2**32 - 960, 0, 2**32 - 480, 960]
    run_on = [float(stamps[0])]
    for stamp in stamps[1:]:
        run_on.append(unwrapped(stamp, run_on[-1]))
    assert np.diff(run_on).tolist() == [960, -480, 1440]


def test_a_recording_survives_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pcm, mouth = bursts()
    recording = recording_of(mouth, pcm)
    recording.events.append((1000.5, "/speak"))
    recording.save(tmp_path / "run.npz")
    again = Recording.load(tmp_path / "run.npz")
    assert again.event_times("/speak").tolist() == [1000.5]
    assert again.picture_size == (512, 512)
    assert np.array_equal(again.pictures, recording.pictures)
    assert np.array_equal(again.pcm, recording.pcm)
