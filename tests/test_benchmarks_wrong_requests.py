"""A sample of the wrong requests that benchmarks/wrong_requests.py sends a thousand of."""

import json
import random

from benchmarks.wrong import spoilt_sdp, wrong_requests
from benchmarks.wrong_requests import Tally, right_offer, run
from pipecatcloud_system.connection import PeerConnection
from pipecatcloud_system.errors import Refusal
from pipecatcloud_system.offers import read_offer
from pipecatcloud_system.peers import OFFER_ERRORS

KINDS = 17


async def test_no_wrong_request_hurts_the_pod() -> None:
    tally = await run(requests=4 * KINDS, seed=5, examples=0)
    assert tally.bad == []
    assert tally.count == 4 * KINDS
    assert len(tally.answers) == KINDS


async def test_the_seed_decides_everything() -> None:
    made = [list(wrong_requests(seed, KINDS * 3, "v=0\r\nm=audio", "h:1")) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert len({wrong.kind for wrong in made[0]}) == KINDS


def test_what_counts_as_bad() -> None:
    tally = Tally()
    tally.note("k", "503", b'{"error":"No active pipeline"}', b"x")
    tally.note("k", "400", b"", b"x")
    assert tally.bad == []
    tally.note("k", "503", b"busy", b"x")
    tally.note("k", "500", b"", b"x")
    tally.note("k", "no answer", b"", b"x")
    assert len(tally.bad) == 3


async def test_spoilt_offers_are_refused_or_can_be_taken_and_closed() -> None:
    rng, sdp = random.Random(11), await right_offer()
    taken = 0
    for _ in range(150):
        try:
            offer = read_offer(json.dumps({"sdp": spoilt_sdp(rng, sdp)}).encode())
        except Refusal:
            continue
        connection = PeerConnection([], "s")
        try:
            await connection.initialize(offer.sdp, "offer")
            taken += 1
        except OFFER_ERRORS:
            pass
        finally:
            await connection.close()
    assert taken > 20
