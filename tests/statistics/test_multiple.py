"""Holm's correction."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hforch.statistics.multiple import holm

P = st.lists(st.floats(0, 1), max_size=8)


def test_a_hand_worked_example() -> None:
    # Sorted: 0.01, 0.02, 0.03, 0.04; times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04; none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


def test_one_comparison_is_not_corrected() -> None:
    assert holm([0.03]) == [0.03] and holm([]) == []


@given(P)
def test_the_order_is_kept_and_nothing_gets_smaller(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(value <= one <= 1 for value, one in zip(values, adjusted, strict=True))
    pairs = sorted(zip(values, adjusted, strict=True))
    assert all(one[1] <= other[1] for one, other in itertools.pairwise(pairs))


@given(P)
def test_it_rejects_no_less_than_bonferroni(values: list[float]) -> None:
    assert all(one <= min(1.0, value * len(values)) + 1e-15 for value, one in zip(values, holm(values), strict=True))
