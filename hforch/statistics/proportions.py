"""Proportions: of one job's checks, and of the checks of two jobs on the same inputs."""

from __future__ import annotations

import math

from hforch.statistics.estimates import Interval


def wilson(passed: int, total: int, confidence: float) -> Interval:
    """Return Wilson's score interval of passed / total."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
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
    from scipy.special import ndtri

    z, more, less = float(ndtri(0.5 + confidence / 2)), (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    half = z * math.sqrt((more + less - (more - less) ** 2) / (total + 2))
    return Interval(max(-1.0, more - less - half), min(1.0, more - less + half), confidence, "Bonett-Price", total)


def mcnemar(gained: int, lost: int) -> float:
    """Return the p-value of McNemar's exact test: the two-sided binomial test of gained out of gained + lost."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0
