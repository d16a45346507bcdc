"""How the avatar sits in a bot: its transport's parameters, and what is wrong, told at start."""

from collections.abc import Iterator
from typing import Any

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport

from avatar.avatar import Avatar
from avatar.outlet import PictureOutlet

_STAMPED_FPS = 30
"""Pipecat's own SmallWebRTC track stamps pictures 1/30 s apart whatever their real rate."""

_PARAMS_MEND = "give its parameters **avatar_params(avatar), from avatar.processor"


def avatar_params(avatar: Avatar) -> dict[str, Any]:
    """Return what a transport needs to show the avatar, beside the bot's own parameters.

    For any parameters of Pipecat's with video: `TransportParams(audio_out_enabled=True,
    **avatar_params(avatar))`, DailyParams, LiveKitParams.
    """
    return {
        # A packet at a time: cues stay close to their sound, and an interruption cuts soon.
        "audio_out_10ms_chunks": 2,
        "video_out_enabled": True,
        "video_out_width": avatar.config.size,
        "video_out_height": avatar.config.size,
        "video_out_framerate": avatar.config.fps,
    }


class Wiring:
    """An AvatarProcessor, its transport's output and its presenter, and whether they fit.

    What does not fit is reported and never stops the bot: the sound goes on.
    """

    def __init__(
        self,
        avatar: Avatar,
        processor: FrameProcessor,
        output: BaseOutputTransport,
        presenter: FrameProcessor,
    ) -> None:
        """Note what belongs together.

        Args:
            avatar: The loaded avatar.
            processor: The AvatarProcessor; it has this as its `wiring`.
            output: The output that it was given.
            presenter: The processor's presenter.
        """
        self.output = output
        self.in_place = True
        """False once the three are known to stand wrong: speech then passes untouched."""
        self.shows = True
        """False once the transport is known to take no pictures: none are drawn then.

        Pipecat's own WebRTC track keeps all that it cannot send, megabytes every second.
        """
        self._avatar = avatar
        self._processor = processor
        self._presenter = presenter
        self._looked = False
        self._faults: list[str] = []

    def look(self, pipeline: FrameProcessor) -> None:
        """Find and log what is wrong, once. In setup(): the transport may take long to join."""
        if self._looked:
            return
        self._looked = True
        misplaced, hidden = self.place_faults(list(_stages(pipeline))), self.hidden_faults()
        self.in_place, self.shows = not misplaced, not hidden
        self._faults = misplaced + self.voice_faults() + hidden + self.quality_faults()
        for fault in self._faults:
            logger.error(f"{self._processor}: {fault}")

    async def tell(self, teller: FrameProcessor) -> None:
        """Push an ErrorFrame for each fault, once.

        Args:
            teller: The processor or its presenter, whichever the StartFrame reaches first.
        """
        faults, self._faults = self._faults, []
        for fault in faults:
            await teller.push_frame(ErrorFrame(fault, processor=teller), FrameDirection.UPSTREAM)

    def place_faults(self, stages: list[FrameProcessor]) -> list[str]:
        """Return what is wrong with the places in a pipeline, each with the mend.

        Args:
            stages: Everything in the pipeline, in order.
        """
        if self._processor not in stages:
            return ["No face: put the AvatarProcessor into the pipeline, before transport.output()"]
        if self.output not in stages:
            return [
                f"No face: {self.output} is not in this pipeline; give AvatarProcessor the "
                "output() of the transport that is"
            ]
        if self._presenter not in stages:
            return [
                "No face: put the AvatarProcessor's .presenter into the pipeline, right after "
                "transport.output()"
            ]
        processor, output, presenter = map(
            stages.index, (self._processor, self.output, self._presenter)
        )
        faults = []
        if processor > output:
            faults.append(
                "No face: the AvatarProcessor stands after transport.output(); put it before"
            )
        if presenter < output:
            faults.append(
                "No face: the presenter stands before transport.output(); put it right after"
            )
        if any(self._shares_output(stage) for stage in stages):
            faults.append("Two avatars write to one output: leave one AvatarProcessor out")
        return faults

    def voice_faults(self) -> list[str]:
        """Return which voices the avatar cannot hear, with the mend."""
        between, stage = [], self._processor.next
        while stage is not None and stage is not self.output:
            between += [stage, *_stages(stage)]
            stage = stage.next
        return [
            f"No face for {stage}: it stands after the AvatarProcessor; put it before"
            for stage in between
            if isinstance(stage, (TTSService, LLMService)) and self._presenter not in between
        ]

    def hidden_faults(self) -> list[str]:
        """Return why no picture can be shown, with the mend."""
        output, size = self.output, self._avatar.config.size
        own = isinstance(output, PictureOutlet)
        if not own and type(output).write_video_frame is BaseOutputTransport.write_video_frame:
            return [
                f"No picture: {type(output).__name__} has no video; use a transport that has "
                "(SmallWebRTC, Daily, LiveKit), or leave the avatar out of this pipeline"
            ]
        # Pipecat has no public way to read these.
        params = output._params
        if not (params.video_out_enabled and getattr(params, "camera_out_enabled", True)):
            return [f"No picture: the transport's video is off; {_PARAMS_MEND}"]
        width, height = params.video_out_width, params.video_out_height
        if not own and (width, height) != (size, size):
            return [
                f"No picture: the transport takes {width}x{height} and the avatar draws "
                f"{size}x{size}; {_PARAMS_MEND}"
            ]
        return []

    def quality_faults(self) -> list[str]:
        """Return what will look or sound wrong, each with the mend."""
        params, fps = self.output._params, self._avatar.config.fps
        faults = []
        if not params.audio_out_enabled:
            faults.append("No voice and no face: set audio_out_enabled=True for the transport")
        if isinstance(self.output, PictureOutlet) or self.hidden_faults():
            return faults
        if params.video_out_color_format != "RGB":
            faults.append(
                f"Wrong picture: the transport takes {params.video_out_color_format} and the "
                "avatar draws RGB; leave video_out_color_format out"
            )
        if params.video_out_framerate != fps:
            faults.append(
                f"Wrong speed: the transport sends {params.video_out_framerate} pictures a second "
                f"and the avatar draws {fps}; {_PARAMS_MEND}"
            )
        kinds = {kind.__name__ for kind in type(self.output).__mro__}
        if fps != _STAMPED_FPS and "SmallWebRTCOutputTransport" in kinds:
            faults.append(
                f"Wrong speed: SmallWebRTCTransport shows {_STAMPED_FPS} pictures a second and the "
                f"avatar draws {fps}; use avatar.webrtc.AvatarWebRTCTransport or "
                f"AvatarConfig(fps={_STAMPED_FPS})"
            )
        return faults

    def _shares_output(self, stage: FrameProcessor) -> bool:
        other = getattr(stage, "wiring", None)
        return isinstance(other, Wiring) and other is not self and other.output is self.output


def _stages(processor: FrameProcessor) -> Iterator[FrameProcessor]:
    """Yield all that is in a pipeline, in order, what is in pipelines within it included."""
    for stage in processor.processors:
        yield stage
        yield from _stages(stage)
