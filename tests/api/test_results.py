"""The results of the Python API: tables in notebooks, pandas, and comparisons."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from command_line import hforch
from test_running import FAST

import hforch as api
from hforch.api.progress import in_notebook
from hforch.errors import ConfigError, HforchError


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("api") / "sweep"
    return api.sweep(**FAST, inputs=["<b>one", "two"], stop="none,newline", precision=["fp32", "int8"],
                     checks=[{"max_tokens": 1}], directory=directory)  # fmt: skip


def test_a_comparison_has_rows_and_a_baseline(swept: Any) -> None:
    found = api.compare(swept.directory, baseline={"backend": "fake"})
    assert [row.entry.name for row in found.rows] == [row.entry.name for row in swept.comparison.rows]
    assert found.decision is None and found.winner is None
    assert api.compare(swept).rows == api.compare([str(swept.directory)]).rows
    for job in swept:
        assert api.compare(job).rows[0].entry.record == job.record


def test_a_comparison_decides_like_the_command_line(swept: Any) -> None:
    found = api.compare(swept, require=["failed<=0"], optimize=["load_s", "disk_mb"], margin=0)
    best = min(found.rows, key=lambda row: row.metrics["load_s"] or 0)
    assert found.winner is best and found.decision is not None and found.decision.reason
    none = api.compare(swept, require="checks>=0.5")
    assert none.winner is None and none.decision is not None and not none.decision.qualified
    assert "no job qualifies" in none.decision.reason
    hforch("compare", str(swept.directory), "--require", "checks>=0.5", code=3)


def test_all_errors_of_a_comparison_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as found:
        api.compare(
            tmp_path / "none", baseline="x", require="chekcs>=1", optimize="speeed", worst=-1, confidence=2, margin=-1
        )
    text = str(found.value)
    assert "directory not found" in text and "worst must be at least 0" in text
    assert "confidence must be at least 0.5" in text and "margin must be at least 0" in text
    assert "set in require='chekcs>=1'" in text and "set in optimize='speeed'" in text
    with pytest.raises(ConfigError, match="compare requires a directory"):
        api.compare()


def test_results_are_tables_in_a_notebook(swept: Any) -> None:
    page = swept.jobs[0]._repr_html_()
    assert page.count("<tr>") == 3 and "&lt;b&gt;one" in page and "<b>one" not in page
    assert "checks" in page and str(swept.jobs[0].directory) in page
    for result in (swept, swept.comparison, api.compare(swept, optimize="tokens_per_s")):
        page = result._repr_html_()
        assert "tokens/s" in page and page.count("<table>") >= 2
        assert all(f">{row.entry.name}</td>" in page for row in swept.comparison.rows)
    decided = api.compare(swept, optimize="peak_rss_mb")
    assert decided.winner is not None and f"job {decided.winner.entry.name} (" in decided._repr_html_()


def test_results_have_a_short_repr(swept: Any) -> None:
    assert repr(swept).startswith("SweepResult(4 jobs; ") and f"results: {swept.directory}" in repr(swept)
    found = api.compare(swept, optimize="tokens_per_s")
    assert repr(found).startswith("ComparisonResult(4 jobs; ") and found.decision.reason in repr(found)
    assert repr(found.rows[0]).startswith(f"Row('{found.rows[0].entry.name} ")
    assert all(len(repr(result)) < 1000 for result in (swept, found, *found.rows, found.rows[0].entry))


def test_only_the_first_rows_are_shown(tmp_path: Path) -> None:
    found = api.run(**FAST, inputs=[f"input {n}" for n in range(60)], directory=tmp_path / "run")
    page = found._repr_html_()
    assert page.count("<tr>") == 51 and "10 more rows" in page


def test_without_pandas_the_error_names_the_extra(swept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for result in (swept, swept.comparison, swept.jobs[0]):
        with pytest.raises(HforchError, match=r"requires pandas.*\n.*pip install 'hforch\[pandas\]'"):
            result.to_pandas()


@pytest.fixture(params=["real", "stand-in"])
def pandas(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pandas, or a module whose DataFrame stores the rows, as pandas is not a dependency of the tests."""
    if request.param == "real":
        return pytest.importorskip("pandas")
    module = ModuleType("pandas")
    module.DataFrame = lambda rows: SimpleNamespace(  # type: ignore[attr-defined]
        to_dict=lambda orient: rows, columns=list(dict.fromkeys(name for row in rows for name in row))
    )
    monkeypatch.setitem(sys.modules, "pandas", module)
    return module


def test_samples_and_jobs_become_rows_of_pandas(swept: Any, pandas: Any) -> None:
    rows = swept.jobs[0].to_pandas().to_dict("records")
    assert [row["input"] for row in rows] == ["<b>one", "two"]
    assert [row["text"] for row in rows] == swept.jobs[0].answers
    assert [row["checks_passed"] for row in rows] == [0, 0] and [row["checks"] for row in rows] == [1, 1]
    assert all(row["latency_ms"] > 0 and row["error"] is None for row in rows)
    table = swept.to_pandas()
    csv = hforch("compare", str(swept.directory), "--format", "csv").stdout
    assert list(table.columns) == csv.splitlines()[0].split(",")
    assert [row["tokens_per_s"] for row in table.to_dict("records")] == [job.metrics["tokens_per_s"] for job in swept]


def test_a_notebook_is_recognized_by_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()


def test_progress_is_shown_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("hforch.api.progress.in_notebook", lambda: True)
    api.run(**FAST, inputs=["a"], directory=tmp_path / "run")
    assert "1/1" in capsys.readouterr().err
