"""Proportions: of one job's checks, and of the checks of two jobs on the same inputs."""

from __future__ import annotations

import math
from statistics import NormalDist

from hforch.statistics.estimates import Interval


def normal_quantile(confidence: float) -> float:
    """Return the two-sided quantile of the normal distribution for a confidence level."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(passed: int, total: int, confidence: float) -> Interval:
    """Return Wilson's score interval of passed / total."""
    z = normal_quantile(confidence)
    share, extra = passed / total, z * z / total
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / total + extra / (4 * total)) / (1 + extra)
    return Interval(max(0.0, middle - half), min(1.0, middle + half), confidence, "Wilson", total)


def bonett_price(gained: int, lost: int, total: int, confidence: float) -> Interval:
    """Return the interval of a difference of paired proportions, (gained - lost) / total.

    Args:
        gained: inputs that pass only in the first job.
        lost: inputs that pass only in the second job.
        total: all inputs.
    """
    z, more, less = normal_quantile(confidence), (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    half = z * math.sqrt((more + less - (more - less) ** 2) / (total + 2))
    return Interval(max(-1.0, more - less - half), min(1.0, more - less + half), confidence, "Bonett-Price", total)


def mcnemar(gained: int, lost: int) -> float:
    """Return the p-value of McNemar's exact test: the two-sided binomial test of gained out of gained + lost."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0
