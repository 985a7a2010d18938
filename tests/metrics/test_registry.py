"""The metric registry: names, aliases, and a metric that a single new file adds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hforch.metrics.metric import Metric
from hforch.metrics.registry import AGAINST_BASELINE, ALL, BY_NAME, COMPARED, ON_TEXT, TIMINGS, find, names

NEW = """
from hforch.metrics.metric import Absent, Measured, Metric

METRICS = (
    Metric(
        name="tokens_per_mb", title="tokens per MB", unit="1/MB", digits=2, better="higher", level="job", kind="memory",
        definition="output tokens / disk_mb", aliases=("tokens_a_mb",),
    ),
)
"""
USE = """
import io, json, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from hforch.metrics import catalog
catalog.__path__.append({folder!r})
from written import answers, precision, write_job
from hforch.cli import main
from hforch.commands._comparison_flags import metrics_help
from hforch.comparison.bounds import read_bounds
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.metrics.docs import tables as docs
from hforch.report.comparison import to_markdown
from hforch.report.export import to_csv
from hforch.report.page.metrics import described, ordered
from hforch.records.damage import record_flaws as flaws
folder = Path({folder!r})
for number, value in enumerate((3.0, 4.5)):
    metrics = {{"tokens_per_s": 1.0, "tokens_per_mb": value, "absent": {{}}}}
    write_job(folder / "s" / str(number), answers(("a", [1])), **precision(["fp32", "int8"][number]), metrics=metrics)
found = compare(read_jobs([folder / "s"]))
print(json.dumps({{
    "help": "tokens_per_mb" in metrics_help(),
    "bound": read_bounds(["tokens_a_mb>=4"])[0].metric,
    "csv": to_csv(found).splitlines()[0].split(","),
    "markdown": to_markdown(found),
    "docs": [name for name, table in docs().items() if "`tokens_per_mb`" in table],
    "page": [one["title"] for one in map(described, ordered(()))],
    "flaws": flaws({{"status": "ok", "metrics": {{"tokens_per_mb": "many"}}}}),
    "code": main(["compare", str(folder / "s"), "--optimize", "tokens_a_mb", "--output", str(folder / "out.txt")]),
}}))
"""


def test_names_and_aliases_are_unique() -> None:
    every = [name for metric in ALL for name in (metric.name, *metric.aliases)]
    assert len(every) > 30
    assert len(every) == len(set(every))


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: str(metric.name))
def test_every_metric_is_described(metric: Metric) -> None:
    assert metric.title and metric.definition and not metric.definition.endswith(".")
    assert metric.timing in ("", *TIMINGS) and bool(metric.timing) == (metric.level == "sample")
    assert not metric.is_share or metric.unit in ("%", "")
    assert metric.unit != "%" or metric.is_share


def test_a_former_name_finds_the_metric() -> None:
    pairs = {"identical": "exact_match", "divergence": "first_diff", "divergence_share": "first_diff_share"}
    assert {was: found.name for was in pairs if (found := find(was))} == pairs
    assert find("exact_match") is BY_NAME["exact_match"]
    assert find("measured_s") is None and find("nothing") is None  # the first is only in records
    assert not {"identical", "divergence", "measured_s"} & set(names())


def test_the_parts_of_scoring_share_no_metric() -> None:
    assert {one.name for one in AGAINST_BASELINE} == {"kl_mean", "kl_p99", "kl_max", "top1_agreement", "flips_early"}
    assert {one.name for one in ON_TEXT} == {"ppl", "bits_per_byte"}


def test_speed_and_energy_are_lost_on_a_shared_gpu() -> None:
    lost = {one.name for one in COMPARED if one.is_lost_on_shared_gpu}
    assert {"tokens_per_s", "ttft_ms", "ttft_p95_ms", "load_s", "joules_per_token"} <= lost
    assert not {"peak_rss_mb", "disk_mb", "kl_mean", "exact_match", "failed"} & lost


def test_a_value_is_read_under_its_former_name_too() -> None:
    metric = Metric(
        **{"name": "new", "title": "new", "unit": "", "digits": 1, "better": "higher", "level": "job"},  # type: ignore[arg-type]
        **{"kind": "quality", "definition": "new", "section": "a.b", "aliases": ("old",), "has_error": True},  # type: ignore[arg-type]
    )
    assert metric.read({"a": {"b": {"old": 2.0, "old_se": 0.5}}}) == 2.0
    assert metric.read_error({"a": {"b": {"old": 2.0, "old_se": 0.5}}}) == 0.5
    assert metric.read({"a": {"b": {"old": 2.0, "new": 3.0}}}) == 3.0
    assert metric.read({"a": None}) is None and metric.read({}) is None


def test_one_file_adds_a_metric_everywhere(tmp_path: Path) -> None:
    (tmp_path / "extra.py").write_text(NEW, encoding="utf-8")
    program = USE.format(folder=str(tmp_path), tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    found = json.loads(done.stdout)
    assert found["help"] and found["bound"] == "tokens_per_mb" and "tokens_per_mb" in found["csv"]
    assert "| tokens per MB 1/MB |" in found["markdown"] and "4.50" in found["markdown"]
    assert found["docs"] == ["jobs", "compared"] and "tokens per MB" in found["page"]
    assert "metrics.tokens_per_mb" in found["flaws"][0]
    assert found["code"] == 0 and "with the highest tokens_per_mb: 4.50" in (tmp_path / "out.txt").read_text(
        encoding="utf-8"
    )
    assert "metric tokens_a_mb was renamed to tokens_per_mb" in done.stderr
