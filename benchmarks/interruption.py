"""Measures how fast the agent starts, answers an offer and falls silent, at the client.

    python -m benchmarks.interruption                  everything
    python -m benchmarks.interruption interrupt --url http://127.0.0.1:8080
    python -m benchmarks.interruption start            process start and offers
    python -m benchmarks.interruption delay            what the avatar's stages add to the sound

interrupt: long speech, cut by POST /interrupt at random moments. From sending that request: when
the last sound of the old speech is heard, when the last picture with parted lips is replaced, and
whether anything of it comes later, in the silence or in the first words of the next speech.

delay: from the voice's first sound to its arrival at the client, with the avatar's stages and
without them; the difference is what they add: for a voice that streams five times faster than it
speaks, in pieces of 100 ms, and for one that speaks live, in pieces of 20 ms.
"""

import argparse
import asyncio
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from avatar.avatar import Avatar
from avatar.features import SAMPLE_RATE, LogMel
from benchmarks.av_sync import hear_out
from benchmarks.bursts import burst_sound
from benchmarks.mouth_reading import TOGETHER, MouthReader, fit_reader
from benchmarks.peer import Peer
from benchmarks.pods import BURST_POD, running_pod
from benchmarks.recording import AUDIO_HZ, Recording
from benchmarks.report import Figure, print_report
from benchmarks.sentences import LONG_SPEECHES
from benchmarks.skew import loud_edges

INTERRUPTIONS = 24
EARLIEST_S, LATEST_S = 0.6, 6.0
"""When speech is cut, counted from its first sound."""
WATCH_S = 1.6
"""How long silence and closed lips are watched afterwards."""
OFFERS = 12
STARTS = 5
DELAYS = 20
AUDIBLE = 330
"""A sample at least this far from zero (1 % of full scale) is a sound."""
PAUSE_S = 0.1
COMPARED_ROWS, SLACK_ROWS = 40, 6
"""The first 0.4 s of a speech are compared, at shifts of up to 0.06 s."""
ALIKE = 0.75
"""Two renderings of the same words correlate by 0.86 or more, of other words by 0.64 or less."""


@dataclass(frozen=True)
class Cut:
    """What one interruption looked like, in milliseconds from the request.

    Attributes:
        sound_ms: when the last audible sample was heard.
        lips_ms: when the first picture of those with closed lips came; 0 if closed before.
        trailing_ms: length of what was audible after a pause of more than 100 ms, 0 if nothing.
    """

    sound_ms: float
    lips_ms: float
    trailing_ms: float


def cuts(recording: Recording, reader: MouthReader) -> list[Cut]:
    """What each interruption of a recording looked like.

    Args:
        recording: with events named /interrupt, nothing asked for within WATCH_S after each.
        reader: fitted on the face.
    """
    sound, _ = recording.wire_clocks()
    audible = np.flatnonzero(np.abs(recording.pcm.astype(np.int32)) >= AUDIBLE)
    heard_s = sound(recording.pcm_rtp + audible.astype(np.float64))
    seen_s = recording.picture_arrivals()
    opening = reader.opening(recording.pictures)
    found = []
    for at in recording.event_times("/interrupt"):
        until = at + WATCH_S
        last_s, trailing_s = _tail(heard_s[(heard_s > at) & (heard_s < until)] - at)
        # The picture that is on show at the moment of the request counts too.
        watched = np.arange(np.searchsorted(seen_s, at) - 1, np.searchsorted(seen_s, until))
        parted = watched[opening[watched] > TOGETHER]
        closed_s = float(seen_s[min(parted[-1] + 1, len(seen_s) - 1)] - at) if len(parted) else 0.0
        found.append(Cut(last_s * 1e3, closed_s * 1e3, trailing_s * 1e3))
    return found


def _tail(audible_s: np.ndarray) -> tuple[float, float]:
    """When the sound that runs into a moment ends, and for how long it comes back after that.

    Args:
        audible_s: (samples,) seconds from the moment, above zero, of all audible samples.
    """
    breaks = np.flatnonzero(np.diff(audible_s, prepend=0.0) > PAUSE_S)
    ended = breaks[0] if len(breaks) else len(audible_s)
    trailing = audible_s[ended:]
    last_s = float(audible_s[ended - 1]) if ended else 0.0
    return last_s, float(np.ptp(trailing)) if len(trailing) else 0.0


