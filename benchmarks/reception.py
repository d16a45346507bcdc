"""Keeps what a peer receives: packet arrivals, sender reports, sound and mouth crops."""

import asyncio
import time
from bisect import bisect_left
from typing import Any

import cv2
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket

from benchmarks.recording import (
    ARRIVAL,
    AUDIO_HZ,
    REPORT_RTP,
    REPORTS_KEPT,
    VIDEO_HZ,
    Recording,
    last_arrivals,
    unwrapped,
)

MOUTH_BOX = (0.34, 0.48, 0.66, 0.80)
"""Where the mouth is in any pose: left, top, right, bottom as fractions of the picture."""
CROP_SIZE = (64, 64)
"""Width and height at which the mouth crop is kept, in pixels."""
LOUD = 100
"""Mean distance from zero above which sound counts as speech."""

Rows = list[tuple[float, float, float]]


def mouth_crop(luma: np.ndarray) -> np.ndarray:
    """The mouth's part of a grey picture.

    Args:
        luma: (height, width) uint8, the whole picture.

    Returns:
        (64, 64) uint8.
    """
    height, width = luma.shape
    left, right = round(MOUTH_BOX[0] * width), round(MOUTH_BOX[2] * width)
    top, bottom = round(MOUTH_BOX[1] * height), round(MOUTH_BOX[3] * height)
    return cv2.resize(luma[top:bottom, left:right], CROP_SIZE, interpolation=cv2.INTER_AREA)


class Reception:
    """What has been received so far, and events to wait for more.

    Args:
        pictures: keep mouth crops.
    """

    def __init__(self, pictures: bool) -> None:
        self.first_picture = asyncio.Event()
        self.more_sound = asyncio.Event()
        self._keep_pictures = pictures
        self._packets: dict[str, Rows] = {"audio": [], "video": []}
        self._reports: dict[str, Rows] = {"audio": [], "video": []}
        self._sound: list[tuple[int, np.ndarray]] = []
        self._pictures: list[tuple[int, np.ndarray]] = []
        self._picture_size = (0, 0)
        self._origin: dict[str, float] = {}
        self._latest: dict[str, float] = {}
        self._first_picture_s = 0.0

    @property
    def loud(self) -> bool:
        """Whether the last 40 ms decoded so far are loud."""
        latest = [pcm for _, pcm in self._sound[-2:]]
        return bool(latest) and float(np.abs(np.concatenate(latest).astype(int)).mean()) > LOUD

    @property
    def first_picture_s(self) -> float:
        """Arrival of the first picture's first packet, once there is one."""
        return self._first_picture_s

    def tap(self, receiver: RTCRtpReceiver, kind: str) -> None:
        """Note arrivals before a receiver works on them; aiortc has no public hook for that."""
        packets, reports = self._packets[kind], self._reports[kind]
        handle_rtp, handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet

        async def rtp(packet: Any, arrival_time_ms: int) -> None:
            now = time.time()
            packets.append((now, self._rtp(kind, packet.timestamp), len(packet.payload)))
            if kind == "video" and not self.first_picture.is_set():
                self._first_picture_s = now
                self.first_picture.set()
            await handle_rtp(packet, arrival_time_ms=arrival_time_ms)

        async def rtcp(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                sent = packet.sender_info
                reports.append((time.time(), sent.ntp_timestamp / 2**32, sent.rtp_timestamp))
            await handle_rtcp(packet)

        receiver._handle_rtp_packet, receiver._handle_rtcp_packet = rtp, rtcp  # type: ignore[method-assign]

    def _rtp(self, kind: str, timestamp: int) -> float:
        latest = self._latest.get(kind, float(timestamp))
        self._origin.setdefault(kind, latest)
        self._latest[kind] = unwrapped(timestamp, latest)
        return self._latest[kind]

    async def keep(self, track: MediaStreamTrack) -> None:
        """Keep what a track gives, until it ends."""
        keep = self._keep_sound if track.kind == "audio" else self._keep_picture
        while True:
            try:
                keep(await track.recv())
            except MediaStreamError:
                return

    def _keep_sound(self, frame: Any) -> None:
        pcm = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]
        self._sound.append((int(frame.pts or 0), pcm.astype(np.int16)))
        self.more_sound.set()

    def _keep_picture(self, frame: Any) -> None:
        self._picture_size = (frame.width, frame.height)
        if self._keep_pictures:
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            crop = mouth_crop(luma[: frame.height, : frame.width])
            self._pictures.append((int(frame.pts or 0), crop))

    def recording(
        self, events: list[tuple[float, str]], messages: list[tuple[float, str]]
    ) -> Recording:
        """Everything received and not forgotten, with what else the peer noted."""
        origin = {kind: self._origin.get(kind, 0.0) for kind in self._packets}
        packets = {kind: _table(rows) for kind, rows in self._packets.items()}
        reports = {kind: _table(rows) for kind, rows in self._reports.items()}
        for kind, table in reports.items():
            since = (table[:, REPORT_RTP] - origin[kind] + 2**31) % 2**32 - 2**31
            table[:, REPORT_RTP] = origin[kind] + since
        sound_from, pcm = self._continuous_sound()
        known = last_arrivals(packets["video"])
        stamped = [(origin["video"] + pts, crop) for pts, crop in self._pictures]
        kept = [(rtp, crop) for rtp, crop in stamped if rtp in known]
        return Recording(
            audio_packets=packets["audio"],
            video_packets=packets["video"],
            audio_reports=reports["audio"],
            video_reports=reports["video"],
            pcm=pcm,
            pcm_rtp=origin["audio"] + sound_from,
            pictures=np.array([crop for _, crop in kept], np.uint8).reshape(-1, *CROP_SIZE[::-1]),
            picture_rtp=np.array([rtp for rtp, _ in kept], np.float64),
            picture_size=self._picture_size,
            events=list(events),
            messages=list(messages),
        )

    def forget(self, keep_s: float) -> None:
        """Let go of everything but the last seconds, for sessions too long to be kept.

        Args:
            keep_s: seconds before the latest packet; what is decoded lags a little behind it.
        """
        for rows in self._packets.values():
            if rows:
                first_s = rows[-1][ARRIVAL] - keep_s
                del rows[: bisect_left(rows, first_s, key=lambda row: row[ARRIVAL])]
        for reports in self._reports.values():
            del reports[:-REPORTS_KEPT]
        for kind, hz in (("audio", AUDIO_HZ), ("video", VIDEO_HZ)):
            first_pts = self._latest.get(kind, 0.0) - self._origin.get(kind, 0.0) - keep_s * hz
            kept: list[tuple[int, np.ndarray]] = self._sound if kind == "audio" else self._pictures
            kept[:] = [one for one in kept if one[0] >= first_pts]

    def _continuous_sound(self) -> tuple[int, np.ndarray]:
        """The first timestamp and all sound after it, silence where a packet is missing."""
        if not self._sound:
            return 0, np.zeros(0, np.int16)
        first = min(pts for pts, _ in self._sound)
        pcm = np.zeros(max(pts + len(part) for pts, part in self._sound) - first, np.int16)
        for pts, part in self._sound:
            pcm[pts - first : pts - first + len(part)] = part
        return first, pcm


def _table(rows: Rows) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 3)
