"""Intervals and tests over inputs: of one job's metric, and of the difference of two jobs, input by input.

Intervals of proportions have their own methods. Others are t intervals up to SMALL inputs, bootstrap-t intervals up to
MANY, and beyond t intervals of the linearized ratio, which the central limit theorem makes accurate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hforch.statistics import students_t
from hforch.statistics.estimates import Effect, Estimate, Interval
from hforch.statistics.proportions import bonett_price, mcnemar, wilson
from hforch.statistics.resampling import permuted, studentized
from hforch.statistics.units import Units, paired

if TYPE_CHECKING:
    from hforch.statistics.units import Array

SMALL, MANY = 50, 500
SKEWED = 1.0  # skewness from which a t interval of few inputs gets pseudo-observations
UNCHANGED = 0.2  # as for SKEWED: the fraction of inputs that have the same value
CHANGED = 10  # other inputs that the bootstrap needs, because it draws samples without them too often
ONE = "only 1 input was answered"
NOT_FINITE = "the value of an input is not finite"


def mean_of_job(units: Units, confidence: float) -> Estimate:
    """Return sum(sums) / sum(weights) of one job, with its interval."""
    sums, weights = units.arrays()
    total = float(weights.sum())
    if not total:
        return Estimate(math.nan, why="no input has a value")
    value, n = float(sums.sum()) / total, len(units)
    if not math.isfinite(value):
        return Estimate(value, why=NOT_FINITE)
    if _are_binary(sums, weights):
        return Estimate(value, wilson(round(value * n), n, confidence))
    if n < 2:
        return Estimate(value, why=ONE)
    is_positive = value > 0 and bool((sums >= 0).all())
    return Estimate(value, *_interval(_influence(sums, weights), value, confidence, is_positive=is_positive))


def difference_of_jobs(one: Units, other: Units, confidence: float, resample: bool = True) -> Effect:
    """Return one - other over the inputs that both have, with its interval and p-value.

    Args:
        resample: whether to use the bootstrap and permutations; otherwise t intervals and tests, which are faster.
    """
    mine, theirs = paired(one, other)
    n = len(mine[0])
    if not n:
        return Effect(math.nan, "difference", why="the jobs have no input in common")
    if not (mine[1].sum() and theirs[1].sum()):
        return Effect(math.nan, "difference", why="no input has a value in both jobs")
    value = float(mine[0].sum() / mine[1].sum() - theirs[0].sum() / theirs[1].sum())
    if not math.isfinite(value):
        return Effect(value, "difference", why=NOT_FINITE)
    apart = _influence(*mine) - _influence(*theirs)
    spread = float(apart.std(ddof=1)) if n > 1 else None
    if _are_binary(*mine) and _are_binary(*theirs):
        gained, lost = int(((mine[0] > 0) & (theirs[0] == 0)).sum()), int(((mine[0] == 0) & (theirs[0] > 0)).sum())
        adjusted = bonett_price(gained, lost, n, confidence)
        return Effect(value, "difference", adjusted, mcnemar(gained, lost), spread=spread)
    if n < 2:
        return Effect(value, "difference", why=ONE)
    interval, why = _interval(apart, value, confidence, resample, symmetric=True)
    if interval is None:
        return Effect(value, "difference", why=why, spread=spread)
    return Effect(value, "difference", interval, _p(apart + value, resample), spread=spread)


def _are_binary(sums: Array, weights: Array) -> bool:
    """Return whether each input has the value 0 or 1 with the same weight, as for one check with equal repeats."""
    return bool((weights == weights[0]).all() and ((sums == 0) | (sums == weights)).all())


def _influence(sums: Array, weights: Array) -> Array:
    """Return the influence of each unit on a ratio of sums: values with mean 0 whose mean is its linearized error."""
    ratio = sums.sum() / weights.sum()
    return (sums - ratio * weights) / weights.mean()


def _interval(
    influence: Array,
    value: float,
    confidence: float,
    resample: bool = True,
    symmetric: bool = False,
    is_positive: bool = False,
) -> tuple[Interval | None, str]:
    n, same = len(influence), _most_frequent(influence)
    if not influence.any():
        return None, f"all {n} inputs have the same value"
    if resample and SMALL <= n <= MANY and n - same >= CHANGED:
        below, above = studentized(influence, confidence, symmetric)
        return Interval(value - below, value + above, confidence, "bootstrap-t", n), ""
    skewness = _skewness(influence)
    some_are_same = same > 1 and same >= UNCHANGED * n
    if n > MANY or (abs(skewness) <= SKEWED and not some_are_same):
        half = students_t.half_width(float(influence.std(ddof=1)), n, confidence)
        return Interval(value - half, value + half, confidence, "t of inputs", n), ""
    half = _half_width_if_skewed(influence, confidence)
    if is_positive and skewness > SKEWED and not some_are_same:
        factor = math.exp(half / value)
        return Interval(value / factor, value * factor, confidence, "t of inputs, logarithm", n), ""
    return Interval(value - half, value + half, confidence, "t of inputs, skewed", n), ""


def _half_width_if_skewed(influence: Array, confidence: float) -> float:
    """Return half the width of a t interval with a pseudo-observation at each end of the range of the influences."""
    import numpy

    end = abs(influence).max()
    values = numpy.append(influence, [end, -end])
    return students_t.half_width(float(values.std(ddof=1)), len(values), confidence)


def _skewness(values: Array) -> float:
    deviation = float(values.std())
    return float(((values - values.mean()) ** 3).mean()) / deviation**3 if deviation else 0.0


def _most_frequent(values: Array) -> int:
    """Return how often the most frequent value occurs."""
    import numpy

    return int(numpy.unique(values.round(12), return_counts=True)[1].max())


def _p(differences: Array, resample: bool) -> float:
    """Return the two-sided p-value of a mean of 0: by permutation, or by t if the inputs are many."""
    n = len(differences)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if not deviation:
        return 0.0 if mean else 1.0
    if n > MANY or not resample:
        return students_t.two_sided_p(mean / (deviation / math.sqrt(n)), n - 1)
    return permuted(differences)
