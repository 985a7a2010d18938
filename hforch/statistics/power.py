"""How many more rounds or inputs would probably show an effect, or show that it is too small to matter."""

from __future__ import annotations

import math
from collections.abc import Callable

from hforch.statistics.rounds import sequence_half_width
from hforch.statistics.students_t import half_width

POWER_Z = 0.8416  # normal quantile of a power of 80%
MOST = 10_000


def rounds_for(effect: float, spread: float, margin: float, confidence: float, looked: bool) -> int | None:
    """Return the number of rounds that shows an effect, or its absence, with a probability of 80%.

    Args:
        effect: ln(ratio) as observed.
        spread: the standard deviation of a round's ln(ratio).
        margin: the largest ln(ratio) that counts as a tie.
        looked: whether always-valid intervals are used.

    Returns:
        the number, including rounds that were measured already; None if more than MOST.
    """

    def half(n: int) -> float:
        return sequence_half_width(spread, n, 1 - confidence) if looked else half_width(spread, n, confidence)

    return _smallest(lambda n: half(n) + POWER_Z * spread / math.sqrt(n) <= _distance(effect, margin), 3)


def inputs_for(effect: float, spread: float, confidence: float) -> int | None:
    """Return the number of inputs that shows a difference as large as observed, with a probability of 80%."""
    if not effect:
        return None
    return _smallest(lambda n: half_width(spread, n, confidence) + POWER_Z * spread / math.sqrt(n) <= abs(effect), 5)


def _distance(effect: float, margin: float) -> float:
    """Return the distance that an interval must resolve: to 0 for a winner, or to the margin for a tie."""
    return max(abs(effect), margin - abs(effect))


def _smallest(is_enough: Callable[[int], bool], least: int) -> int | None:
    """Return the smallest number for which a monotonic condition holds, at least `least`; None if more than MOST."""
    low, high = least, least
    while not is_enough(high):
        if high >= MOST:
            return None
        low, high = high, min(MOST, 2 * high)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return high
