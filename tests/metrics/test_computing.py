"""Metrics that are computed from a measured job, and the reasons for those that cannot be computed."""

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
    raise Absent("not measured")


def broken(measured: Measured) -> float:
    return float(measured.record["nothing"])


def endless(measured: Measured) -> float:
    return float("inf")


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = BY_NAME["disk_mb"]
    made = {"mbu": answered, "energy_j": lacking, "power_w": broken, "joules_per_token": endless}
    metrics = tuple(replace(BY_NAME[name], compute=compute) for name, compute in made.items())
    monkeypatch.setattr(computing, "ALL", (usual, *metrics))


def test_a_metric_that_cannot_be_computed_is_absent_with_the_reason(four: None) -> None:
    found = computing.computed(Measured({}, [{"error": None}, {"error": {}}], None))
    assert found == {
        "mbu": 1.0,
        "absent": {
            "energy_j": "not measured",
            "power_w": "computation failed: KeyError: 'nothing'",
            "joules_per_token": "the value is inf",
        },
    }


def test_a_run_records_computed_and_measured_metrics(four: None, tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline")
    assert run(job_from_overrides(words), tmp_path, JobContext(words), NullWatcher()) == 0
    record = read_record(tmp_path)
    metrics = record["metrics"]
    assert metrics["mbu"] == record["totals"]["samples"] and metrics["tokens_per_s"] > 0
    assert metrics["absent"]["energy_j"] == "not measured" and "joules_per_token" in metrics["absent"]
