"""How a session fares, in one set of numbers: for metrics frames, `/status` and Prometheus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AvatarFigures:
    """A session's figures at one moment; what counts, counts from its start.

    Times are in milliseconds, and None where the transport does not tell them or nothing was
    measured yet.

    Attributes:
        stage: What the picture is at, for lack of time or not: "full" is everything.
        level: How many steps the picture has given up; 0 is none.
        lookahead_ms: How far the lips look ahead: what the model needs, and up to 240 ms where
            so much speech is still to be played.
        speeches: Stretches of speech.
        cues: Pieces of speech that went out with their mouth.
        model_failures: Speeches whose mouth was given up because the model failed.
        overdue: The same because it took too long.
        drawn: Pictures drawn and handed on.
        still: Pictures handed on again, for nothing had moved visibly.
        skipped: Pictures not drawn, for time was lost.
        repeated: Pictures not drawn, the last one handed on again.
        dropped: Pictures drawn and not encoded in time.
        failed: Pictures that could not be drawn or handed on.
        late: Pictures handed on more than 30 ms late.
        drawn_per_s: Pictures drawn a second, over the last five.
        sound_late_ms: How late the last packet of sound left.
        sound_late_p95_ms: 95 of 100 lately were no later than this.
        picture_late_ms: How late the last picture left.
        picture_late_p95_ms: 95 of 100 lately were no later than this.
        av_offset_ms: How much later pictures left than the sound that belongs to their mouth,
            the median of the last 300 in speech; below 0 they were early.
        av_offset_p95_ms: 95 of 100 of these came no later than this.
    """

    stage: str
    level: int
    lookahead_ms: float
    speeches: int
    cues: int
    model_failures: int
    overdue: int
    drawn: int
    still: int
    skipped: int
    repeated: int
    dropped: int
    failed: int
    late: int
    drawn_per_s: float
    sound_late_ms: float | None = None
    sound_late_p95_ms: float | None = None
    picture_late_ms: float | None = None
    picture_late_p95_ms: float | None = None
    av_offset_ms: float | None = None
    av_offset_p95_ms: float | None = None


def milliseconds(seconds: float | None) -> float | None:
    """Return seconds as milliseconds, to a tenth; None stays None."""
    return None if seconds is None else round(seconds * 1000, 1)
