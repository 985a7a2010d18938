"""Intervals and tests over inputs: of one job's metric, and of the difference of two jobs, input by input.

Up to SMALL inputs, intervals are t intervals or those of proportions; up to MANY, bootstrap intervals; beyond, t
intervals of the linearized ratio, which the central limit theorem makes accurate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hforch.statistics import students_t
from hforch.statistics.estimates import Effect, Estimate, Interval
from hforch.statistics.proportions import bonett_price, mcnemar, wilson
from hforch.statistics.units import Units, paired

if TYPE_CHECKING:
    from hforch.statistics.units import Array

SMALL, MANY = 50, 500
RESAMPLES, PERMUTATIONS = 2_000, 9_999
SEED = 0  # of resampling, so that a comparison prints the same intervals each time
SKEWED = 1.0  # skewness from which a t interval of few inputs gets pseudo-observations
UNCHANGED = 0.2  # as for SKEWED: the fraction of inputs that do not differ
ONE = "only 1 input was answered"


def mean_of_job(units: Units, confidence: float) -> Estimate:
    """Return sum(sums) / sum(weights) of one job, with its interval."""
    sums, weights = units.arrays()
    total = float(weights.sum())
    if not total:
        return Estimate(math.nan, why="no input has a value")
    value, n = float(sums.sum()) / total, len(units)
    if units.are_binary:
        return Estimate(value, wilson(round(float(sums.sum())), n, confidence))
    if n < 2:
        return Estimate(value, why=ONE)
    return Estimate(value, *_interval(_influence(sums, weights), value, confidence))


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
    apart = _influence(*mine) - _influence(*theirs)
    spread = float(apart.std(ddof=1)) if n > 1 else None
    if _are_binary(*mine) and _are_binary(*theirs):
        gained, lost = int((mine[0] > theirs[0]).sum()), int((mine[0] < theirs[0]).sum())
        adjusted = bonett_price(gained, lost, n, confidence)
        return Effect(value, "difference", adjusted, mcnemar(gained, lost), spread=spread)
    if n < 2:
        return Effect(value, "difference", why=ONE)
    interval, why = _interval(apart, value, confidence, resample)
    if interval is None:
        return Effect(value, "difference", why=why, spread=spread)
    return Effect(value, "difference", interval, _p(apart + value, resample), spread=spread)


def _are_binary(sums: Array, weights: Array) -> bool:
    return bool(((sums == 0) | (sums == 1)).all() and (weights == 1).all())


def _influence(sums: Array, weights: Array) -> Array:
    """Return the influence of each unit on a ratio of sums: values with mean 0 whose mean is its linearized error."""
    ratio = sums.sum() / weights.sum()
    return (sums - ratio * weights) / weights.mean()


def _interval(influence: Array, value: float, confidence: float, resample: bool = True) -> tuple[Interval | None, str]:
    n = len(influence)
    if not influence.any():
        return None, f"all {n} inputs have the same value"
    if SMALL <= n <= MANY and resample:
        return _bootstrapped(influence, value, confidence), ""
    method = "t of inputs"
    if n < SMALL and _is_skewed(influence):
        import numpy

        end = numpy.abs(influence).max()
        influence, method = numpy.append(influence, [end, -end]), "t of inputs, skewed"
    half = students_t.half_width(float(influence.std(ddof=1)), len(influence), confidence)
    middle = value + float(influence.mean())
    return Interval(middle - half, middle + half, confidence, method, n), ""


def _is_skewed(values: Array) -> bool:
    """Return whether the skewness of values is large, or many of them are equal to the most frequent one."""
    import numpy

    deviation = float(values.std())
    skewness = float(((values - values.mean()) ** 3).mean()) / deviation**3 if deviation else 0.0
    _, counts = numpy.unique(values.round(12), return_counts=True)
    return abs(skewness) > SKEWED or (counts.max() > 1 and counts.max() >= UNCHANGED * len(values))


def _bootstrapped(influence: Array, value: float, confidence: float) -> Interval:
    import numpy
    from scipy.stats import bootstrap

    found = bootstrap(
        (influence,),
        numpy.mean,
        n_resamples=RESAMPLES,
        batch=RESAMPLES // 4,
        vectorized=True,
        confidence_level=confidence,
        method="BCa",
        rng=numpy.random.default_rng(SEED),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return Interval(value + low, value + high, confidence, "BCa", len(influence))


def _p(differences: Array, resample: bool) -> float:
    """Return the two-sided p-value of a mean of 0: by random exchange of the two jobs for each input, or by t if many.

    See Fisher, The Design of Experiments, section 21.
    """
    n = len(differences)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if not deviation:
        return 0.0 if mean else 1.0
    if n > MANY or not resample:
        return students_t.two_sided_p(mean / (deviation / math.sqrt(n)), n - 1)
    return _permuted(differences)


def _permuted(differences: Array) -> float:
    import numpy
    from scipy.stats import permutation_test

    def mean(values: Array, axis: int = -1) -> Any:
        return values.mean(axis=axis)

    found = permutation_test(
        (differences,),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=1_000,
        rng=numpy.random.default_rng(SEED),
    )
    return float(found.pvalue)
