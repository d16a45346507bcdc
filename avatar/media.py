"""Sound files in, video files out."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from avatar.errors import AvatarError

LONGEST_SPEECH_S = 3600


def read_speech(path: Path) -> tuple[NDArray[np.int16], int]:
    """Return a sound file's (samples,) int16 mono sound and its sample rate in Hz.

    Reads whatever FFmpeg reads: WAV, FLAC, MP3, Ogg …

    Raises:
        AvatarError: The file is missing, holds no sound, or more than an hour of it.
    """
    pieces: list[NDArray[np.int16]] = []
    samples = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AvatarError(f"{path}: holds no sound")
            rate_hz = container.streams.audio[0].rate
            mono = av.AudioResampler("s16", "mono", rate_hz)
            for decoded in container.decode(audio=0):
                for sound in mono.resample(decoded):
                    pieces.append(_samples(sound))
                    samples += sound.samples
                if samples > LONGEST_SPEECH_S * rate_hz:
                    raise AvatarError(f"{path}: is longer than an hour")
            pieces += [_samples(sound) for sound in mono.resample(None)]
    except (av.FFmpegError, OSError) as error:
        raise AvatarError(f"{path}: cannot be read as sound: {error}") from error
    if not samples:
        raise AvatarError(f"{path}: holds no sound")
    return np.concatenate(pieces), rate_hz


def _samples(sound: av.AudioFrame) -> NDArray[np.int16]:
    return sound.to_ndarray().reshape(-1).astype(np.int16)


class VideoFile:
    """An MP4 file that is being written: H.264 pictures and AAC sound."""

    def __init__(self, path: Path, size: int, fps: int, rate_hz: int) -> None:
        """Open the file.

        Args:
            path: Where to write; an existing file is replaced.
            size: Width and height of the pictures.
            fps: Pictures a second.
            rate_hz: Sample rate of the sound.

        Raises:
            AvatarError: The file cannot be written.
        """
        self._path = path
        self._rate_hz = rate_hz
        self._pictures = 0
        try:
            self._container = av.open(str(path), "w", format="mp4")
            self._video = self._container.add_stream("libx264", rate=fps, options={"crf": "18"})
            self._video.width = self._video.height = size
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = Fraction(1, fps)
            self._audio = self._container.add_stream("aac", rate=rate_hz, layout="mono")
        except (av.FFmpegError, OSError) as error:
            raise AvatarError(f"{path}: cannot be written: {error}") from error

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Append a (size, size, 3) uint8 RGB picture."""
        image = av.VideoFrame.from_ndarray(picture, format="rgb24")
        image.pts, image.time_base = self._pictures, self._video.codec_context.time_base
        self._pictures += 1
        self._container.mux(self._video.encode(image))

    def finish(self, pcm: NDArray[np.int16]) -> None:
        """Append the whole (samples,) int16 sound and write what is left of the pictures."""
        sound = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = self._rate_hz, 0
        sound.time_base = Fraction(1, self._rate_hz)
        to_codec = av.AudioResampler(
            self._audio.format.name, "mono", self._audio.rate, frame_size=self._audio.frame_size
        )
        for piece in [*to_codec.resample(sound), *to_codec.resample(None)]:
            self._container.mux(self._audio.encode(piece))
        self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))
