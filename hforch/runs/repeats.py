"""Tell whether the first of a job's repeats differs from the later ones beyond noise. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import mean, stdev

LEAST = 0.15
"""No smaller difference is reported (of logarithms: 14% slower, 16% faster); machines with few cores differ as much."""
WIDE = log(1.5)
"""A factor of 1.5 is reported where the later repeats show no spread, or less than half of it."""
SHORTEST_S = 0.1
"""Repeats that are shorter on average say nothing: the scheduler's time slices are of several milliseconds."""
STUDENT = (31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764)
"""Two-sided 98% quantiles of Student's t for 1 to 10 degrees of freedom; the last stands for more as well."""


def first_differs(speeds: Sequence[float], measured_s: float) -> float | None:
    """Return by what share the first repeat was faster (0.2) or slower (-0.2) than the later ones.

    The first must lie outside the 98% prediction interval that the later repeats give for one more of their kind,
    mean ± t s sqrt(1 + 1/n) (Hahn and Meeker, Statistical Intervals, section 4.7), and be off by LEAST besides, since
    the spread of two or three values is often small by chance. So 2% of steady jobs are reported at most, and next to
    none where repeats differ by a few percent. With two later repeats the interval is so wide that it would hide a cold
    start, hence WIDE. Logarithms are taken because noise multiplies times.

    Args:
        speeds: tokens/s of each repeat, in order.
        measured_s: the seconds of all together.

    Returns:
        None if noise may explain the difference, or nothing can be said.
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
    """Return what a difference of the first repeat means."""
    if share < 0:
        return (
            f"the first repeat was {-share:.0%} slower than the later ones: it includes what warm-up did not cover,"
            " or the machine was busy"
        )
    return (
        f"the first repeat was {share:.0%} faster than the later ones: the machine has slowed down meanwhile"
        " (heat, a power limit, other processes)"
    )


def remedy(share: float) -> str:
    """Return what to do about it."""
    if share < 0:
        return (
            "tokens/s is the median of the repeats; use runtime.warmup=auto or a larger number, or more runtime.repeat"
        )
    return "tokens/s is the median of the repeats; measure on an idle machine, with more runtime.repeat"
