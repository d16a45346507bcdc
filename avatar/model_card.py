"""What stands beside a lip-sync model of ours in lipsync.onnx.json, read and checked."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar.controls import MOUTH, VISEMES
from avatar.errors import ModelError
from avatar.features import BANDS, FLOOR, HOP_SAMPLES, SAMPLE_RATE
from avatar.onnx import read_card
from avatar.phones import PHONES

HOPS_PER_ROW = 2
ROW_SAMPLES = HOPS_PER_ROW * HOP_SAMPLES
LONGEST_LOOKAHEAD_S = 0.080
"""Of the heads that a speech begins with."""

LONGEST_DELAY_S = 0.240
"""Of any head."""


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One tensor that the model hands from call to call."""

    input: str
    """Name under which the model takes it."""
    output: str
    """Name under which the model gives its next value."""
    shape: tuple[int, ...]
    """Fixed shape; a new session starts from zeros."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card of a model, as far as running it needs."""

    name: str
    version: str
    row_s: float
    """Seconds of sound per row of output."""
    delays_s: tuple[float, ...]
    """Seconds of sound that each set of heads needs beyond a row's own middle, rising."""
    lookahead_s: float
    """The one of them with which a speech begins: the model's delay."""
    phone_shares: tuple[float, ...]
    """How often training met each of PHONES; sums to 1."""
    phone_s: dict[str, float]
    """Mean length of each of PHONES in English speech, seconds."""
    states: tuple[StateTensor, ...]
    press_threshold: float
    """Evidence of `press` above which the lips are together."""
    fv_threshold: float
    """Evidence of `fv` above which the lip is under the teeth."""

    @classmethod
    def read(cls, path: Path) -> "ModelCard":
        """The card in a JSON file.

        Raises:
            ModelError: the file is missing, no JSON, lacks a field or contradicts this code.
        """
        fields = read_card(path)
        try:
            card = cls(
                name=str(fields["name"]),
                version=str(fields["version"]),
                row_s=float(fields["row_s"]),
                delays_s=tuple(map(float, fields["delays_s"])),
                lookahead_s=float(fields["lookahead_s"]),
                phone_shares=tuple(map(float, fields["phone_shares"])),
                phone_s={str(name): float(length) for name, length in fields["phone_s"].items()},
                states=tuple(
                    StateTensor(str(s["input"]), str(s["output"]), tuple(map(int, s["shape"])))
                    for s in fields["states"]
                ),
                press_threshold=float(fields["thresholds"]["press"]),
                fv_threshold=float(fields["thresholds"]["fv"]),
            )
            card._check(fields)
        except KeyError as error:
            raise ModelError(f"{path}: lacks the field {error}") from error
        except (TypeError, ValueError) as error:
            raise ModelError(f"{path}: {error}") from error
        return card

    @property
    def sample_rate_hz(self) -> int:
        """Of the speech that LipSyncState is fed."""
        return SAMPLE_RATE

    @property
    def delays_rows(self) -> tuple[int, ...]:
        """How many rows each set of heads lags behind the input."""
        return tuple(round(delay_s / self.row_s) for delay_s in self.delays_s)

    @property
    def first_delay_rows(self) -> int:
        """How many rows the heads with which a speech begins lag behind the input."""
        return round(self.lookahead_s / self.row_s)

    def _check(self, fields: dict[str, Any]) -> None:
        expected = {
            "sample_rate_hz": SAMPLE_RATE,
            "hop_samples": HOP_SAMPLES,
            "bands": BANDS,
            "floor": FLOOR,
            "controls": list(MOUTH),
            "visemes": list(VISEMES),
            "phones": list(PHONES),
        }
        for name, value in expected.items():
            if fields[name] != value:
                raise ValueError(f"{name} is {fields[name]!r}, needed is {value!r}")
        if not math.isclose(self.row_s, ROW_SAMPLES / SAMPLE_RATE):
            raise ValueError(f"row_s is {self.row_s}, needed is {ROW_SAMPLES / SAMPLE_RATE}")
        if not 0.0 <= self.lookahead_s <= LONGEST_LOOKAHEAD_S + 1e-9:
            raise ValueError(f"lookahead_s is {self.lookahead_s}, not within 0 .. 0.08")
        if self.lookahead_s not in self.delays_s:
            raise ValueError(f"lookahead_s {self.lookahead_s} is none of delays_s {self.delays_s}")
        if list(self.delays_s) != sorted(set(self.delays_s)) or not all(
            0.0 <= delay_s <= LONGEST_DELAY_S
            and math.isclose(rows * self.row_s, delay_s, abs_tol=1e-9)
            for rows, delay_s in zip(self.delays_rows, self.delays_s, strict=True)
        ):
            raise ValueError(
                f"delays_s {self.delays_s} are not rising whole numbers of rows up to "
                f"{LONGEST_DELAY_S} s"
            )
        if len(self.phone_shares) != len(PHONES) or not math.isclose(
            sum(self.phone_shares), 1.0, abs_tol=0.01
        ):
            raise ValueError("phone_shares are not one share for each of the phones")
        if set(self.phone_s) != set(PHONES) or min(self.phone_s.values()) <= 0:
            raise ValueError("phone_s is not a length above 0 for each of the phones")
        for name in ("press", "fv"):
            if not 0.0 < float(fields["thresholds"][name]) < 1.0:
                raise ValueError(f"threshold of {name} is not between 0 and 1")
