"""Prints a benchmark's figures beside their targets, with the machine named."""

import json
import math
from dataclasses import asdict, dataclass, field

from benchmarks.machine import Machine, this_machine
from benchmarks.skew import Spread


@dataclass(frozen=True)
class Figure:
    """One line of a report.

    Attributes:
        name: what was measured.
        values: label -> number.
        unit: of the numbers; "" for plain ones.
        limits: label -> largest absolute value that meets the target; empty without a target.
    """

    name: str
    values: dict[str, float]
    unit: str = ""
    limits: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_spread(cls, name: str, spread: Spread, median: float, tails: float) -> "Figure":
        """A spread in milliseconds, its median and both tails limited."""
        values = {"median": spread.median, "p05": spread.p05, "p95": spread.p95, "n": spread.n}
        return cls(name, values, "ms", {"median": median, "p05": tails, "p95": tails})

    @property
    def met(self) -> bool | None:
        """Whether every limit is kept; None without limits."""
        if not self.limits:
            return None
        return all(abs(self.values[label]) <= limit for label, limit in self.limits.items())

    def __str__(self) -> str:
        values = "  ".join(f"{label} {_short(value)}" for label, value in self.values.items())
        line = f"{self.name}: {values} {self.unit}".rstrip()
        if self.met is None:
            return line
        target = ", ".join(f"|{label}| <= {limit:g}" for label, limit in self.limits.items())
        return f"{line}\n    target {target}: {'met' if self.met else 'MISSED'}"


def _short(value: float) -> str:
    if not math.isfinite(value) or value == int(value):
        return f"{value:g}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"


def print_report(title: str, figures: list[Figure], as_json: bool) -> bool:
    """Print the figures, as text or as JSON, and the machine they were measured on.

    Returns:
        Whether no target was missed.
    """
    machine = this_machine()
    print(_as_json(title, figures, machine) if as_json else _as_text(title, figures, machine))
    return all(figure.met is not False for figure in figures)


def _as_text(title: str, figures: list[Figure], machine: Machine) -> str:
    return "\n".join([title, str(machine), "", *map(str, figures)])


def _as_json(title: str, figures: list[Figure], machine: Machine) -> str:
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    return json.dumps({"title": title, "machine": machine.as_numbers(), "figures": rows}, indent=2)
