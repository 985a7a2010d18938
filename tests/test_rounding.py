"""Rounding of numbers in messages that compare them with a limit."""

from __future__ import annotations

import pytest

from hforch.utils.rounding import percent, percent_apart, rounded_apart


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [(7.26, 8, "7.3"), (5.0, 8, "5"), (7.98, 8, "7.98"), (7.99996, 8, "7.99996"), (12.34, 12.35, "12.34"), (8, 8, "8")],
)
def test_a_number_has_enough_decimals_to_differ_from_its_limit(value: float, limit: float, shown: str) -> None:
    assert rounded_apart(value, limit) == shown


@pytest.mark.parametrize(
    ("fraction", "limit", "shown"),
    [(0.5, 0.9, "50% < 90%"), (2 / 3, 0.67, "66.7% < 67%"), (0.28, 0.29, "28% < 29%"), (0.9999, 1, "99.99% < 100%")],
)
def test_percentages_differ_from_their_limit(fraction: float, limit: float, shown: str) -> None:
    assert f"{percent_apart(fraction, limit)} < {percent(limit)}" == shown
