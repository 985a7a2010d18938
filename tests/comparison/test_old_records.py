"""Comparison and report of a sweep that was recorded before the metric registry existed (tests/comparison/recorded)."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hforch import cli
from hforch.comparison.decision import Criteria
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import Comparison, compare
from hforch.metrics.registry import find
from hforch.report.comparison import to_markdown
from hforch.report.export import to_csv
from hforch.report.page.collect import collect
from hforch.report.page.first_pass import first_pass

RECORDED = Path(__file__).parent / "recorded"
THEN: list[dict[str, Any]] = json.loads((RECORDED / "comparison.json").read_text(encoding="utf-8"))["rows"]
"""The rows of the comparison that hforch wrote at that time."""


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(read_jobs([RECORDED]))


def name_of_today(name: str) -> str:
    base = name.removesuffix("_se")
    metric = find(base)
    assert metric is not None
    return metric.error_name if base != name else metric.name


def test_every_metric_has_its_former_value(found: Comparison) -> None:
    assert len(found.rows) == len(THEN) == 2
    for row, then in zip(found.rows, THEN, strict=True):
        assert len(then["metrics"]) > 25
        now = {name: row.metrics[name_of_today(name)] for name in then["metrics"]}
        assert now == then["metrics"]
        assert (row.notes, row.axes, row.baseline, row.unit) == tuple(
            then[name] for name in ("notes", "axes", "baseline", "unit")
        )


def test_metrics_that_were_not_recorded_are_computed_from_the_samples(found: Comparison) -> None:
    metrics = found.rows[1].metrics
    assert metrics["ttft_p95_ms"] == THEN[1]["metrics"]["ttft_p95_ms"] is not None
    assert metrics["queue_ms"] is not None and found.rows[1].quantiles["ttft_ms"][2] == metrics["ttft_ms"]


def test_values_of_old_names_are_found_under_new_names(found: Comparison) -> None:
    then = THEN[1]["metrics"]
    assert found.rows[1].metrics["exact_match"] == then["identical"] is not None
    assert found.rows[1].metrics["first_diff"] == then["divergence"] is not None


def test_an_old_sweep_is_exported_in_every_format(found: Comparison) -> None:
    header, *_ = csv.reader(io.StringIO(to_csv(found)))
    assert {"exact_match", "first_diff", "kl_mean", "kl_mean_se", "ttft_p95_ms"} <= set(header)
    markdown = to_markdown(found)
    assert "| tokens/s |" in markdown and "| exact match |" in markdown and "95% interval" in markdown
    entries, seen = first_pass(read_jobs([RECORDED]))
    summary = collect(compare(entries), seen, [], None, Criteria(), None).summary
    titles = {one["title"] for one in summary["charts"]}
    assert {"TTFT", "TPOT", "KL divergence (mean)", "Throughput and KL divergence (mean)"} <= titles
    assert "exact match" in {one["title"] for one in summary["metrics"]}


def test_requirements_with_old_names_decide_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    bound = THEN[1]["metrics"]["identical"]
    assert cli.main(["compare", str(RECORDED), "--require", f"identical>={bound}", "--optimize", "divergence"]) == 0
    assert "qualified: 0, 1" in capsys.readouterr().out


def test_a_report_of_an_old_sweep_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(RECORDED, tmp_path / "sweep")
    assert cli.main(["report", str(tmp_path / "sweep"), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").stat().st_size > 100_000
