"""Verdicts on effects."""

from __future__ import annotations

import math

import pytest

from hforch.statistics.estimates import Effect, Interval
from hforch.statistics.verdicts import verdict


def ratio(value: float, low: float, high: float, p: float) -> Effect:
    return Effect(value, "ratio", Interval(low, high, 0.95, "t of rounds", 10), p, spread=0.1)


@pytest.mark.parametrize(
    ("effect", "floor", "expected"),
    [
        (ratio(1.2, 1.1, 1.3, 0.001), 0.0, "better"),
        (ratio(1.2, 1.1, 1.3, 0.001), 0.25, "tie"),  # two measurements of the same job lie further apart
        (ratio(1.2, 0.9, 1.5, 0.3), 0.0, "undecided"),
        (ratio(1.01, 1.005, 1.015, 0.001), 0.0, "tie"),  # shown, and too small to matter
        (ratio(1.0, 0.99, 1.01, 0.9), 0.0, "tie"),
        (ratio(1.0, 0.0, math.inf, 0.9), 0.0, "undecided"),
        (Effect(1.2, "ratio", why="measured in one round"), 0.0, "undecided"),
        (Effect(math.nan, "ratio", why="the jobs have no round in common"), 0.0, "undecided"),
        (Effect(1.0, "ratio", why="all rounds have the same ratio", spread=0.0), 0.0, "tie"),
        (Effect(0.0, "difference", why="all 9 inputs have the same value"), 0.0, "tie"),
    ],
)
def test_an_effect_is_shown_or_not(effect: Effect, floor: float, expected: str) -> None:
    assert verdict(effect, 0.05, 0.02, floor) == expected


def test_differences_use_margins_in_their_own_unit() -> None:
    effect = Effect(0.01, "difference", Interval(-0.01, 0.03, 0.95, "Bonett-Price", 100), 0.4, spread=0.2)
    assert verdict(effect, 0.05, 0.02) == "undecided" and verdict(effect, 0.05, 0.03) == "tie"
