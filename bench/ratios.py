"""Measure two implementations alternately, so that other load on the machine affects both equally."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

Measure = Callable[[], float]
"""Runs once, and returns the measured time in seconds."""


@dataclass(frozen=True)
class Ratio:
    """Seconds of hforch and its bare peer in each round.

    Attributes:
        target: the highest acceptable ratio of medians.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    target: float

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.theirs)

    @property
    def met(self) -> bool:
        return self.ratio <= self.target

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table: name, both medians, their ratio, quartiles of the rounds' ratios, target."""
        each = [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]
        low, _, high = quantiles(each, n=4) if len(each) > 1 else each * 3
        medians = (_shown(median(self.ours)), _shown(median(self.theirs)))
        return (self.name, *medians, f"{self.ratio:.3f}", f"{low:.3f} .. {high:.3f}", f"{self.target:.2f}")


def in_turns(name: str, ours: Measure, theirs: Measure, rounds: int, target: float) -> Ratio:
    """Measure both `rounds` times; the order alternates.

    An unmeasured warm-up round comes first, unless `rounds` is 1.
    """
    if rounds > 1:
        ours(), theirs()
    mine, others = [], []
    for number in range(rounds):
        if number % 2:
            others.append(theirs())
            mine.append(ours())
        else:
            mine.append(ours())
            others.append(theirs())
    return Ratio(name, tuple(mine), tuple(others), target)


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
