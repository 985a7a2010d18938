"""Intervals of proportions agree with scipy and published examples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from hforch.statistics.proportions import bonett_price, mcnemar, wilson

COUNTS = st.integers(0, 400)
CONFIDENCE = st.sampled_from([0.8, 0.95, 0.99])


@settings(deadline=None)
@given(COUNTS, COUNTS, CONFIDENCE)
def test_wilson_agrees_with_scipy(passed: int, failed: int, confidence: float) -> None:
    total = passed + failed + 1
    found = wilson(passed, total, confidence)
    theirs = binomtest(passed, total).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert passed / total in found


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("gained", "lost", "total", "low", "high"),
    [
        (26, 4, 48, 0.2548067, 0.6251933),  # Bonett's own example of ci.prop.ps in R's statpsych
        (1, 7, 21, -0.508, -0.0134),  # airway hyper-responsiveness: Fagerland, Lydersen and Laake 2014
    ],
)
def test_bonett_price_agrees_with_published_examples(
    gained: int, lost: int, total: int, low: float, high: float
) -> None:
    found = bonett_price(gained, lost, total, 0.95)
    assert found.low == pytest.approx(low, abs=5e-4) and found.high == pytest.approx(high, abs=5e-4)


@given(COUNTS, COUNTS, COUNTS, CONFIDENCE)
def test_exchanging_the_jobs_changes_the_sign(gained: int, lost: int, same: int, confidence: float) -> None:
    total = gained + lost + same + 1
    one, other = bonett_price(gained, lost, total, confidence), bonett_price(lost, gained, total, confidence)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert -1 <= one.low <= one.high <= 1


def test_jobs_that_pass_the_same_inputs_have_an_interval_around_0() -> None:
    assert 0 in bonett_price(0, 0, 10, 0.95) and mcnemar(0, 0) == 1
