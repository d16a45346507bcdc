"""Pipecat's SmallWebRTC transport with sound and picture tracks of our own."""

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import EndFrame, Frame, InterruptionFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import (
    SmallWebRTCOutputTransport,
    SmallWebRTCTransport,
)

from avatar.departures import Departures
from avatar.frames import AvatarCueFrame
from avatar.picture_track import PictureTrack
from avatar.sound_track import SoundTrack

SOUND_DELAY_S = 0.0
"""How much later a sample is heard than a picture due at the same time; benchmarks/av_sync.py."""


class AvatarWebRTCOutput(SmallWebRTCOutputTransport):
    """The output half. A PictureOutlet: it knows when each sample of sound is due."""

    steady = False
    _sound: SoundTrack | None = None
    _pictures: PictureTrack | None = None
    _dropped = 0
    _interruption = 0
    _ending = False
    _last: tuple[NDArray[np.uint8], float] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what SmallWebRTCOutputTransport takes."""
        super().__init__(*args, **kwargs)
        self.departures = Departures()

    def use_tracks(self, connection: SmallWebRTCConnection) -> None:
        """Send sound and pictures over new tracks of our own: a peer has connected."""
        for track in (self._sound, self._pictures):
            if track is not None:
                track.stop()
        self.departures.interrupt()
        if self._params.audio_out_enabled:
            self._sound = SoundTrack(self.sample_rate, departures=self.departures)
            connection.replace_audio_track(self._sound)
        if self._params.video_out_enabled:
            self._dropped = self.dropped
            self._pictures = PictureTrack(time.monotonic(), departures=self.departures)
            if self._last is not None:
                self._pictures.put(*self._last)
            connection.replace_video_track(self._pictures)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Drop the sound that is interrupted, besides what every transport does."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and self._sound is not None:
            self._interruption = frame.id
            self._sound.interrupt()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Note in each cue where it stands in the sound."""
        if isinstance(frame, AvatarCueFrame) and self._sound is not None:
            frame.due_s, frame.put_samples = self._sound.due_s(), self._sound.put_samples
        await super().push_frame(frame, direction)

    async def stop(self, frame: EndFrame) -> None:
        """End the session when its last words have left."""
        self._ending = True
        await super().stop(frame)

    async def _teardown(self) -> None:
        if self._ending and self._sound is not None:
            await self._sound.drained()
        await super()._teardown()  # type: ignore[no-untyped-call]

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Hand sound to the track; return whether there is one."""
        if self._sound is None or not self._client.is_connected:
            return False
        # One chunk may have been on its way here when the speech was interrupted.
        if frame.interruptible and frame.id < self._interruption:
            return False
        await self._sound.put(frame.audio, frame.interruptible)
        return True

    @property
    def dropped(self) -> int:
        """Pictures that came and were never encoded."""
        return self._dropped + (0 if self._pictures is None else self._pictures.dropped)

    @property
    def late_s(self) -> float:
        """How late sound last left."""
        return 0.0 if self._sound is None else self._sound.late_s

    def heard_s(self, cue: AvatarCueFrame, unsent_s: float) -> float:
        """Return when sound behind a cue is heard; see PictureOutlet."""
        due_s = time.monotonic() if cue.due_s is None else cue.due_s
        return due_s + unsent_s + SOUND_DELAY_S

    def scheduled(self, cue: AvatarCueFrame, unsent_s: float, shown_s: float) -> None:
        """Have it noted when the sound behind a cue leaves; see PictureOutlet."""
        # A peer that has come back has a new track, to which old positions mean nothing.
        if cue.due_s is None or self._sound is None or cue.put_samples > self._sound.put_samples:
            return
        position = cue.put_samples + round(unsent_s * cue.rate_hz)
        self._sound.expect(position, shown_s, cue.samples / cue.rate_hz)

    async def show(self, picture: NDArray[np.uint8], due_s: float) -> None:
        """Send a picture; see PictureOutlet."""
        i420 = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
        self._last = (i420, due_s)
        if self._pictures is not None:
            self._pictures.put(i420, due_s)


class AvatarWebRTCTransport(SmallWebRTCTransport):
    """Use it in place of SmallWebRTCTransport; everything else about it is the same.

    Sound stays whole when the process is held up, an interruption cuts what has already left
    the pipeline, and pictures may come at any rate and size.
    """

    def output(self) -> AvatarWebRTCOutput:
        """Return the output half, the same at every call."""
        if self._output is None:
            self._output = AvatarWebRTCOutput(self._client, self._params, name=self._output_name)
        assert isinstance(self._output, AvatarWebRTCOutput)
        return self._output

    async def _on_client_connected(self, webrtc_connection: SmallWebRTCConnection) -> None:
        # Before anything is taken from the tracks that the base class has just put in: the
        # encoder wants one run of time stamps.
        self.output().use_tracks(webrtc_connection)
        await super()._on_client_connected(webrtc_connection)  # type: ignore[no-untyped-call]
