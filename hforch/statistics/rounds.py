"""Compare two jobs that were measured in turns, round by round. Ratios, because noise of speeds is multiplicative."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hforch.statistics.estimates import Effect, Estimate, Interval
from hforch.statistics.students_t import half_width, two_sided_p

PRIOR_PRECISION = 1.0
"""Precision of the normal prior of the effect, in standard deviations of one round, for always-valid intervals.

Differences that matter are about as large as the noise of one round: 5 to 20% on a machine that varies by 5 to 10%.
"""
WIDEST = math.log(10)  # intervals of a single measurement that are wider than a factor of 10 are not stated
EXACT = 1e-12  # relative spread below which all ratios count as equal: clocks resolve less


def log_ratios(one: Sequence[float | None], other: Sequence[float | None]) -> list[float]:
    """Return ln(one / other) of each round that both jobs have measured."""
    pairs = zip(one, other, strict=False)
    return [
        math.log(a / b) for a, b in pairs if a is not None and b is not None and 0 < a < math.inf and 0 < b < math.inf
    ]


def ratio_of_jobs(logs: Sequence[float], confidence: float, looked: bool = False) -> Effect:
    """Return the geometric mean of the ratios of two jobs, with its interval and p-value.

    Args:
        logs: ln(one / other) of each round, in order.
        looked: whether earlier results determined how many rounds were measured; the interval and the p-value
            are then always valid.
    """
    n = len(logs)
    if not n:
        return Effect(math.nan, "ratio", why="the jobs have no round in common")
    mean = math.fsum(logs) / n
    value = math.exp(mean)
    if n < 2:
        return Effect(value, "ratio", why="measured in one round")
    spread = _deviation(logs, mean)
    if spread <= EXACT:
        certain = Interval(value, value, confidence, "always valid" if looked else "t of rounds", n)
        return Effect(value, "ratio", certain, 1.0 if abs(mean) <= EXACT else 0.0, spread=0.0)
    if looked:
        half, method, p = sequence_half_width(spread, n, 1 - confidence), "always valid", always_valid_p(logs)
    else:
        half, method = half_width(spread, n, confidence), "t of rounds"
        p = two_sided_p(mean / (spread / math.sqrt(n)), n - 1)
    interval = Interval(_exp(mean - half), _exp(mean + half), confidence, method, n)
    return Effect(value, "ratio", interval, p, spread=spread)


def value_of_job(values: Sequence[float], confidence: float) -> Estimate:
    """Return the geometric mean over the rounds of one job, with its t interval."""
    logs = [math.log(one) for one in values if 0 < one < math.inf]
    if not logs:
        return Estimate(0.0, why="no round has a value")
    mean = math.fsum(logs) / len(logs)
    if len(logs) < 2:
        return Estimate(math.exp(mean), why="measured in one round")
    half = half_width(_deviation(logs, mean), len(logs), confidence)
    return Estimate(
        math.exp(mean), Interval(_exp(mean - half), _exp(mean + half), confidence, "t of rounds", len(logs))
    )


def value_from_drifts(value: float, drifts: Sequence[float], confidence: float) -> Estimate:
    """Return a value that was measured once, with noise estimated from batches that were timed twice.

    Args:
        drifts: as for `ratio_from_drifts`.
    """
    if not drifts or value <= 0:
        return Estimate(value, why="measured once, and no batch was timed again" if not drifts else "not positive")
    spread = math.sqrt(math.fsum(one * one for one in drifts) / (2 * len(drifts)))
    if spread <= EXACT:
        return Estimate(value, why="measured once")
    half = half_width(spread, 1, confidence, degrees=len(drifts))
    if half > WIDEST:
        return Estimate(value, why="measured once, while the machine's speed changed a lot")
    low, high = _exp(math.log(value) - half), _exp(math.log(value) + half)
    return Estimate(value, Interval(low, high, confidence, "repeated batch", len(drifts)))


def ratio_from_drifts(log_ratio: float, drifts: Sequence[float], confidence: float) -> Effect:
    """Return the ratio of two jobs that were measured once, with noise estimated from batches that were timed twice.

    The difference of two measurements of one batch has twice the variance of a measurement, as has the difference of
    two jobs. The first batch is shorter than a job, so its noise is larger and the interval is conservative.

    Args:
        log_ratio: ln(one / other).
        drifts: for each load of a model of the sweep, ln(second / first duration of its first batch).
    """
    value, n = math.exp(log_ratio), len(drifts)
    if not n:
        return Effect(value, "ratio", why="measured once, and no batch was timed again")
    spread = math.sqrt(math.fsum(one * one for one in drifts) / n)
    if spread <= EXACT:
        return Effect(value, "ratio", why="measured once")
    half = half_width(spread, 1, confidence, degrees=n)
    interval = Interval(_exp(log_ratio - half), _exp(log_ratio + half), confidence, "repeated batch", n)
    return Effect(value, "ratio", interval, two_sided_p(log_ratio / spread, n), spread=spread)


def distance_of_halves(rounds: Sequence[Sequence[float]]) -> float | None:
    """Return how far two measurements of the same job lie apart: its even rounds and its odd rounds.

    Args:
        rounds: for each job, ln(speed) of each round.

    Returns:
        the root mean square, over the jobs, of the difference of the two halves' mean logarithms, estimated from all
        pairs of consecutive rounds; None if no job has two pairs. If several jobs have the same rounds, the mean of
        each round is subtracted first, since pairing removes what all jobs have in common.
    """
    squares = []
    for logs in _without_common_noise(rounds):
        apart = [after - before for before, after in zip(logs[::2], logs[1::2], strict=False)]
        if len(apart) >= 2:
            squares.append(math.fsum(one * one for one in apart) / len(apart) ** 2)
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else None


def _without_common_noise(rounds: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """Return the deviations from the mean of each round, scaled to the variance of independent measurements."""
    jobs, lengths = len(rounds), {len(logs) for logs in rounds}
    if jobs < 2 or len(lengths) > 1:
        return rounds
    means = [math.fsum(column) / jobs for column in zip(*rounds, strict=True)]
    scale = math.sqrt(jobs / (jobs - 1))
    return [[scale * (one - mean) for one, mean in zip(logs, means, strict=True)] for logs in rounds]


# ---------------------------------------------------------------- always valid
def log_bayes_factor(t_squared: float, n: int) -> float:
    """Return the logarithm of the Bayes factor against no effect, for a t statistic of n values.

    The effect in standard deviations has the prior N(0, 1 / PRIOR_PRECISION), the standard deviation its right Haar
    prior. The factor is a martingale with mean 1 if there is no effect, so that it exceeds 1/alpha at any time with a
    probability of at most alpha (Ville's inequality).
    """
    share, degrees = PRIOR_PRECISION / (PRIOR_PRECISION + n), n - 1
    inside = math.log1p(t_squared / degrees) - math.log1p(share * t_squared / degrees)
    return 0.5 * math.log(share) + 0.5 * n * inside


def sequence_half_width(spread: float, n: int, alpha: float) -> float:
    """Return half the width of the confidence sequence after n values; infinite if they are too few.

    It consists of the means that `log_bayes_factor` does not reject at level alpha.
    """
    share, degrees = PRIOR_PRECISION / (PRIOR_PRECISION + n), n - 1
    factor = (alpha * alpha * share) ** (-1 / n)
    if factor * share >= 1:
        return math.inf
    return spread / math.sqrt(n) * math.sqrt(degrees * (factor - 1) / (1 - factor * share))


def always_valid_p(logs: Sequence[float]) -> float:
    """Return the smallest 1 / Bayes factor after any number of values, at most 1."""
    total = squares = largest = 0.0
    for n, one in enumerate(logs, 1):
        total, squares = total + one, squares + one * one
        mean = total / n
        left = squares - n * mean * mean
        if n >= 2 and left > 0:
            t_squared = mean * mean * n * (n - 1) / left
            largest = max(largest, log_bayes_factor(t_squared, n))
    return math.exp(-largest)


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1))


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)
