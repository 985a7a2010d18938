"""Metrics over inputs: of one job, and the difference of two jobs input by input."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from hforch.statistics.inputs import CHANGED, MANY, SMALL, difference_of_jobs, mean_of_job
from hforch.statistics.proportions import wilson
from hforch.statistics.units import Units, paired

VALUES = st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=2, max_size=30)


def units(values: list[float], weights: list[float] | None = None, first: int = 0) -> Units:
    made = Units()
    for number, value in enumerate(values):
        made.add(str(first + number), value, weights[number] if weights else 1.0)
    return made


def normal(n: int, mean: float = 0.0, seed: int = 0) -> list[float]:
    found: list[float] = numpy.random.default_rng(seed).normal(mean, 1, n).tolist()
    return found


# ---------------------------------------------------------------- units
def test_samples_of_one_input_are_one_unit() -> None:
    made = Units()
    for passed in (1.0, 0.0, 1.0):
        made.add("same", passed)
    assert len(made) == 1 and mean_of_job(made, 0.95).value == pytest.approx(2 / 3)


def test_jobs_are_paired_by_input_whatever_their_order() -> None:
    one, other = Units(), Units()
    for name in "abc":
        one.add(name, ord(name))
    for name in "dcb":
        other.add(name, ord(name))
    mine, theirs = paired(one, other)
    assert mine[0].tolist() == theirs[0].tolist() == [ord("b"), ord("c")]


# ---------------------------------------------------------------- one job
def test_few_values_have_a_t_interval() -> None:
    values = normal(20)
    found = mean_of_job(units(values), 0.95).interval
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert found is not None and found.method == "t of inputs"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_checks_have_the_interval_of_a_proportion() -> None:
    assert mean_of_job(units([1.0] * 9 + [0.0]), 0.95).interval == wilson(9, 10, 0.95)


@pytest.mark.parametrize(
    ("values", "method"),
    [
        (normal(SMALL - 1), "t of inputs"),
        ([0.0] * 8 + [0.3, 0.9], "t of inputs, skewed"),
        ([0.1, 0.2, 0.3, 0.15, 0.25, 4.0], "t of inputs, logarithm"),
        (normal(SMALL), "bootstrap-t"),
        (normal(MANY), "bootstrap-t"),
        (normal(MANY + 1), "t of inputs"),
        ([0.5] * (SMALL - CHANGED + 1) + normal(CHANGED - 1), "t of inputs, skewed"),
    ],
)
def test_the_method_suits_the_number_of_inputs_and_their_values(values: list[float], method: str) -> None:
    found = mean_of_job(units(values), 0.95)
    assert found.interval is not None and found.interval.method == method
    assert found.interval.units == len(values) and found.value in found.interval
    assert math.isfinite(found.interval.low) and math.isfinite(found.interval.high)


def test_an_interval_on_the_scale_of_logarithms_is_positive() -> None:
    found = mean_of_job(units([0.001, 0.002, 0.0012, 0.003, 0.0015, 0.9]), 0.95).interval
    assert found is not None and found.low > 0


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "no input has a value"),
        ([0.3], "only 1 input"),
        ([0.3] * 9, "all 9 inputs have the same value"),
        ([0.3, math.inf], "not finite"),
        ([0.3, math.nan], "not finite"),
    ],
)
def test_without_an_interval_the_reason_is_given(values: list[float], why: str) -> None:
    found = mean_of_job(units(values), 0.95)
    assert found.interval is None and why in found.why


def test_a_comparison_prints_the_same_interval_each_time() -> None:
    values = units(normal(100))
    assert mean_of_job(values, 0.95) == mean_of_job(values, 0.95)


@pytest.mark.parametrize("n", [20, 100, 600])
def test_inputs_with_equal_weights_have_the_interval_of_their_mean(n: int) -> None:
    values = normal(n, 5)
    one, three = mean_of_job(units(values), 0.95), mean_of_job(units([3 * v for v in values], [3.0] * n), 0.95)
    assert one.interval is not None and three.interval is not None
    assert three.value == pytest.approx(one.value)
    assert (three.interval.low, three.interval.high) == pytest.approx((one.interval.low, one.interval.high))


# ---------------------------------------------------------------- two jobs
@settings(deadline=None, max_examples=30)
@given(VALUES, st.integers(0, 99))
def test_exchanging_the_jobs_changes_the_sign(values: list[float], seed: int) -> None:
    others = normal(len(values), seed=seed)
    one = difference_of_jobs(units(values), units(others), 0.95)
    other = difference_of_jobs(units(others), units(values), 0.95)
    assert one.value == pytest.approx(-other.value) and one.p == pytest.approx(other.p)
    assert one.interval is not None and other.interval is not None
    assert one.interval.low == pytest.approx(-other.interval.high)


def test_checks_are_compared_by_mcnemar() -> None:
    found = difference_of_jobs(units([1.0] * 7 + [0.0] * 43), units([0.0] * 7 + [1.0] * 2 + [0.0] * 41), 0.95)
    assert found.p == pytest.approx(binomtest(7, 9).pvalue) and found.value == pytest.approx(0.1)
    assert found.interval is not None and found.interval.method == "Bonett-Price"


@pytest.mark.parametrize("n", [6, 30, 100, 600])
def test_the_same_answers_have_no_difference(n: int) -> None:
    found = difference_of_jobs(units(normal(n)), units(normal(n)), 0.95)
    assert found.value == 0 and found.interval is None and "same value" in found.why


@pytest.mark.parametrize("n", [12, 30, 100, 600])
def test_a_large_difference_is_shown_at_every_number_of_inputs(n: int) -> None:
    for resample in (True, False):
        found = difference_of_jobs(units(normal(n, 1.5)), units(normal(n, 0, seed=1)), 0.95, resample)
        assert found.p is not None and found.p < 0.05 and found.interval is not None
        assert found.interval.low > 0 and found.value in found.interval


def test_pairs_show_what_unpaired_inputs_hide() -> None:
    hard = [10 * value for value in normal(30)]
    better = [value + 0.2 + 0.1 * noise for value, noise in zip(hard, normal(30, seed=1), strict=True)]
    found = difference_of_jobs(units(better), units(hard), 0.95)
    assert found.p is not None and found.p < 0.01
    alone = mean_of_job(units(better), 0.95).interval
    assert alone is not None and alone.high - alone.low > 20 * abs(found.value)


def test_jobs_without_common_inputs_cannot_be_compared() -> None:
    found = difference_of_jobs(units(normal(5)), units(normal(5), first=5), 0.95)
    assert found.interval is None and "no input in common" in found.why


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_value_that_is_not_finite_prevents_a_comparison(odd: float) -> None:
    found = difference_of_jobs(units([*normal(5), odd]), units(normal(6, seed=1)), 0.95)
    assert found.interval is None and found.p is None and "not finite" in found.why
