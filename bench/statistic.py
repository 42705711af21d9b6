"""Percentiles of one round, and the median of rounds with its range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Rounds:
    """One figure per round. One run's median without its range would hide how noisy it was."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    def text(self, digits: int = 1) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` is 0 to 1."""
    if not values:
        raise ValueError("there is no value to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(ours: Rounds, theirs: Rounds) -> Rounds:
    """Round by round, since neighbours in time met the same machine."""
    return Rounds(tuple(a / b for a, b in zip(ours.values, theirs.values, strict=True)))
