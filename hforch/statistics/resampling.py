"""Resampling of inputs: bootstrap-t intervals of a mean, and the permutation test of paired differences."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hforch.statistics.units import Array

RESAMPLES, PERMUTATIONS = 2_000, 9_999
SEED = 0  # so that a comparison prints the same intervals each time
BATCH = 1_000
SAME = 1e-12  # relative difference below which two means count as equal


def studentized(values: Array, confidence: float, symmetric: bool) -> tuple[float, float]:
    """Return how far the bootstrap-t interval of a mean extends below and above it.

    Args:
        symmetric: whether both distances are the same quantile of |t|, as suits differences, which are nearly
            symmetric (Hall 1988, On symmetric bootstrap confidence intervals), or each of them its own quantile of t
            (Efron 1981; Hall 1988, Theoretical comparison of bootstrap confidence intervals).
    """
    import numpy

    n, error = len(values), float(values.std(ddof=1)) / math.sqrt(len(values))
    random = numpy.random.default_rng(SEED)
    drawn = values[random.integers(0, n, (RESAMPLES, n))]
    deviations = drawn.std(axis=1, ddof=1)
    away = drawn.mean(axis=1) - values.mean()
    with numpy.errstate(divide="ignore", invalid="ignore"):
        t = numpy.where(deviations > 0, away / (deviations / math.sqrt(n)), numpy.copysign(numpy.inf, away))
    if symmetric:
        distance = float(numpy.quantile(abs(t), confidence, method="inverted_cdf")) * error
        return distance, distance
    low, high = numpy.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2], method="inverted_cdf")
    return float(high) * error, -float(low) * error


def permuted(differences: Array) -> float:
    """Return the two-sided p-value of a mean of 0: by exchange of the two jobs for each input.

    All exchanges if they are few, else random ones. See Fisher, The Design of Experiments, section 21, and for random
    exchanges Phipson and Smyth 2010.
    """
    import numpy

    n, observed = len(differences), abs(float(differences.sum()))
    least = observed - SAME * float(abs(differences).sum())
    if 2**n <= PERMUTATIONS:
        signs = numpy.array([*itertools.product((-1.0, 1.0), repeat=n)])
        return float((abs(signs @ differences) >= least).mean())
    random, reached = numpy.random.default_rng(SEED), 1
    for start in range(0, PERMUTATIONS, BATCH):
        size = min(BATCH, PERMUTATIONS - start)
        signs = random.integers(0, 2, (size, n), dtype=numpy.int8) * 2.0 - 1.0
        reached += int((abs(signs @ differences) >= least).sum())
    return reached / (PERMUTATIONS + 1)
