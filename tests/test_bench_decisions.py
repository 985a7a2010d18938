"""The simulations of decisions: noise that is drawn in turns, components of variance, covariates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest

from bench.decisions.coverage import interval_of
from bench.decisions.metrics import METRICS
from bench.decisions.null import fixed, looked, peeking, tolerated, unpaired
from bench.decisions.stopping import decide
from bench.decisions.streams import Noise, blocks, bursty, centred, in_turns, modelled, one_after_the_other, recorded
from bench.noise.report import reduction
from bench.noise.series import RECORDED, Recording, Series, components, load, load_effect, save

RANDOM = numpy.random.default_rng


def pair(one: list[float], other: list[float]) -> Series:
    """Return a pair of loads that were measured in turns, with these ln(tokens/s)."""
    loads, speeds = [], []
    for number, both in enumerate(zip(one, other, strict=True)):
        order = (1, 0) if number % 2 else (0, 1)
        loads += order
        speeds += [math.exp(both[at]) for at in order]
    zeros = [0.0] * len(loads)
    return Series("openvino", "pair", loads, zeros, [2.0] * len(loads), speeds, [50.0] * len(loads), zeros)


def test_jobs_take_turns() -> None:
    counted = Noise("counted", lambda _, n: numpy.arange(float(n)))
    assert in_turns(counted, RANDOM(0), 3).tolist() == [[0, 3, 4], [1, 2, 5]]
    assert in_turns(counted, RANDOM(0), 2, jobs=3).tolist() == [[0, 5], [1, 4], [2, 3]]
    assert one_after_the_other(counted, RANDOM(0), 3).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_gap_makes_the_first_job_faster() -> None:
    silent = Noise("silent", lambda _, n: numpy.zeros(n))
    assert in_turns(silent, RANDOM(0), 2, gap=0.2).tolist() == [[math.log1p(0.2)] * 2, [0, 0]]


def test_blocks_keep_the_order_of_the_recording() -> None:
    drawn = blocks([list(range(100)), list(range(1000, 1100))])(RANDOM(0), 20)
    assert len(drawn) == 20
    assert all((numpy.diff(drawn[start : start + 8]) == 1).all() for start in (0, 8, 16))


def test_noise_has_no_difference_of_loads_unless_it_is_asked_for() -> None:
    one = pair([0.1, 0.2, 0.3, 0.4, 0.5], [1.1, 1.2, 1.3, 1.4, 1.5])
    assert centred(one) == pytest.approx([-0.2, -0.2, -0.1, -0.1, 0, 0, 0.1, 0.1, 0.2, 0.2])
    logs = in_turns(Noise("loads", lambda _, n: numpy.zeros(n), load_effect=0.1), RANDOM(0), 4)
    assert (logs[0] == logs[0, 0]).all() and logs[0, 0] != logs[1, 0]


def test_a_bursty_machine_is_busy_half_of_the_time() -> None:
    logs = bursty(RANDOM(0), 20_000)
    assert (logs < math.log(0.85)).mean() == pytest.approx(0.5, abs=0.06)


def test_components_of_variance_are_found() -> None:
    random = RANDOM(0)
    groups = [(random.normal(0, 0.2) + random.normal(0, 0.1, 20)).tolist() for _ in range(200)]
    found = components(groups)
    assert (found.within, found.between) == pytest.approx((0.1, 0.2), rel=0.1) and found.p < 1e-6


def test_loads_that_differ_are_distinguished_from_loads_that_do_not() -> None:
    random = RANDOM(0)

    def pairs(apart: float) -> list[Series]:
        made = []
        for _ in range(50):
            effect = random.normal(0, apart) if apart else 0.0
            made.append(pair((effect + random.normal(0, 0.1, 16)).tolist(), random.normal(0, 0.1, 16).tolist()))
        return made

    assert load_effect(pairs(0.2)).between == pytest.approx(0.2, rel=0.25)
    assert load_effect(pairs(0.0)).p > 0.01


def test_a_covariate_that_explains_everything_leaves_nothing() -> None:
    ratios, unrelated = RANDOM(0).normal(0, 0.1, (2, 30)).tolist()
    before, after = reduction(ratios, [2 * one for one in ratios])
    assert before == pytest.approx(numpy.var(ratios, ddof=1)) and after == pytest.approx(0)
    before, after = reduction(ratios, unrelated)
    assert after == pytest.approx(before, rel=0.15)


def test_a_recording_is_stored_and_read(tmp_path: Path) -> None:
    recording = Recording("a machine", "2026-01-31", [pair([0.1, 0.2], [0.3, 0.4])])
    save(recording, tmp_path / "recorded.json")
    assert load(tmp_path / "recorded.json") == recording


def test_the_stored_recording_has_every_backend_and_is_small() -> None:
    assert {noise.name for noise in recorded(load())} == {"pytorch", "openvino", "openvino_genai"}
    assert RECORDED.stat().st_size < 100_000


@pytest.mark.parametrize("noise", modelled(), ids=lambda noise: str(noise.name))
def test_methods_find_a_large_gap_in_any_noise(noise: Noise) -> None:
    logs = in_turns(noise, RANDOM(0), 60, gap=0.5)
    assert fixed(logs) and looked(logs) and peeking(logs) and unpaired(logs)
    verdict, rounds = decide(logs)
    assert verdict == "better" and rounds < 60


def test_5_percent_of_200_may_be_exceeded_by_chance() -> None:
    assert tolerated(200) == 15 and tolerated(20) == 3


@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_the_value_that_is_claimed(name: str) -> None:
    random = RANDOM(0)
    means = []
    for _ in range(200):
        jobs, true = METRICS[name](random, 1_000)
        ratios = [sums.sum() / weights.sum() for sums, weights in jobs]
        means.append(ratios[0] - (ratios[1] if len(ratios) > 1 else 0) - true)
    assert abs(numpy.mean(means)) <= 4 * numpy.std(means) / math.sqrt(len(means))
    assert interval_of(METRICS[name](random, 50)[0]) is not None
