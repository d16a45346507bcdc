"""Measures lip-sync: how far the mouth a peer receives is from the sound it receives.

    python -m benchmarks.av_sync stage                      the avatar's stages alone
    python -m benchmarks.av_sync stage --rate 22050 --stall-ms 60
    python -m benchmarks.av_sync agent                      the whole agent, offline voice
    python -m benchmarks.av_sync agent --url http://127.0.0.1:8080

Skew is video minus audio: above zero the mouth is late. `wire` goes by packet arrival; `reports`
goes through RTCP sender reports, by which browsers synchronise.

stage: a pod of the benchmark speaks tone bursts off the picture grid; the mouth is wide open
while one sounds. Each burst gives two skews, of its beginning and its end. A picture is 33 ms
long, so single edges spread by 17 ms to either side even where nothing is late.

agent: sentences by POST /speak. The mouth read from the received pictures is correlated with what
the avatar makes of the received sound; each sentence gives one lag, finer than a picture.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from avatar.animator import Animator
from avatar.avatar import Avatar
from avatar.lipsync import LipSyncModel
from benchmarks.mouth_reading import MouthReader, effective_opening, fit_reader
from benchmarks.peer import Peer
from benchmarks.pods import BURST_POD, running_pod
from benchmarks.recording import AUDIO_HZ, Recording, RtpClock
from benchmarks.report import Figure, print_report
from benchmarks.sentences import SENTENCES
from benchmarks.skew import (
    BurstSkew,
    Lag,
    Spread,
    burst_skew,
    correlation_lag,
    holes,
    loud_edges,
)

RATES_HZ = (16_000, 22_050, 24_000)
STALL_MS = 60.0
BURSTS = 12
UTTERANCES = 6
SETTLE_S = 2.5
"""Sender reports come about every second; the first two are needed before the first edge."""
AROUND_S = 0.3
"""Kept before and after each sentence."""
SPEECH_LEVEL = 600
"""A sample of speech at least this far from zero is heard."""
SENTENCE_PAUSE_S = 0.5
FEWEST_PICTURES = 10
"""With fewer pictures of a stretch of speech no lag is read."""


async def burst_session(url: str, seed: int) -> Recording:
    """A session with the `burst_pod` in which it speaks 72 bursts, in utterances of twelve."""
    async with Peer(url) as peer:
        await peer.connect()
        await asyncio.sleep(SETTLE_S)
        for utterance in tqdm(range(UTTERANCES), desc="bursts", unit="utterance", disable=None):
            await peer.post("/bursts", {"count": BURSTS, "seed": seed + utterance})
            await peer.speech(quiet_s=1.0)
        return peer.recording()


def normalised(opening: np.ndarray) -> np.ndarray:
    """A read-out scaled so that closed is 0 and wide open 1; (n,) to (n,)."""
    closed, wide = np.percentile(opening, [10, 95])
    scaled: np.ndarray = (opening - closed) / max(wide - closed, 1e-6)
    return scaled


def stage_skews(recording: Recording, reader: MouthReader) -> dict[str, BurstSkew]:
    """Skew of the bursts in a recording, by clock."""
    opening = normalised(reader.opening(recording.pictures))
    return {name: burst_skew(recording, opening, c) for name, c in clocks_of(recording).items()}


def clocks_of(recording: Recording) -> dict[str, tuple[RtpClock, RtpClock]]:
    """The clocks by which a recording can be judged: wire, and reports when there are enough."""
    clocks = {"wire": recording.wire_clocks()}
    reports = recording.report_clocks()
    if reports:
        clocks["reports"] = reports
    return clocks


def measure_stage(
    reader: MouthReader, rates_hz: Sequence[int], stall_ms: float, transport: str = "own"
) -> list[Figure]:
    """Skew of the avatar's stages alone, for each rate of the voice.

    Args:
        reader: fitted on the same face.
        rates_hz: of the voice.
        stall_ms: how long the pod's event loop stands still each second.
        transport: "own", or "pipecat" for its SmallWebRTCTransport.
    """
    figures = []
    median_ms, tails_ms = (60.0, 60.0) if stall_ms else (10.0, 30.0)
    stall = f", stall {stall_ms:.0f} ms" if stall_ms else ""
    for rate in rates_hz:
        settings = {
            "BURSTS_RATE_HZ": str(rate),
            "BURSTS_STALL_MS": str(stall_ms),
            "BURSTS_TRANSPORT": transport,
        }
        with running_pod(BURST_POD, settings) as pod:
            recording = asyncio.run(burst_session(pod.url, seed=rate))
        for clock, skew in stage_skews(recording, reader).items():
            both = Spread.of(np.concatenate([skew.opening_ms, skew.closing_ms]))
            name = f"{rate / 1e3:g} kHz{stall}, {clock}"
            figure = Figure.of_spread(name, both, median_ms, tails_ms)
            figure.values["opening"] = Spread.of(skew.opening_ms).median
            figure.values["closing"] = Spread.of(skew.closing_ms).median
            figure.values["missed"] = skew.missed
            figures.append(replace(figure, limits={**figure.limits, "missed": 0}))
        broken = {"n": float(holes(recording.pcm)), "bursts": float(BURSTS * UTTERANCES)}
        name = f"{rate / 1e3:g} kHz{stall}, holes in the sound"
        figures.append(Figure(name, broken, "", {"n": 0}))
    return figures


async def speech_session(url: str, sentences: Sequence[str]) -> Recording:
    """A session in which the agent says each sentence, after it has said its greeting."""
    async with Peer(url) as peer:
        await peer.connect()
        await hear_out(peer)
        for sentence in tqdm(sentences, desc="speaking", unit="sentence", disable=None):
            await peer.post("/speak", {"message": sentence})
            await peer.speech(start_s=10.0, quiet_s=SENTENCE_PAUSE_S + 0.3)
        return peer.recording()


async def hear_out(peer: Peer, greeting_s: float = 2.0) -> None:
    """Let the agent finish what it says unasked."""
    try:
        await peer.speech(start_s=greeting_s, quiet_s=1.5)
    except TimeoutError:
        return


def speech_lags(
    recording: Recording,
    reader: MouthReader,
    model: LipSyncModel,
    clocks: tuple[RtpClock, RtpClock],
) -> list[Lag]:
    """The lag of each sentence that was asked for.

    Args:
        recording: of `speech_session`.
        reader: fitted on the same face.
        model: what the agent's mouth follows.
        clocks: of sound and pictures.
    """
    opening = reader.opening(recording.pictures)
    starts, ends = loud_edges(recording.pcm, SPEECH_LEVEL, SENTENCE_PAUSE_S)
    wire_sound, _ = recording.wire_clocks()
    asked = recording.event_times("/speak")
    lags = []
    for start, end in zip(starts, ends, strict=True):
        heard = float(wire_sound(np.array([recording.pcm_rtp + start]))[0])
        if not len(asked) or heard < asked[0]:
            continue
        lags.append(lag_between(recording, opening, model, clocks, (start, end)))
    return lags


def lag_between(
    recording: Recording,
    opening: np.ndarray,
    model: LipSyncModel,
    clocks: tuple[RtpClock, RtpClock],
    samples: tuple[float, float],
) -> Lag:
    """The lag of one stretch of speech.

    Args:
        recording: with the speech in it.
        opening: (pictures,) mouth opening read from the recording's pictures.
        model: what the agent's mouth follows.
        clocks: of sound and pictures.
        samples: of `recording.pcm`, where the speech begins and ends.

    Returns:
        NaN with a correlation of 0 where there are too few pictures.
    """
    sound, sight = clocks
    seen_s = sight(recording.picture_rtp)
    first = max(0, int(samples[0] - AROUND_S * AUDIO_HZ))
    pcm = recording.pcm[first : int(samples[1] + AROUND_S * AUDIO_HZ)]
    at_samples, track = mouth_track(pcm, model)
    track_s = np.maximum.accumulate(sound(recording.pcm_rtp + first + at_samples))
    here = (seen_s >= track_s[0]) & (seen_s <= track_s[-1])
    if here.sum() < FEWEST_PICTURES:
        return Lag(np.nan, 0.0)
    return correlation_lag(track_s, track, seen_s[here], opening[here])


def mouth_track(pcm: np.ndarray, model: LipSyncModel) -> tuple[np.ndarray, np.ndarray]:
    """The mouth that the avatar makes of a sound.

    Args:
        pcm: (samples,) int16, 48 kHz.
        model: the lip-sync model.

    Returns:
        (steps,) sample positions and (steps,) mouth opening in [0, 1].
    """
    animator = Animator(model, AUDIO_HZ)
    segments = animator.feed(pcm) + animator.flush()
    positions, openings = [], []
    for segment in segments:
        steps = len(segment.curve)
        positions.append(segment.start + (np.arange(steps) + 0.5) / steps * segment.samples)
        openings.append(effective_opening(segment.curve))
    return np.concatenate(positions), np.concatenate(openings)


def measure_agent(reader: MouthReader, model: LipSyncModel, url: str | None) -> list[Figure]:
    """Lag of the whole agent, one for each sentence.

    Args:
        reader: fitted on the agent's face.
        model: the agent's.
        url: of a running pod, or None to start one.
    """
    if url is None:
        with running_pod() as pod:
            recording = asyncio.run(speech_session(pod.url, SENTENCES))
    else:
        recording = asyncio.run(speech_session(url, SENTENCES))
    figures = []
    for clock, pair in clocks_of(recording).items():
        lags = speech_lags(recording, reader, model, pair)
        spread = Spread.of(np.array([lag.lag_ms for lag in lags]))
        values = {"median": spread.median, "abs_p95": spread.abs_p95, "n": spread.n}
        limits = {"median": 15.0, "abs_p95": 40.0}
        figures.append(Figure(f"agent, {clock}, lag", values, "ms", limits))
        alike = np.array([lag.correlation for lag in lags])
        figures.append(
            Figure(
                f"agent, {clock}, correlation",
                {"median": float(np.median(alike)), "least": float(alike.min())},
                "",
                {},
            )
        )
    return figures


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("all", "stage", "agent"), default="all")
    parser.add_argument("--url", help="agent: measure this running pod instead of starting one")
    parser.add_argument(
        "--rate",
        type=int,
        action="append",
        help="stage: the voice's rate in Hz; may be given again (default: 16000, 22050 and 24000, "
        "then 24000 with stalls)",
    )
    parser.add_argument("--stall-ms", type=float, help="stage: event loop stall each second")
    parser.add_argument(
        "--transport",
        choices=("own", "pipecat"),
        default="own",
        help="stage: AvatarWebRTCTransport, or Pipecat's SmallWebRTCTransport",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    avatar = Avatar.load()
    reader = fit_reader(avatar.face().draw)
    figures = [
        Figure(
            "read-out of the mouth, on held-out drawings",
            {"correlation": reader.correlation, "rms error": reader.error},
            "",
            {},
        )
    ]
    if options.what in ("all", "stage"):
        figures += measure_stage(
            reader, options.rate or RATES_HZ, options.stall_ms or 0.0, options.transport
        )
        if options.stall_ms is None and options.rate is None:
            figures += measure_stage(reader, RATES_HZ[-1:], STALL_MS, options.transport)
    if options.what in ("all", "agent"):
        figures += measure_agent(reader, avatar.model, options.url)
    print_report("Lip-sync: video minus audio, above zero the mouth is late", figures, options.json)


if __name__ == "__main__":
    main()
