"""Detection of a first repeat that differs from the later ones, on made-up speeds."""

from __future__ import annotations

import random

import pytest

from hforch.runs.repeats import first_differs, remark, remedy

LONG_S = 60.0


@pytest.mark.parametrize(
    "speeds",
    [
        [762.0, 4501.0, 4620.0, 4550.0],  # the first repeat loaded kernels
        [20.0, 30.0, 30.5],
        [40.0, 50.0, 50.0, 50.0],  # no spread at all
        [10.0, 30.0],  # two repeats, and a wide margin
    ],
)
def test_a_slow_first_repeat_is_reported(speeds: list[float]) -> None:
    share = first_differs(speeds, LONG_S)
    assert share is not None and share < 0
    assert "slower than the later ones" in remark(share) and "runtime.warmup" in remedy(share)


def test_a_fast_first_repeat_is_reported_as_a_machine_that_slowed_down() -> None:
    share = first_differs([60.0, 40.0, 40.5, 39.8], LONG_S)
    assert share == pytest.approx(0.497, abs=0.01)
    assert "50% faster" in remark(share) and "idle machine" in remedy(share)


@pytest.mark.parametrize(
    "speeds",
    [
        [],
        [50.0],
        [40.0, 50.0],  # two repeats differ by as much on a busy machine
        [45.0, 50.0, 50.1],  # 10% is noise, even if the others are close to each other
        [35.0, 60.0, 40.0, 50.0],  # the later ones differ as much from each other
        [50.0, 50.0, 20.0, 50.0],  # a later repeat was slow
        [0.0, 50.0, 50.0],
    ],
)
def test_noise_is_not_reported(speeds: list[float]) -> None:
    assert first_differs(speeds, LONG_S) is None


def test_repeats_of_milliseconds_are_not_judged() -> None:
    assert first_differs([10.0, 100.0, 100.0], 0.2) is None
    assert first_differs([10.0, 100.0, 100.0], 0.4) is not None


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.08])
@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_ordinary_noise_rarely_raises_a_false_alarm_and_a_cold_start_is_found(noise: float, count: int) -> None:
    draw = random.Random(7)
    trials = 2000
    false, found = 0, 0
    for _ in range(trials):
        speeds = [50.0 * draw.lognormvariate(0.0, noise) for _ in range(count)]
        false += first_differs(speeds, LONG_S) is not None
        found += first_differs([speeds[0] / 5, *speeds[1:]], LONG_S) is not None
    assert false <= (0.025 if noise > 0.05 else 0.005) * trials
    assert found >= 0.9 * trials
