"""What browsers send to /api/offer, read and checked before it can take or disturb anything."""

import binascii
import ipaddress
import re
from typing import Any, Literal

from aiortc import RTCIceCandidate, RTCIceParameters
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from pipecatcloud_system.errors import Refusal

MAX_SDP_CHARS = 100_000
MAX_MEDIA_SECTIONS = 8
MAX_LINES = {"": 2_000, "a=rtpmap:": 128, "a=rtcp-fb:": 256, "a=fmtp:": 128, "a=ssrc": 256}
"""Of a description, in all and of kinds whose reading takes time by their square."""
MAX_CANDIDATES = 100
"""Remote addresses for one peer connection: each is paired with each of ours and tried."""
MAX_CANDIDATE_CHARS = 1_000

# What the SDP parser raises on malformed text; it was written for well-meaning peers.
PARSE_ERRORS = (
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    TypeError,
    StopIteration,
    binascii.Error,
)


class Offer(BaseModel):
    """The body of POST /api/offer."""

    sdp: str = Field(max_length=MAX_SDP_CHARS)
    type: Literal["offer"] = "offer"
    pc_id: str | None = None
    """The connection to go on with, as an earlier answer named it."""
    restart_pc: bool | None = None
    """Whether the page was loaded anew and starts that connection over."""
    request_data: Any = Field(
        default=None, validation_alias=AliasChoices("request_data", "requestData")
    )
    """For the bot, as its arguments' body."""


class Candidate(BaseModel):
    """One address of the browser's, found after its offer."""

    candidate: str = Field(max_length=MAX_CANDIDATE_CHARS)
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class Candidates(BaseModel):
    """The body of PATCH /api/offer."""

    pc_id: str
    candidates: list[Candidate] = Field(max_length=MAX_CANDIDATES)


def read_offer(body: bytes) -> Offer:
    """The offer in a request body, its SDP complete and without mDNS addresses.

    Raises:
        Refusal: with status 400, naming what is malformed or missing.
    """
    try:
        offer = Offer.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(400, _complaint(error)) from None
    offer.sdp = _without_mdns(offer.sdp)
    _check_sdp(offer.sdp)
    return offer


def read_candidates(body: bytes) -> tuple[str, list[RTCIceCandidate | None]]:
    """The connection's id and its new remote candidates; None stands for "that was the last".

    Candidates with mDNS names are left out, and so is the end mark that follows them: browsers
    hide their address behind such a name, and it shows when their first packet arrives.

    Raises:
        Refusal: with status 400, naming what is malformed.
    """
    try:
        patch = Candidates.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(400, _complaint(error)) from None
    found: list[RTCIceCandidate | None] = []
    for index, item in enumerate(patch.candidates):
        if not item.candidate:
            found.append(None)
            continue
        try:
            found.append(_candidate(item))
        except PARSE_ERRORS:
            raise Refusal(400, f"candidates.{index}.candidate is malformed.") from None
    if any(candidate is not None and _is_mdns(candidate.ip) for candidate in found):
        found = [found_one for found_one in found if found_one and not _is_mdns(found_one.ip)]
    return patch.pc_id, found


def _candidate(item: Candidate) -> RTCIceCandidate:
    candidate = candidate_from_sdp(item.candidate)
    if not _is_mdns(candidate.ip):
        ipaddress.ip_address(candidate.ip)
    if not 0 <= candidate.port <= 65535:
        raise ValueError("port")
    if item.sdp_mid is None and item.sdp_mline_index is None:
        raise ValueError("neither sdp_mid nor sdp_mline_index")
    candidate.sdpMid = item.sdp_mid
    candidate.sdpMLineIndex = item.sdp_mline_index
    return candidate


def _is_mdns(host: str) -> bool:
    return host.lower().endswith(".local")


def _without_mdns(sdp: str) -> str:
    """Drop candidates with mDNS names, whose look-up can hold up an answer for seconds.

    With them goes "end-of-candidates": more addresses show up as packets arrive from them.
    """
    lines = sdp.splitlines()
    kept = [
        line
        for line in lines
        if not (line.startswith("a=candidate:") and ".local " in line.lower())
    ]
    if len(kept) < len(lines):
        kept = [line for line in kept if not line.startswith("a=end-of-candidates")]
    return "\r\n".join(kept) + "\r\n"


def _complaint(error: ValidationError) -> str:
    """The first thing wrong with a body, with the field's name before it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return f"{place}: {first['msg']}"


def _check_sdp(sdp: str) -> None:
    lines = sdp.splitlines()
    for kind, most in MAX_LINES.items():
        if sum(line.startswith(kind) for line in lines) > most:
            what = f"lines of {kind.rstrip(':')}" if kind else "lines"
            raise Refusal(400, f"sdp: has more than {most} {what}.")
    try:
        description = SessionDescription.parse(sdp)
    except PARSE_ERRORS:
        raise Refusal(400, "sdp: cannot be read as a session description.") from None
    sections = description.media
    if len(sections) > MAX_MEDIA_SECTIONS:
        raise Refusal(400, f"sdp: has more than {MAX_MEDIA_SECTIONS} media sections.")
    missing = sorted({need for section in sections for need in _missing(section)})
    if not any(section.kind == "audio" and section.port for section in sections):
        missing.append("an audio section")
    if not sections:
        missing = ["ice-ufrag", "ice-pwd", "a fingerprint", "an audio section"]
    if missing:
        raise Refusal(400, f"sdp: lacks {', '.join(missing)}.")
    mids = [section.rtp.muxId for section in sections]
    bundled = [set(group.items) for group in description.group if group.semantic == "BUNDLE"]
    if not all(mids) or len(set(mids)) < len(mids) or (bundled and bundled != [set(mids)]):
        # aiortc gives some section no transport then, and cannot even close such a connection.
        raise Refusal(400, "sdp: each section needs a mid of its own, in one BUNDLE group.")
    if sum(len(section.ice_candidates) for section in sections) > MAX_CANDIDATES:
        raise Refusal(400, f"sdp: has more than {MAX_CANDIDATES} candidates.")


def _missing(section: MediaDescription) -> list[str]:
    """What a media section lacks for a connection to come about (RFC 8839 section 5.4)."""
    missing = []
    ice = section.ice or RTCIceParameters()
    if not re.fullmatch(r"[A-Za-z0-9+/]{4,256}", ice.usernameFragment or ""):
        missing.append("ice-ufrag")
    if not re.fullmatch(r"[A-Za-z0-9+/]{22,256}", ice.password or ""):
        missing.append("ice-pwd")
    if section.dtls is None:
        missing.append("setup")
    elif not any(
        fingerprint.algorithm.lower() in X509_DIGEST_ALGORITHMS
        and re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}", fingerprint.value)
        for fingerprint in section.dtls.fingerprints
    ):
        missing.append("a fingerprint")
    return missing
