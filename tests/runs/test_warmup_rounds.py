"""The end of a warm-up, on made-up rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, repeat

import pytest

from hforch.runs.warmup_rounds import FEWEST_ON_CPU, LONGEST_S, MOST, STEPS, Round, deviation, ended_by, is_steady

LONG_JOB_S = 1e6


def of(prefill_s: float, step_s: float) -> Round:
    return Round(prefill_s + STEPS * step_s, prefill_s, step_s)


def warmed_up(times: Sequence[tuple[float, float]], tokens: int = 128, batches: int = 1) -> tuple[int, str]:
    """Return the number of rounds of a warm-up with these timings, the last of which repeats, and why it ends."""
    rounds: list[Round] = []
    for prefill_s, step_s in chain(times, repeat(times[-1])):
        rounds.append(of(prefill_s, step_s))
        if (ended := ended_by(rounds, rounds[-1].expected_s(tokens, batches))) is not None:
            return len(rounds), ended
    raise AssertionError


def test_the_deviation_is_the_larger_one_of_prefill_and_step_times() -> None:
    assert deviation(of(1.0, 0.10), of(1.1, 0.12)) == pytest.approx(0.2)
    assert deviation(of(2.0, 0.10), of(1.0, 0.11)) == pytest.approx(1.0)
    assert deviation(of(1.0, 0.10), of(1.0, 0.10)) == 0.0


def test_wall_times_are_compared_if_tokens_are_not_timed() -> None:
    assert deviation(Round(1.0), Round(1.5)) == pytest.approx(0.5)
    assert Round(1.0).expected_s(2 * (1 + STEPS), 3) == pytest.approx(6.0)


def test_an_answer_of_one_token_has_only_a_prefill() -> None:
    assert deviation(Round(1.0, 0.5), Round(1.0, 0.55)) == pytest.approx(0.1)
    assert Round(1.0, 0.5).expected_s(1, 4) == pytest.approx(2.0)


def test_times_of_zero_do_not_cause_a_division_by_zero() -> None:
    assert deviation(Round(0.0), Round(0.0)) == 0.0
    assert math.isfinite(deviation(Round(0.0), Round(1.0)))


def test_two_agreements_in_a_row_end_a_warm_up() -> None:
    times = [(5.0, 0.01), (5.0, 0.01), (0.1, 0.01)]
    assert warmed_up(times, batches=1000) == (5, "agreement")


def test_slow_first_rounds_of_a_small_job_on_a_fast_device_are_repeated() -> None:
    """A GPU whose first call takes 10 s, for a job of 1 s: warm-up may take more than a tenth of the job."""
    assert warmed_up([(10.0, 0.02), (0.4, 0.006), (0.05, 0.005)])[0] >= 3
    rounds = [of(10.0, 0.02), of(0.4, 0.006), of(0.05, 0.005)]
    assert [ended_by(rounds[:n], rounds[n - 1].expected_s(128, 1)) for n in (1, 2, 3)] == [None, None, None]
    assert ended_by([*rounds, rounds[-1]], 0.7) == "share"
    assert is_steady([*rounds, rounds[-1]])


def test_a_small_job_on_a_slow_device_gets_two_rounds() -> None:
    """One answer of 64 tokens on a CPU, from SmolLM2 and from a 7B model: a round takes a quarter of the job."""
    assert warmed_up([(0.12, 0.016), (0.10, 0.015)], tokens=64) == (2, "share")
    assert warmed_up([(25.0, 1.5), (20.0, 1.0)], tokens=64) == (2, "share")


def test_warm_up_of_a_long_job_on_a_slow_device_is_limited_in_seconds() -> None:
    unsteady = [(20.0 * factor, factor) for factor in (1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.0, 1.3)]
    rounds, ended = warmed_up(unsteady, tokens=512, batches=1000)
    assert ended == "seconds"
    assert sum(of(*one).wall_s for one in unsteady[:rounds]) <= LONGEST_S


def test_rounds_that_never_agree_are_limited_in_number() -> None:
    unsteady = [(0.01, 0.001 * factor) for factor in (1.0, 1.5) * MOST]
    assert warmed_up(unsteady, batches=1000) == (MOST, "rounds")


def test_rounds_after_the_second_take_at_most_a_tenth_of_the_job() -> None:
    unsteady = [(0.1, 0.01 * factor) for factor in (1.0, 1.3) * MOST]
    rounds, ended = warmed_up(unsteady, tokens=100, batches=6)
    assert ended == "share"
    last = of(*unsteady[rounds - 1])
    assert sum(of(*one).wall_s for one in unsteady[2:rounds]) <= 0.1 * last.expected_s(100, 6)
    assert 3 <= rounds < MOST


def test_a_job_of_unknown_length_gets_at_least_two_rounds() -> None:
    assert ended_by([of(1.0, 0.1)], 0.0) is None
    assert not is_steady([of(1.0, 0.1)])
    assert ended_by([of(1.0, 0.1), of(1.0, 0.1)], 0.0) == "share"
    assert is_steady([of(1.0, 0.1), of(1.0, 0.1)])


def test_a_steady_model_takes_three_rounds() -> None:
    assert ended_by([of(0.1, 0.01)] * 2, LONG_JOB_S) is None
    assert ended_by([of(0.1, 0.01)] * 3, LONG_JOB_S) == "agreement"


def test_on_a_cpu_one_short_round_is_enough_for_a_small_job() -> None:
    """The round generates two tokens; a job of many batches continues until timings are steady."""
    short = Round(0.13, 0.1, 0.03, tokens=2)
    assert short.next_s == pytest.approx(0.13 + 7 * 0.03)
    assert ended_by([short], short.expected_s(64, 1), FEWEST_ON_CPU) == "share"
    assert ended_by([short], short.expected_s(64, 10), FEWEST_ON_CPU) is None
    assert ended_by([short], short.expected_s(64, 1)) is None
