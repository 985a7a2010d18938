"""The order in which jobs take turns."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hforch.load_profiles.base import Batch
from hforch.records.rounds import Round
from hforch.runs.rounds import counted, in_rounds, measured, speeds_of
from hforch.runs.schedule import turns

JOBS = ["A", "B", "C", "D"]


def test_the_order_alternates() -> None:
    assert [turns(JOBS[:3], number) for number in range(3)] == [["A", "B", "C"], ["C", "B", "A"], ["A", "B", "C"]]


def test_each_job_is_before_and_after_each_other_one_equally_often() -> None:
    before = Counter(pair for number in range(6) for pair in combinations(turns(JOBS, number), 2))
    assert set(before.values()) == {3} and len(before) == 12


def test_the_mean_place_of_all_jobs_is_the_same() -> None:
    places: dict[str, list[int]] = {}
    for at, job in enumerate([job for number in range(2) for job in turns(JOBS, number)]):
        places.setdefault(job, []).append(at)
    assert {sum(found) for found in places.values()} == {7}


def test_repeats_are_counted_over_all_rounds() -> None:
    plan = [Batch(repeat, index, []) for repeat in (0, 1) for index in (0, 1)]
    found = in_rounds(plan, repeats=2, rounds=3)
    assert [(one.round, one.repeat) for one in found[::2]] == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)]


def sample(repeat: int, tokens: int | None = 10) -> dict[str, object]:
    return {"error": None, "repeat": repeat, "output_tokens": tokens}


def test_the_speed_of_a_round_is_the_median_of_its_repeats() -> None:
    found = measured(Round(round=1, load=0), [sample(2), sample(3)], {2: 1.0, 3: 2.0}, is_whole=True)
    assert (found.seconds, found.output_tokens, found.tokens_per_s) == (3.0, 20, 7.5)
    assert found.tokens_per_s_each == [10.0, 5.0] and found.incomplete is None


def test_an_incomplete_round_counts_only_if_no_other_does() -> None:
    whole = measured(Round(round=0, load=0), [sample(0)], {0: 1.0}, is_whole=True)
    part = measured(Round(round=1, load=1), [sample(1)], {1: 0.5}, is_whole=False)
    begun = Round(round=2, load=1)
    assert speeds_of(counted([whole, part, begun])) == [10.0]
    assert speeds_of(counted([part, begun])) == [20.0]


def test_a_round_with_unknown_tokens_has_no_speed() -> None:
    found = measured(Round(round=0, load=0), [sample(0, None)], {0: 1.0}, is_whole=True)
    assert found.tokens_per_s is None and "output_tokens" not in found.dump()
