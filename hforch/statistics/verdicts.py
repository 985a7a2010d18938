"""Decide from an effect whether one job is shown to be better than another, shown to be as good, or neither."""

from __future__ import annotations

import math
from typing import Literal

from hforch.statistics.estimates import Effect

Verdict = Literal["better", "tie", "undecided"]


def verdict(effect: Effect, alpha: float, margin: float, floor: float = 0.0) -> Verdict:
    """Return whether an effect is shown.

    Args:
        effect: the effect, with its p-value adjusted for the number of comparisons.
        alpha: the significance level.
        margin: the largest effect that counts as a tie: for a ratio, a fraction (0.02 stands for 1/1.02 to 1.02); for a
            difference, in its unit.
        floor: how far two measurements of the same job lie apart, as for `margin`; a smaller effect is never shown.

    Returns:
        `better`: significant, and not within `margin` or below `floor`. `tie`: the interval lies within the larger of
        both, or the effect is significant but too small. `undecided`: more measurements are needed.
    """
    size = distance(effect)
    if not size and not effect.spread:
        return "tie"
    if effect.interval is None or effect.p is None:
        return "undecided"
    tolerated = largest(effect, margin)
    if effect.p <= alpha:
        is_small = size <= largest(effect, floor) or _within(effect, tolerated)
        return "tie" if is_small else "better"
    return "tie" if _within(effect, max(tolerated, largest(effect, floor))) else "undecided"


def distance(effect: Effect) -> float:
    """Return the size of an effect: |ln(ratio)|, or the absolute difference."""
    return abs(math.log(effect.value)) if effect.scale == "ratio" else abs(effect.value)


def largest(effect: Effect, margin: float) -> float:
    """Return a margin on the scale of `distance`."""
    return math.log1p(margin) if effect.scale == "ratio" else margin


def _within(effect: Effect, margin: float) -> bool:
    assert effect.interval is not None
    low, high = effect.interval.low, effect.interval.high
    if effect.scale == "ratio":
        return low > 0 and high < math.inf and -margin <= math.log(low) and math.log(high) <= margin
    return effect.interval.is_within(-margin, margin)
