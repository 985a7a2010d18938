"""The results of the functions of this package: values with confidence intervals, and p-values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Scale = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        confidence: the confidence level, 0 to 1.
        method: how it was computed; a key of METHODS.
        units: the number of independent units: rounds, inputs, windows, or loads.
    """

    low: float
    high: float
    confidence: float
    method: str
    units: int

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def is_within(self, low: float, high: float) -> bool:
        """Return whether the whole interval lies between two values."""
        return low <= self.low and self.high <= high


@dataclass(frozen=True)
class Estimate:
    """A value of a job, with its interval or the reason why it has none."""

    value: float
    interval: Interval | None = None
    why: str = ""


@dataclass(frozen=True)
class Effect:
    """The effect of using one job instead of another on a metric.

    Attributes:
        value: one / other (`ratio`), or one - other (`difference`).
        p: the p-value of the hypothesis of no effect, two-sided; None without an interval.
        why: why there is no interval; empty if there is one.
        spread: the standard deviation of the effect of one unit, on the scale of logarithms for a ratio; None if
            unknown.
    """

    value: float
    scale: Scale
    interval: Interval | None = None
    p: float | None = None
    why: str = ""
    spread: float | None = None

    def adjusted(self, p: float) -> Effect:
        return replace(self, p=p)


METHODS = {
    "t of rounds": "Student's t interval of the logarithms of the paired ratios, one for each round; conservative for"
    " symmetric distributions with heavy tails (Efron 1969)",
    "always valid": "confidence sequence of the logarithms of the paired ratios, valid however often and whenever one"
    " looks at the results (mixture t: Lindon, Ham, Tingley and Bojinov 2022; Pérez-Ortiz, Lardy, de Heide and Grünwald"
    " 2024)",
    "repeated batch": "Student's t interval from the first batch of each model, which was timed again before the model"
    " was unloaded",
    "t of inputs": "Student's t interval of a ratio of sums over inputs (Cochran 1977, chapter 6)",
    "t of inputs, skewed": "Student's t interval of a ratio of sums over inputs, with one pseudo-observation at each"
    " end of the range of their influence (after Agresti and Min 2005), because it is skewed",
    "Bonett-Price": "adjusted Wald interval of a difference of paired proportions (Bonett and Price 2012)",
    "Wilson": "score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001)",
    "t of inputs, logarithm": "as for skewed inputs, on the scale of logarithms, because all inputs are positive and"
    " some are much larger than most (Meeker, Hahn and Escobar 2017)",
    "bootstrap-t": "studentized bootstrap over inputs (Efron 1981; for differences, symmetric: Hall 1988)",
    "standard error": "normal interval from the standard error in the record",
}
"""What each method is, with its source."""
