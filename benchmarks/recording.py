"""What a peer received: packets, sender reports, sound and mouth pictures, on common clocks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

AUDIO_HZ = 48_000
"""RTP clock of Opus, and the rate at which it is decoded."""
VIDEO_HZ = 90_000
"""RTP clock of every video codec."""
REPORTS_KEPT = 20
"""Sender reports a browser fits its line through (Chromium's RtpToNtpEstimator)."""

ARRIVAL, RTP, BYTES = 0, 1, 2
"""Columns of a packet table."""
SEEN, NTP, REPORT_RTP = 0, 1, 2
"""Columns of a table of sender reports."""

RtpClock = Callable[[np.ndarray], np.ndarray]
"""Gives the seconds of (n,) RTP timestamps."""


def unwrapped(timestamp: int, latest: float) -> float:
    """An RTP timestamp without its 32-bit wrap-around: the value nearest to the one before.

    Args:
        timestamp: as in the packet, below 2**32.
        latest: the unwrapped timestamp of the packet before.
    """
    return latest + (timestamp - latest + 2**31) % 2**32 - 2**31


@dataclass(frozen=True)
class Recording:
    """One session as its peer received it; all times are seconds of the peer's `time.time()`.

    Attributes:
        audio_packets: (n, 3) float64: arrival, RTP timestamp (unwrapped), payload bytes.
        video_packets: (n, 3) float64, likewise; several packets share a picture's timestamp.
        audio_reports: (n, 3) float64: arrival, sender's NTP seconds, RTP timestamp.
        video_reports: (n, 3) float64, likewise.
        pcm: (samples,) int16, mono, 48 kHz, without holes (a lost packet is silence).
        pcm_rtp: RTP timestamp of pcm[0].
        pictures: (n, height, width) uint8, the grey mouth crops.
        picture_rtp: (n,) float64, the RTP timestamp of each.
        picture_size: (width, height) of the whole picture as received; (0, 0) if none was.
        events: (time, name) of what the peer did: offer, answer, connected, posts, end.
        messages: (time, text) of what came over the data channel.
    """

    audio_packets: np.ndarray
    video_packets: np.ndarray
    audio_reports: np.ndarray
    video_reports: np.ndarray
    pcm: np.ndarray
    pcm_rtp: float
    pictures: np.ndarray
    picture_rtp: np.ndarray
    picture_size: tuple[int, int] = (0, 0)
    events: list[tuple[float, str]] = field(default_factory=list)
    messages: list[tuple[float, str]] = field(default_factory=list)

    def event_times(self, name: str) -> np.ndarray:
        """(n,) times of the events of that name."""
        return np.array([at for at, event in self.events if event == name], np.float64)

    def picture_arrivals(self) -> np.ndarray:
        """(n,) seconds at which each of `pictures` was complete: its last packet's arrival."""
        complete = last_arrivals(self.video_packets)
        return np.array([complete.get(rtp, np.nan) for rtp in self.picture_rtp], np.float64)

    def wire_clocks(self) -> tuple[RtpClock, RtpClock]:
        """Clocks of sound and pictures by packet arrival.

        A sound sample counts from its packet's arrival, a picture from its last packet's.
        """
        packets = self.audio_packets[np.argsort(self.audio_packets[:, RTP], kind="stable")]

        def sound(rtp: np.ndarray) -> np.ndarray:
            index = np.searchsorted(packets[:, RTP], rtp, side="right") - 1
            index = np.clip(index, 0, len(packets) - 1)
            seconds: np.ndarray = packets[index, ARRIVAL] + (rtp - packets[index, RTP]) / AUDIO_HZ
            return seconds

        complete = last_arrivals(self.video_packets)
        stamps = np.array(sorted(complete), np.float64)
        arrivals = np.array([complete[stamp] for stamp in stamps], np.float64)

        def sight(rtp: np.ndarray) -> np.ndarray:
            seconds: np.ndarray = np.interp(rtp, stamps, arrivals)
            return seconds

        return sound, sight

    def report_clocks(self) -> tuple[RtpClock, RtpClock] | None:
        """Clocks of sound and pictures by RTCP sender reports, which browsers sync to.

        Returns:
            The two clocks, in the sender's NTP seconds, or None while a stream has fewer than
            two reports.
        """
        if len(self.audio_reports) < 2 or len(self.video_reports) < 2:
            return None
        sound, sight = self.wire_clocks()
        return _report_clock(self.audio_reports, sound), _report_clock(self.video_reports, sight)

    def save(self, path: Path) -> None:
        """Write everything to one compressed .npz file."""
        notes = {"events": self.events, "messages": self.messages}
        np.savez_compressed(
            path,
            audio_packets=self.audio_packets,
            video_packets=self.video_packets,
            audio_reports=self.audio_reports,
            video_reports=self.video_reports,
            pcm=self.pcm,
            pcm_rtp=self.pcm_rtp,
            pictures=self.pictures,
            picture_rtp=self.picture_rtp,
            picture_size=self.picture_size,
            notes=json.dumps(notes),
        )

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """The recording that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            notes = json.loads(str(stored["notes"]))
            width, height = (int(side) for side in stored["picture_size"])
            return cls(
                audio_packets=stored["audio_packets"],
                video_packets=stored["video_packets"],
                audio_reports=stored["audio_reports"],
                video_reports=stored["video_reports"],
                pcm=stored["pcm"],
                pcm_rtp=float(stored["pcm_rtp"]),
                pictures=stored["pictures"],
                picture_rtp=stored["picture_rtp"],
                picture_size=(width, height),
                events=[(float(at), str(name)) for at, name in notes["events"]],
                messages=[(float(at), str(text)) for at, text in notes["messages"]],
            )


def last_arrivals(packets: np.ndarray) -> dict[float, float]:
    """The arrival of the last packet of each RTP timestamp.

    Args:
        packets: (n, 3) float64, a packet table.
    """
    last: dict[float, float] = {}
    for arrival, rtp, _ in packets:
        last[rtp] = max(arrival, last.get(rtp, -np.inf))
    return last


def _report_clock(reports: np.ndarray, wire: RtpClock) -> RtpClock:
    """A line through the last reports heard before each timestamp arrived, as browsers fit it."""

    def clock(rtp: np.ndarray) -> np.ndarray:
        heard = np.clip(np.searchsorted(reports[:, SEEN], wire(rtp)), 2, len(reports))
        seconds = np.empty(len(rtp), np.float64)
        for count in np.unique(heard):
            used = reports[max(0, count - REPORTS_KEPT) : count]
            ntp, at = used[-1, NTP], used[-1, REPORT_RTP]
            slope, offset = np.polyfit(used[:, REPORT_RTP] - at, used[:, NTP] - ntp, 1)
            here = heard == count
            seconds[here] = ntp + offset + slope * (rtp[here] - at)
        return seconds

    return clock
