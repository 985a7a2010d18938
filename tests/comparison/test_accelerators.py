"""Comparisons of energy, of jobs that shared a GPU, and of machines in older records."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from written import answers, precision, rounds, write_job

from hforch import cli
from hforch.comparison.bounds import read_bounds
from hforch.comparison.decision import Criteria, Decision, decide
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.report.comparison import to_markdown
from hforch.report.comparison_tables import tables
from hforch.report.export import to_csv, to_data
from hforch.report.page.charts import charts
from hforch.report.page.collect import collect
from hforch.report.page.first_pass import first_pass

REASON = "1 other process used cuda:0 at the same time"
SHARED = {"shared_accelerator": REASON}


def job(directory: Path, name: str, speed: float, memory: float, joules: float | None = None, **more: Any) -> None:
    energy = {} if joules is None else {"energy_j": joules, "joules_per_token": joules / 100, "power_w": 250.0}
    fields: dict[str, Any] = {**rounds(speed, **energy), "memory": {"peak_rss_mb": memory, "absent": {}}, **more}
    write_job(directory, answers(("a", [1])), **precision(name), **fields)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of three jobs; the fastest, which uses the least energy, shared its GPU."""
    job(tmp_path / "s" / "0", "fp32", 10.0, 900.0, 30.0)
    job(tmp_path / "s" / "1", "int8", 20.0, 500.0, 20.0)
    job(tmp_path / "s" / "2", "int4", 99.0, 600.0, 1.0, **SHARED)
    return tmp_path / "s"


def decided(directory: Path, *bounds: str, optimize: str = "tokens_per_s") -> Decision:
    return decide(compare(read_jobs([directory])), read_bounds(bounds), [optimize])


def test_a_job_that_shared_its_gpu_is_not_the_fastest(sweep: Path) -> None:
    found = decided(sweep)
    assert found.winner is not None
    assert found.winner.entry.name == "1"
    assert found.reason.endswith("; not ranked: 1 measured on a shared GPU")


@pytest.mark.parametrize("metric", ["energy_j", "joules_per_token"])
def test_a_job_that_shared_its_gpu_is_not_the_most_efficient(metric: str, sweep: Path) -> None:
    found = decided(sweep, optimize=metric)
    assert found.winner is not None
    assert found.winner.entry.name == "1"


def test_memory_is_ranked_on_a_shared_gpu(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 900.0)
    job(tmp_path / "1", "int8", 20.0, 500.0, **SHARED)
    found = decided(tmp_path, "peak_rss_mb<=600", optimize="peak_rss_mb")
    assert found.winner is not None
    assert found.winner.entry.name == "1"


@pytest.mark.parametrize("bound", ["tokens_per_s>=1", "ttft_ms<=1000", "energy_j<=1000", "power_w<=1000"])
def test_a_job_that_shared_its_gpu_meets_no_requirement_on_speed_or_energy(bound: str, sweep: Path) -> None:
    found = decided(sweep, bound)
    assert [row.entry.name for row in found.qualified] == ["0", "1"]
    ((row, (why,)),) = found.refused
    assert row.entry.name == "2"
    assert why == f"{read_bounds([bound])[0].metric} was measured on a shared GPU: {REASON}"


def test_speed_on_a_shared_gpu_does_not_count_in_the_pareto_set(sweep: Path) -> None:
    assert [row.entry.name for row in decided(sweep).pareto] == ["1"]


def test_no_job_is_recommended_if_all_shared_a_gpu(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 900.0, **SHARED)
    job(tmp_path / "1", "int8", 20.0, 500.0, **SHARED)
    found = decided(tmp_path)
    assert found.winner is None
    assert "tokens_per_s was measured on a shared GPU in all of them" in found.reason
    assert "no job qualifies: no job has a usable value for tokens_per_s" in decided(tmp_path, "tokens_per_s>=1").reason


def test_the_row_of_a_job_that_shared_its_gpu_states_the_reason(sweep: Path) -> None:
    comparison = compare(read_jobs([sweep]))
    said = f"not ranked by speed or energy: {REASON}"
    assert [said in row.notes for row in comparison.rows] == [False, False, True]
    assert said in to_markdown(comparison)
    assert [row["shared_accelerator"] for row in to_data(comparison)["rows"]] == [None, None, REASON]


# ---------------------------------------------------------------- energy
def columns(directory: Path) -> list[str]:
    return [name for headers, _ in tables(compare(read_jobs([directory]))) for name in headers]


