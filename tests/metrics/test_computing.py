"""Metrics that are computed from a measured job, and what becomes of those that cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hforch.config.compose import job_from_overrides
from hforch.metrics import computing
from hforch.metrics.metric import Absent, Measured
from hforch.metrics.registry import BY_NAME
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher


def answered(measured: Measured) -> float:
    return float(sum(sample["error"] is None for sample in measured.samples))


def lacking(measured: Measured) -> float:
    raise Absent("nobody knows")


def broken(measured: Measured) -> float:
    return float(measured.record["nothing"])


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = BY_NAME["disk_mb"]
    made = {"answered": answered, "lacking": lacking, "broken": broken}
    metrics = tuple(replace(usual, name=name, compute=compute) for name, compute in made.items())
    monkeypatch.setattr(computing, "ALL", (usual, *metrics))


def test_a_metric_that_cannot_be_computed_is_absent_with_the_reason(three: None) -> None:
    found = computing.computed(Measured({}, [{"error": None}, {"error": {}}], None))
    assert found == {
        "answered": 1.0,
        "absent": {"lacking": "nobody knows", "broken": "it could not be computed: KeyError: 'nothing'"},
    }


def test_a_run_records_them_beside_those_that_it_measured(three: None, tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline")
    assert run(job_from_overrides(words), tmp_path, JobContext(words), NullWatcher()) == 0
    record = read_record(tmp_path)
    metrics = record["metrics"]
    assert metrics["answered"] == record["totals"]["samples"] and metrics["tokens_per_s"] > 0
    assert metrics["absent"]["lacking"] == "nobody knows" and "energy_j" in metrics["absent"]
