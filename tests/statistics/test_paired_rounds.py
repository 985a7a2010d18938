"""Ratios of jobs that were measured in turns: t intervals agree with scipy, always-valid ones are valid."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from hforch.statistics.estimates import Interval
from hforch.statistics.rounds import (
    PRIOR_PRECISION,
    always_valid_p,
    distance_of_halves,
    log_bayes_factor,
    log_ratios,
    ratio_from_drifts,
    ratio_of_jobs,
    sequence_half_width,
    value_of_job,
)

LOGS = st.lists(st.floats(-2, 2), min_size=3, max_size=40).filter(lambda logs: numpy.std(logs) > 1e-6)
ALPHA = st.sampled_from([0.2, 0.05, 0.01])


@settings(deadline=None)
@given(LOGS)
def test_the_interval_and_the_p_value_are_those_of_a_t_test(logs: list[float]) -> None:
    found, theirs = ratio_of_jobs(logs, 0.95), ttest_1samp(logs, 0)
    assert found.interval is not None
    low, high = theirs.confidence_interval(0.95)
    assert (math.log(found.interval.low), math.log(found.interval.high)) == pytest.approx((low, high), abs=1e-9)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found.interval.units == len(logs) and found.value in found.interval


def test_rounds_that_only_one_job_has_measured_do_not_count() -> None:
    assert log_ratios([2.0, None, 3.0, 0.0, math.nan, math.inf, 8.0], [1.0, 1.0, None, 1.0, 1.0, 1.0]) == [
        pytest.approx(math.log(2))
    ]


@pytest.mark.parametrize(("logs", "why"), [([], "no round in common"), ([0.1], "measured in one round")])
def test_without_an_interval_the_reason_is_given(logs: list[float], why: str) -> None:
    found = ratio_of_jobs(logs, 0.95)
    assert found.interval is None and found.p is None and why in found.why


@given(LOGS)
def test_exchanging_the_jobs_inverts_the_interval(logs: list[float]) -> None:
    for looked in (False, True):
        one, other = ratio_of_jobs(logs, 0.95, looked), ratio_of_jobs([-log for log in logs], 0.95, looked)
        assert one.interval is not None and other.interval is not None
        assert one.value == pytest.approx(1 / other.value)
        assert one.interval.low == pytest.approx(_inverse(other.interval.high))
        assert one.p == pytest.approx(other.p)


def test_the_value_of_a_job_is_the_geometric_mean_of_its_rounds() -> None:
    found = value_of_job([100, 121, math.nan, 0], 0.95)
    assert found.value == pytest.approx(110) and found.interval is not None and found.interval.units == 2
    assert value_of_job([100], 0.95).interval is None and value_of_job([], 0.95).why


def test_jobs_measured_once_use_the_noise_of_batches_timed_twice() -> None:
    found = ratio_from_drifts(math.log(1.2), [0.05, -0.05, 0.05, -0.05], 0.95)
    assert found.interval is not None and found.spread == pytest.approx(0.05)
    assert math.log(found.interval.high / 1.2) == pytest.approx(2.776 * 0.05, rel=1e-3)  # t of 4 degrees of freedom
    assert ratio_from_drifts(0.1, [], 0.95).why and ratio_from_drifts(0.1, [0.0], 0.95).why


# ---------------------------------------------------------------- always valid
def test_the_bayes_factor_is_a_positive_martingale_without_an_effect() -> None:
    """Without an effect, its mean stays 1 whenever one stops, also at a time that depends on the values."""
    random = numpy.random.default_rng(0)
    draws, most = 40_000, 8
    values = random.normal(0, 3.0, (draws, most))
    factors = numpy.stack([_factors(values[:, :n]) for n in range(2, most + 1)], axis=1)
    assert factors.min() > 0
    stopped = numpy.where(factors.max(axis=1) >= 3, factors[numpy.arange(draws), (factors >= 3).argmax(axis=1)], 0)
    stopped = numpy.where(factors.max(axis=1) >= 3, stopped, factors[:, -1])
    for means in (factors.mean(axis=0), stopped.mean()):
        assert means == pytest.approx(1, abs=0.05)


def test_the_bayes_factor_is_that_of_the_right_haar_prior() -> None:
    """Integrate the normal likelihood over the effect's prior and the standard deviation's, numerically."""
    values = [0.3, -0.1, 0.5, 0.4]
    n, mean = len(values), float(numpy.mean(values))
    deviations = numpy.geomspace(1e-3, 1e3, 4_001)
    effects = numpy.linspace(-12, 12, 2_401)[:, None]
    prior = numpy.exp(-PRIOR_PRECISION * effects**2 / 2) * math.sqrt(PRIOR_PRECISION / (2 * math.pi))
    squares = sum((numpy.array(value) - effects * deviations) ** 2 for value in values)
    with_effect = numpy.exp(-squares / (2 * deviations**2)) / deviations**n  # the prior 1/sd cancels in ln(sd)
    without = numpy.exp(-sum(value**2 for value in values) / (2 * deviations**2)) / deviations**n
    step = math.log(deviations[1] / deviations[0])
    expected = ((with_effect * prior).sum() * 0.01 * step) / (without.sum() * step)
    t = mean / (float(numpy.std(values, ddof=1)) / math.sqrt(n))
    assert math.exp(log_bayes_factor(t * t, n)) == pytest.approx(expected, rel=1e-3)


@given(LOGS)
def test_the_p_value_never_rises_with_another_look(logs: list[float]) -> None:
    each = [always_valid_p(logs[:n]) for n in range(1, len(logs) + 1)]
    assert all(0 < later <= earlier <= 1 for earlier, later in itertools.pairwise(each))


@given(st.floats(0.001, 10), st.integers(2, 500), ALPHA)
def test_the_interval_ends_where_the_bayes_factor_rejects(spread: float, n: int, alpha: float) -> None:
    half = sequence_half_width(spread, n, alpha)
    if half == math.inf:  # no t statistic is large enough
        assert log_bayes_factor(1e12, n) <= -math.log(alpha) + 1e-6
        return
    t_squared = half**2 * n / spread**2
    assert log_bayes_factor(t_squared, n) == pytest.approx(-math.log(alpha), rel=1e-6)


@given(LOGS)
def test_an_always_valid_interval_contains_the_t_interval(logs: list[float]) -> None:
    wide, narrow = ratio_of_jobs(logs, 0.95, looked=True).interval, ratio_of_jobs(logs, 0.95).interval
    assert wide is not None and narrow is not None
    assert wide.low <= narrow.low and narrow.high <= wide.high


def test_looking_after_each_round_names_a_winner_between_equal_jobs_in_at_most_5_percent() -> None:
    random = numpy.random.default_rng(1)
    named = sum(always_valid_p(random.normal(0, 0.1, 60).tolist()) <= 0.05 for _ in range(1_000))
    assert named <= 62  # 95% of the binomial distribution with a probability of 5%


# ---------------------------------------------------------------- the noise floor
def test_a_machine_that_repeats_itself_has_no_distance_between_halves() -> None:
    assert distance_of_halves([[1.0] * 6, [2.0] * 6]) == 0
    assert distance_of_halves([[1.0, 2.0, 3.0], [1.0]]) is None


def test_the_distance_of_halves_is_that_of_independent_measurements() -> None:
    random = numpy.random.default_rng(0)
    found = [distance_of_halves(random.normal(0, 0.1, (2, 20)).tolist()) or 0.0 for _ in range(2_000)]
    apart = [float(one[::2].mean() - one[1::2].mean()) for one in random.normal(0, 0.1, (4_000, 20))]
    assert math.sqrt(numpy.mean(numpy.square(found))) == pytest.approx(float(numpy.std(apart)), rel=0.05)


def test_a_drift_that_all_jobs_have_in_common_does_not_count_as_noise() -> None:
    random = numpy.random.default_rng(0)
    noise = random.normal(0, 0.01, (3, 20))
    drifting = (noise + numpy.cumsum(random.normal(0, 0.1, 20))).tolist()
    assert distance_of_halves(drifting) == pytest.approx(distance_of_halves(noise.tolist()))
    assert (distance_of_halves(drifting[:1]) or 0.0) > 3 * (distance_of_halves(drifting) or 1.0)


def _factors(values: numpy.ndarray) -> numpy.ndarray:  # type: ignore[type-arg]
    n = values.shape[1]
    t_squared = n * values.mean(axis=1) ** 2 / values.var(axis=1, ddof=1)
    return numpy.array([math.exp(log_bayes_factor(one, n)) for one in t_squared])


def _inverse(value: float) -> float:
    return 0.0 if value == math.inf else 1 / value


def test_an_interval_knows_what_it_contains() -> None:
    interval = Interval(0.9, 1.1, 0.95, "t of rounds", 5)
    assert 1.0 in interval and 1.2 not in interval
    assert interval.is_within(0.8, 1.2) and not interval.is_within(0.95, 1.2)