def test_energy_has_columns_if_a_job_has_it(sweep: Path, tmp_path: Path) -> None:
    assert {"energy J", "J/token", "power W"} <= set(columns(sweep))
    job(tmp_path / "cpu" / "0", "fp32", 10.0, 900.0)
    assert not {"energy J", "J/token", "power W"} & set(columns(tmp_path / "cpu"))
    comparison = compare(read_jobs([sweep, tmp_path / "cpu"]))
    (costs, cells), *_ = tables(comparison)
    assert [row[costs.index("energy J")] for row in cells] == ["30.0", "20.0", "1.0", ""]
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert [row["joules_per_token"] for row in rows] == ["0.3", "0.2", "0.01", ""]


def test_energy_can_be_required_and_optimized(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(sweep), "--require", "energy_j<=25", "--optimize", "joules_per_token"]) == 0
    assert "recommended: job 1" in capsys.readouterr().out
    assert cli.main(["compare", str(sweep), "--require", "energy_j<=5"]) == 3
    assert "energy_j=20, required: <=5" in capsys.readouterr().out


def test_energy_with_and_without_the_cpu_packages_is_not_ranked_together(tmp_path: Path) -> None:
    counted = {
        "0": None,
        "1": ["cuda:0"],
        "2": ["cuda:1", "package-0"],
        "3": ["package-0"],
        "4": ["package-0", "package-1"],
    }
    for number, (name, devices) in enumerate(counted.items()):
        metrics = {"tokens_per_s": 1.0, "energy_j": 10.0 + number, "power_w": 5.0, "absent": {}}
        metrics |= {} if devices is None else {"energy_of": devices}  # older records counted GPUs only
        write_job(tmp_path / name, answers(("a", [1])), overrides=[f"prompt={name}"], metrics=metrics)
    comparison = compare(read_jobs([tmp_path]))
    assert [row.counts_packages for row in comparison.rows] == [False, False, True, True, True]
    (note,) = [note for note in comparison.notes if "energy" in note]
    assert note.startswith("energy covers only the GPUs in some jobs (0, 1); it is not comparable")
    found = decided(tmp_path, optimize="energy_j")
    assert found.winner is not None and found.winner.entry.name == "2"
    assert "not ranked: 2 whose energy covers different devices" in found.reason
    assert "different devices" not in decided(tmp_path, optimize="tokens_per_s").reason


def test_a_job_without_energy_meets_no_requirement_on_it(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 900.0)
    ((_, why),) = decided(tmp_path, "energy_j<=5").refused
    assert why == ["energy_j is not available"]


def test_the_page_data_marks_a_job_that_shared_its_gpu(sweep: Path) -> None:
    entries, seen = first_pass(read_jobs([sweep]))
    summary = collect(compare(entries), seen, [], None, Criteria(), None).summary
    assert [one["is_shared"] for one in summary["jobs"]] == [False, False, True]
    alone = {one["name"]: one["alone"] for one in summary["metrics"]}
    assert (alone["tokens_per_s"], alone["energy_j"], alone["peak_rss_mb"]) == (True, True, False)
    assert [one["unit"] for one in summary["metrics"] if one["name"] == "joules_per_token"] == ["J"]


def test_the_speed_chart_omits_a_job_that_shared_its_gpu(tmp_path: Path) -> None:
    for number, (name, more) in enumerate({"fp32": {}, "int8": {}, "int4": SHARED}.items()):
        scores = {"scores": {"metrics": {"kl_mean": 0.1 * number}, "against_baseline": {"baseline": "../0"}}}
        job(tmp_path / str(number), name, 10.0 + number, 500.0, **more, **(scores if number else {}))
    comparison = compare(read_jobs([tmp_path]))
    for row, kl in zip(comparison.rows, (0.0, 0.1, 0.2), strict=True):
        row.metrics["kl_mean"] = kl
    speed, memory = charts(comparison)[:2]
    assert "int4" not in str(speed["spec"]) and "int8" in str(speed["spec"])
    assert "int4" in str(memory["spec"])


# ---------------------------------------------------------------- machines
def test_gpus_in_older_records_and_in_any_order_identify_the_same_machine(tmp_path: Path) -> None:
    cpu = {"name": "a cpu", "usable_cores": 2}
    described = [{"name": "B200", "id": "0a"}, {"name": "A100", "id": "1b", "absent": {"ecc": "no permission"}}]
    for number, cards in enumerate([["A100", "B200"], described, ["A100"]]):
        environment = {"packages": {}, "cpu": cpu, "accelerators": cards}
        job(tmp_path / str(number), "fp32", 10.0 + number, 1.0, environment=environment)
    sites = [row.measured_on for row in compare(read_jobs([tmp_path])).rows]
    assert sites[0] == sites[1] != sites[2]


def test_a_record_whose_machine_could_not_be_described_is_compared(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 1.0, environment={"absent": {"cpu": "OSError: no", "accelerators": "no"}})
    (row,) = compare(read_jobs([tmp_path])).rows
    assert row.measured_on == ("unknown CPU, ? cores", False)
