"""The bootstrap-t interval and the permutation test."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from hforch.statistics.resampling import permuted, studentized
from hforch.statistics.students_t import half_width


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=10))
def test_few_differences_are_exchanged_in_all_ways(differences: list[float]) -> None:
    def mean(values: numpy.ndarray, axis: int = -1) -> numpy.ndarray:  # type: ignore[type-arg]
        return values.mean(axis=axis)

    expected = permutation_test((differences,), mean, permutation_type="samples", n_resamples=9_999)
    two_sided = min(1.0, float(expected.pvalue))
    assert permuted(numpy.array(differences)) == pytest.approx(two_sided, abs=1e-9)


def test_many_differences_have_about_the_p_value_of_a_t_test() -> None:
    from scipy.stats import ttest_1samp

    differences = numpy.random.default_rng(0).normal(0.2, 1, 100)
    assert permuted(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_a_difference_of_all_inputs_in_one_direction_is_the_least_probable() -> None:
    assert permuted(numpy.ones(5)) == 2 / 2**5
    assert permuted(numpy.ones(60)) == 1 / 10_000


def test_the_interval_of_normal_values_is_about_a_t_interval() -> None:
    values = numpy.random.default_rng(0).normal(0, 1, 200)
    expected = half_width(float(values.std(ddof=1)), 200, 0.95)
    assert studentized(values, 0.95, symmetric=False) == pytest.approx((expected, expected), rel=0.1)
    below, above = studentized(values, 0.95, symmetric=True)
    assert below == above == pytest.approx(expected, rel=0.1)


def test_the_interval_extends_further_towards_the_long_tail() -> None:
    values = numpy.random.default_rng(0).lognormal(0, 1, 100)
    below, above = studentized(values, 0.95, symmetric=False)
    assert above > 1.2 * below
