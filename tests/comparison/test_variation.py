"""The variation of a job's speed between repeats, rounds and loads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from written import answers, precision, write_job

from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.comparison.variation import variation_line, variation_of


def entry(number: int, load: int, *speeds: float, **more: Any) -> dict[str, Any]:
    middle = sorted(speeds)[len(speeds) // 2]
    return {"round": number, "load": load, "tokens_per_s": middle, "tokens_per_s_each": list(speeds), **more}


def test_repeats_rounds_and_loads_are_kept_apart() -> None:
    e = math.exp
    rounds = [
        entry(0, 0, e(1.0), e(1.1), e(1.2)),
        entry(1, 0, e(2.0), e(2.1), e(2.2)),
        entry(2, 1, e(5.0), e(5.1), e(5.2)),
        entry(3, 1, e(6.0), e(6.1), e(6.2)),
    ]
    found = variation_of({"rounds": rounds})
    assert found.repeats == pytest.approx(0.1)
    assert found.rounds == pytest.approx(math.sqrt(0.5))
    assert found.loads == pytest.approx(4 / math.sqrt(2))


def test_incomplete_rounds_and_single_measurements_have_no_variation() -> None:
    alone = variation_of({"rounds": [entry(0, 0, 10.0), entry(1, 0, 20.0, incomplete=True)]})
    assert (alone.repeats, alone.rounds, alone.loads) == (None, None, None)
    assert variation_of({}) == alone


def test_the_line_states_ranges_and_that_one_load_hides_the_others(tmp_path: Path) -> None:
    for name, factor in (("fp32", 1.1), ("int8", 1.2)):
        told = [entry(0, 0, 10.0), entry(1, 0, 10.0 * factor)]
        write_job(tmp_path / name, answers(("a", [1])), **precision(name), rounds=told, interleaved=True)
    rows = compare(read_jobs([tmp_path])).rows
    assert variation_line(rows) == (
        "standard deviation of tokens/s, depending on the job (qualified jobs only): 6.7% to 12.9% between rounds; each"
        " model was loaded only once, so this does not include differences between loads"
    )
    assert variation_line([]) is None
