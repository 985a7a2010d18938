"""The intervals of metrics in the record of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hforch.config.compose import job_from_overrides
from hforch.metrics.registry import COMPARED
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

WORDS = ("backend=fake", "inputs=facts", "checks=contains_expected", "runtime.display=none", "runtime.isolation=inline")


def recorded(tmp_path: Path, *words: str) -> dict:  # type: ignore[type-arg]
    overrides = (*WORDS, *words)
    assert run(job_from_overrides(overrides), tmp_path, JobContext(overrides), NullWatcher()) == 0
    return read_record(tmp_path)


@pytest.mark.parametrize("rounds", [1, 3])
def test_each_metric_has_an_interval_or_the_reason_why_it_has_none(tmp_path: Path, rounds: int) -> None:
    record = recorded(tmp_path, f"runtime.rounds={rounds}")
    known = {metric.name for metric in COMPARED if metric.read(record) is not None} | {"checks"}
    assert record["intervals"].keys() == known
    for one in record["intervals"].values():
        assert ("absent" in one) != ("low" in one)
        assert "absent" in one or (one["confidence"] == 0.95 and one["units"] > 1 and one["low"] <= one["high"])
    speed = record["intervals"]["tokens_per_s"]
    assert (speed.get("units"), "absent" in speed) == ((None, True) if rounds == 1 else (3, False))


def test_the_interval_of_checks_counts_inputs_and_not_repeats(tmp_path: Path) -> None:
    once, often = recorded(tmp_path / "once"), recorded(tmp_path / "often", "runtime.repeat=4")
    assert often["totals"]["checks"]["total"] == 4 * once["totals"]["checks"]["total"]
    assert often["intervals"]["checks"] == once["intervals"]["checks"]
