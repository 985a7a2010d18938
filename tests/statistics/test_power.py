"""The number of rounds or inputs that a decision probably needs."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hforch.statistics.power import MOST, inputs_for, rounds_for
from hforch.statistics.rounds import ratio_of_jobs

EFFECT, SPREAD = st.floats(0.001, 1), st.floats(0.001, 1)


@given(EFFECT, SPREAD, st.booleans())
def test_larger_effects_and_less_noise_need_no_more_rounds(effect: float, spread: float, looked: bool) -> None:
    needed = _rounds(effect, spread, looked)
    assert _rounds(2 * effect, spread, looked) <= needed
    assert needed <= _rounds(effect, 2 * spread, looked)


@given(EFFECT, SPREAD)
def test_looking_early_needs_no_fewer_rounds(effect: float, spread: float) -> None:
    assert _rounds(effect, spread, False) <= _rounds(effect, spread, True)


@given(EFFECT, SPREAD)
def test_larger_differences_need_no_more_inputs(difference: float, spread: float) -> None:
    assert (inputs_for(2 * difference, spread, 0.95) or MOST) <= (inputs_for(difference, spread, 0.95) or MOST)


def test_without_an_effect_a_tie_needs_a_margin() -> None:
    assert inputs_for(0.0, 0.1, 0.95) is None
    assert rounds_for(0.0, 0.1, 0.0, 0.95, looked=False) is None
    assert rounds_for(0.0, 0.01, 0.02, 0.95, looked=False) is not None


def test_the_rounds_that_are_named_find_the_effect_four_times_of_five() -> None:
    effect, spread = 0.1, 0.15
    needed = rounds_for(effect, spread, 0.02, 0.95, looked=False)
    assert needed is not None
    random = numpy.random.default_rng(0)
    effects = [ratio_of_jobs(random.normal(effect, spread, needed).tolist(), 0.95) for _ in range(1_000)]
    assert numpy.mean([(one.p or 0) <= 0.05 for one in effects]) == pytest.approx(0.8, abs=0.05)


def _rounds(effect: float, spread: float, looked: bool) -> float:
    return rounds_for(effect, spread, 0.0, 0.95, looked) or math.inf