def fresh_starts(recording: Recording, texts: list[int]) -> list[float]:
    """How like each speech's start is to the start of another speech of the same text.

    Args:
        recording: with one /speak for each text.
        texts: (speeches,) which text each was.

    Returns:
        For each speech the best correlation of its log-mel rows with those of the others: high
        where it begins with its words, low where old sound or holes are mixed in.
    """
    sound, _ = recording.wire_clocks()
    starts, _ = loud_edges(recording.pcm, AUDIBLE, quiet_s=0.5)
    heard_s = sound(recording.pcm_rtp + starts)
    begun = [starts[heard_s > at][:1] for at in recording.event_times("/speak")]
    rows = [_start_rows(recording.pcm, int(start[0])) if len(start) else None for start in begun]
    alike = []
    for text, mine in zip(texts, rows, strict=True):
        others = [r for t, r in zip(texts, rows, strict=True) if t == text and r is not mine]
        likenesses = [_likeness(r, mine) for r in others if r is not None and mine is not None]
        alike.append(max(likenesses, default=-1.0))
    return alike


def _start_rows(pcm: np.ndarray, start: int) -> np.ndarray:
    """(rows, 40) log-mel rows of a sound's start, with SLACK_ROWS before and after."""
    slack = SLACK_ROWS * AUDIO_HZ // 100
    end = start + COMPARED_ROWS * AUDIO_HZ // 100 + slack
    cut = pcm[max(0, start - slack) : end].astype(np.float32) / 32768
    third = AUDIO_HZ // SAMPLE_RATE
    return LogMel().feed(cut[: len(cut) // third * third].reshape(-1, third).mean(axis=1))


def _likeness(reference: np.ndarray, rows: np.ndarray) -> float:
    """Largest correlation of a reference's middle with the rows at any of some shifts."""
    wanted = reference[SLACK_ROWS : SLACK_ROWS + COMPARED_ROWS]
    wanted = wanted - wanted.mean(axis=0)
    best = -1.0
    for shift in range(len(rows) - len(wanted) + 1):
        given = rows[shift : shift + len(wanted)]
        given = given - given.mean(axis=0)
        norm = float(np.linalg.norm(wanted) * np.linalg.norm(given))
        best = max(best, float((wanted * given).sum()) / max(norm, 1e-9))
    return best


async def interrupted_session(url: str, seed: int = 11) -> tuple[Recording, list[int]]:
    """A session of long speeches, each cut at a random moment while it is heard."""
    rng = np.random.default_rng(seed)
    texts = [number % len(LONG_SPEECHES) for number in range(INTERRUPTIONS)]
    async with Peer(url) as peer:
        await peer.connect()
        await hear_out(peer)
        for text in tqdm(texts, desc="interrupting", unit="speech", disable=None):
            await peer.post("/speak", {"message": LONG_SPEECHES[text]})
            await peer.until_loud(10.0)
            await asyncio.sleep(rng.uniform(EARLIEST_S, LATEST_S))
            await peer.until_loud(2.0)
            await peer.post("/interrupt", {})
            await asyncio.sleep(WATCH_S + 0.3)
        return peer.recording(), texts


def measure_interruptions(reader: MouthReader, url: str | None) -> list[Figure]:
    """Falling silent on request.

    Args:
        reader: fitted on the agent's face.
        url: of a running pod, or None to start one.
    """
    if url is None:
        with running_pod() as pod:
            recording, texts = asyncio.run(interrupted_session(pod.url))
    else:
        recording, texts = asyncio.run(interrupted_session(url))
    found = cuts(recording, reader)
    sound, lips = (np.array([getattr(cut, n) for cut in found]) for n in ("sound_ms", "lips_ms"))
    late = sum(cut.trailing_ms > 0 for cut in found)
    alike = fresh_starts(recording, texts)
    return [
        _median_and_max("interruption, last sound", sound, 80.0),
        _median_and_max("interruption, lips together", lips, 100.0),
        Figure("interruptions with old sound after a pause", {"n": late}, "", {"n": 0}),
        Figure(
            "speeches that begin with anything but their words",
            {"n": sum(one < ALIKE for one in alike), "of": len(alike)},
            "",
            {"n": 0},
        ),
    ]


def _median_and_max(name: str, values_ms: np.ndarray, limit_ms: float) -> Figure:
    values = {
        "median": float(np.median(values_ms)),
        "max": float(values_ms.max()),
        "n": len(values_ms),
    }
    return Figure(name, values, "ms", {"max": limit_ms})


async def burst_delays(url: str) -> np.ndarray:
    """Seconds from a voice's sound to its arrival, for each of twenty bursts.

    Counted from the moment at which that sample would be heard if the voice's first sample was
    heard at once.
    """
    async with Peer(url, pictures=False) as peer:
        await peer.connect()
        await asyncio.sleep(1.0)
        for seed in tqdm(range(DELAYS), desc="delays", unit="burst", disable=None):
            await peer.post("/bursts", {"count": 1, "seed": seed})
            await peer.speech(quiet_s=0.5 + 0.013 * (seed % 7))
        recording, events = peer.recording(), await peer.get("/events")
    sound, _ = recording.wire_clocks()
    heard = sound(recording.pcm_rtp + loud_edges(recording.pcm)[0])
    delays = []
    for seed, event in enumerate(events):
        given = event["time_s"] + loud_edges(burst_sound(1, AUDIO_HZ, seed))[0][0] / AUDIO_HZ
        delays.append(heard[heard > event["time_s"]][0] - given)
    return np.array(delays)


def measure_delay(lookahead_s: float) -> list[Figure]:
    """What the avatar's stages add to the sound.

    Args:
        lookahead_s: of the model, which is allowed on top.
    """
    figures = []
    for voice in ("streamed", "live"):
        medians = {}
        for cues in ("none", "model"):
            settings = {"BURSTS_CUES": cues, "BURSTS_VOICE": voice}
            with running_pod(BURST_POD, settings) as pod:
                delays_ms = asyncio.run(burst_delays(pod.url)) * 1e3
            medians[cues] = float(np.median(delays_ms))
        added = medians["model"] - medians["none"]
        values = {"added": added, "without": medians["none"], "with": medians["model"]}
        limit = {"added": 60.0 + lookahead_s * 1e3}
        figures.append(Figure(f"sound added by the avatar, {voice} voice", values, "ms", limit))
    return figures


async def first_picture_ms(url: str) -> float:
    """Milliseconds from posting an offer to the first packet of the first picture."""
    async with Peer(url, pictures=False) as peer:
        await peer.connect()
        offered_s = float(peer.recording().event_times("offer")[0])
        return (await peer.first_picture() - offered_s) * 1e3


def measure_start() -> list[Figure]:
    """Start of the process, and of a session in it."""
    starts_s, offers_ms = [], []
    for start in tqdm(range(STARTS + 1), desc="starting", unit="pod", disable=None):
        with running_pod() as pod:
            starts_s.append(pod.ready_s)
            if start == STARTS:
                offers_ms = [asyncio.run(first_picture_ms(pod.url)) for _ in range(OFFERS)]
    warm = np.array(starts_s[1:])
    return [
        Figure(
            "process start to /readyz",
            {"median": float(np.median(warm)), "max": float(warm.max()), "first": starts_s[0]},
            "s",
            {"median": 3.0},
        ),
        _median_limited("offer to first picture", np.array(offers_ms), 250.0),
    ]


def _median_limited(name: str, values_ms: np.ndarray, limit_ms: float) -> Figure:
    figure = _median_and_max(name, values_ms, limit_ms)
    return Figure(name, figure.values, "ms", {"median": limit_ms})


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = ("all", "interrupt", "start", "delay")
    parser.add_argument("what", nargs="?", choices=what, default="all")
    parser.add_argument("--url", help="interrupt: measure this running pod, not one of its own")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    avatar = Avatar.load()
    figures = []
    if options.what in ("all", "start"):
        figures += measure_start()
    if options.what in ("all", "delay"):
        figures += measure_delay(avatar.model.card.lookahead_s)
    if options.what in ("all", "interrupt"):
        figures += measure_interruptions(fit_reader(avatar.face().draw), options.url)
    print_report("Starting, answering and falling silent", figures, options.json)


if __name__ == "__main__":
    main()
