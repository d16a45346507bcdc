"""Pictures on a transport of Pipecat's own: no standing delay from the time of connecting."""

import numpy as np
from pipecat.frames.frames import OutputImageRawFrame
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from avatar.outlet import SETTLING_S, TransportOutlet


class SmallWebRTCOutputTransport(BaseOutputTransport):
    """Named as the stock one, whose queue keeps what comes before its peer asks for pictures."""

    def __init__(self) -> None:
        super().__init__(TransportParams())
        self.connected = False
        self.pictures: list[OutputImageRawFrame] = []

    async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
        if self.connected:
            self.pictures.append(frame)
        return self.connected


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_after_the_first_picture_the_connection_gets_time_to_ask_for_more() -> None:
    output, clock = SmallWebRTCOutputTransport(), Clock()
    outlet = TransportOutlet(output, 128, clock)
    picture = np.zeros((128, 128, 3), np.uint8)
    came_s = []
    for tick in range(60):
        output.connected = tick >= 20
        before = len(output.pictures)
        await outlet.show(picture, clock.now_s)
        if len(output.pictures) > before:
            came_s.append(clock.now_s)
        clock.now_s += 1 / 30
    settling_s = SETTLING_S["SmallWebRTCOutputTransport"]
    assert settling_s - 0.001 <= came_s[1] - came_s[0] <= settling_s + 1 / 30 + 0.001
    assert np.diff(came_s[1:]).max() < 0.034


async def test_other_transports_get_every_picture_in_their_size() -> None:
    class AnotherOutput(BaseOutputTransport):
        sizes: list[tuple[int, int]]

        async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
            self.sizes.append(frame.size)
            return True

    output, clock = AnotherOutput(TransportParams()), Clock()
    output.sizes = []
    outlet = TransportOutlet(output, 128, clock)
    for _ in range(5):
        await outlet.show(np.zeros((64, 64, 3), np.uint8), clock.now_s)
        clock.now_s += 1 / 30
    assert output.sizes == [(128, 128)] * 5
