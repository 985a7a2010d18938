"""Detect a first repeat whose speed differs significantly from that of the later ones. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import mean, stdev

LEAST = 0.15
"""Smallest difference of logarithms that is reported (14% slower, 16% faster); machines with few cores vary as much."""
WIDE = log(1.5)
"""A factor of 1.5 is reported if the later repeats have less than half of this spread, or if there is only one."""
SHORTEST_S = 0.1
"""Repeats shorter than this on average are not judged: the scheduler's time slices take several milliseconds."""
STUDENT = (31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764)
"""Two-sided 98% quantiles of Student's t for 1 to 10 degrees of freedom; the last one is used for more as well."""


def first_differs(speeds: Sequence[float], measured_s: float) -> float | None:
    """Return the fraction by which the first repeat was faster (0.2) or slower (-0.2) than the later ones.

    The first repeat must be outside the 98% prediction interval of the later ones, mean ± t s sqrt(1 + 1/n) (Hahn and
    Meeker, Statistical Intervals, section 4.7), and differ by at least LEAST, since the spread of two or three values
    is often small by chance. At most 2% of steady jobs are therefore reported, and almost none if repeats differ by a
    few percent. With two later repeats the interval is so wide that it would hide a cold start, so WIDE limits it.
    Logarithms are used because noise is multiplicative.

    Args:
        speeds: tokens/s of each repeat, in order.
        measured_s: the total time of all repeats, in seconds.

    Returns:
        the fraction; None if noise may explain the difference, or if there is too little data.
    """
    if len(speeds) < 2 or min(speeds) <= 0 or measured_s / len(speeds) < SHORTEST_S:
        return None
    first, later = log(speeds[0]), [log(speed) for speed in speeds[1:]]
    count = len(later)
    allowed = WIDE
    if count > 1:
        quantile = STUDENT[min(count - 1, len(STUDENT)) - 1]
        allowed = max(LEAST, quantile * stdev(later) * sqrt(1 + 1 / count))
        if max(later) - min(later) < WIDE / 2:
            allowed = min(allowed, WIDE)
    difference = first - mean(later)
    return exp(difference) - 1 if abs(difference) > allowed else None


def remark(share: float) -> str:
    """Return a warning about the first repeat, with likely causes."""
    if share < 0:
        return (
            f"the first repeat was {-share:.0%} slower than the later ones: the warm-up was too short,"
            " or the machine was busy"
        )
    return (
        f"the first repeat was {share:.0%} faster than the later ones: the machine slowed down during the job"
        " (heat, a power limit, other processes)"
    )


def remedy(share: float) -> str:
    """Return the hint for such a warning."""
    if share < 0:
        return (
            "tokens/s is the median of the repeats; set runtime.warmup=auto or a larger number, or increase"
            " runtime.repeat"
        )
    return "tokens/s is the median of the repeats; measure on an idle machine, and increase runtime.repeat"
