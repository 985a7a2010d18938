"""Measuring two ways of doing one thing in turns, so that what else the machine does meets both alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

Measure = Callable[[], float]
"""Does the thing once, and gives back what was measured, in seconds."""


@dataclass(frozen=True)
class Ratio:
    """Seconds of hforch and of its bare peer, round by round.

    Attributes:
        target: the ratio of medians that must not be exceeded.
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
        """The cells of the table: name, both medians, their ratio, the quartiles of the rounds' ratios, the target."""
        each = [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]
        low, _, high = quantiles(each, n=4) if len(each) > 1 else each * 3
        medians = (_shown(median(self.ours)), _shown(median(self.theirs)))
        return (self.name, *medians, f"{self.ratio:.3f}", f"{low:.3f} .. {high:.3f}", f"{self.target:.2f}")


def in_turns(name: str, ours: Measure, theirs: Measure, rounds: int, target: float) -> Ratio:
    """Measure both `rounds` times; who begins changes with every round.

    One unmeasured round comes before, unless a single one is asked for, which only shows that it runs.
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
