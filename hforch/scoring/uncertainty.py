"""Standard errors of means over positions, clustered by sample, since positions of one text are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error (None for a single sample)."""

    value: float
    error: float | None


def ratio_of_sums(sums: Sequence[float], numbers: Sequence[float]) -> Mean:
    """Return the mean over all positions of all samples, with the standard error of a ratio of sums over samples.

    With m samples, s_i the sum and n_i the number of positions of sample i, N the sum of all n_i, and r the mean:
    error^2 = m / (m - 1) * sum((s_i - r * n_i)^2) / N^2. See Cochran, Sampling Techniques, 3rd edition, chapter 6.
    """
    whole, m = math.fsum(numbers), len(numbers)
    mean = math.fsum(sums) / whole
    if m < 2:
        return Mean(mean, None)
    spread = math.fsum((one - mean * number) ** 2 for one, number in zip(sums, numbers, strict=True))
    return Mean(mean, math.sqrt(m / (m - 1) * spread) / whole)
