"""A figure: one row of the table, our number beside the baseline's and the goal."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Self

Aim = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured; `ratio` is ours over the baseline's."""

    work: str
    unit: str
    ours: float
    baseline: float
    ratio: float
    aim: Aim
    goal: float

    @classmethod
    def of_rounds(cls, work: str, unit: str, rounds: Sequence[tuple[float, float]], aim: Aim, goal: float) -> Self:
        """From (ours, baseline) of each round. The two numbers of a round share the machine's mood, so the ratio is
        the median of the rounds' ratios, not the ratio of the medians.
        """
        ours, baseline = (median(numbers) for numbers in zip(*rounds, strict=True))
        return cls(work, unit, ours, baseline, median(a / b for a, b in rounds), aim, goal)

    @property
    def ok(self) -> bool:
        """Whether the goal is met."""
        return self.ratio >= self.goal if self.aim == "at least" else self.ratio <= self.goal

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "work": self.work,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "baseline": round(self.baseline, 4),
            "ratio": round(self.ratio, 3),
            "goal": f"{self.aim} {self.goal:g}",
            "ok": self.ok,
        }
