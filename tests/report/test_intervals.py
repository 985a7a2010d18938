"""Intervals, ties and undecided jobs in the report, in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Seen, open_page
from command_line import hforch
from measured import write_measured
from test_charts import TEXTS, overlaps, shown
from written import answers, precision, rounds, write_job

from hforch.comparison.decision import Criteria
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import Comparison, compare
from hforch.metrics.registry import BY_NAME
from hforch.report.page.chart_data import limit, valued
from hforch.report.page.charts import charts
from hforch.report.page.roles import MOST_RIVALS, evidence
from hforch.statistics.estimates import Estimate, Interval

GREEN, PURPLE = "#009E73", "#CC79A7"
ASKED = ("--optimize", "tokens_per_s", "--require", "checks>=0.75")
GEOMETRY = """() => [...document.querySelectorAll("table.jobs td:has(.whisker)")].map((cell) => {
    const parts = [".track", ".bar", ".whisker"].map((one) => cell.querySelector(one).getBoundingClientRect());
    return parts.map(({ left, right }) => [left, right]);
})"""


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sweep for each outcome, with its report."""
    parent, found = tmp_path_factory.mktemp("measured"), {}
    for outcome in ("winner", "tie", "undecided"):
        found[outcome] = write_measured(parent / outcome, outcome)
        hforch("report", str(found[outcome]), *ASKED)
    return found


def opened(browser: Any, directory: Path, **more: Any) -> Seen:
    return open_page(browser, directory / "report.html", **more)


def tagged(seen: Seen, tag: str) -> list[str]:
    """Return the jobs whose rows have a tag."""
    return seen.texts(f"table.jobs tbody tr:has(.tag:text-is('{tag}')) th button")


def of_charts(seen: Seen, title: str) -> tuple[list[str], set[tuple[str, str]]]:
    """Return the legend of a chart, and the color and shape of each of its marks."""
    chart = f"#charts figure:has-text('{title}') >> nth=0 >> svg"
    marks = seen.page.locator(f"{chart} path[aria-roledescription=point]").all()
    drawn = {(str(one.get_attribute("fill")), str(one.get_attribute("d"))) for one in marks}
    return shown(seen, f"{chart} .role-legend-label text"), drawn


# ---------------------------------------------------------------- the decision
def test_a_winner_is_marked_and_the_evidence_is_a_table(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["winner"], charts=False)
    assert "recommended: job 1 (precision=int8)" in seen.page.inner_text(".decision.winner > p")
    second, third = ([one.strip() for one in line.split("\t")] for line in seen.texts("table.evidence tbody tr"))
    assert [second[0], third[0]] == ["job 2 precision=int4", "job 0 precision=fp32"]
    for _, effect, p, conclusion in (second, third):
        assert re.fullmatch(r"\+\d+% \[\+\d+%, \+\d+%\]", effect) and p == "< 0.001" and conclusion == "job 1 is better"
    assert "95% interval" in seen.page.inner_text("table.evidence thead")
    assert tagged(seen, "recommended") == ["1"] and tagged(seen, "tie") == tagged(seen, "undecided") == []
    assert seen.is_quiet()


def test_jobs_that_tie_are_marked_as_one_group(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["tie"])
    assert "tie in tokens_per_s: jobs 1, 2" in seen.page.inner_text(".decision.tie > p")
    assert [line.split("\t")[-1] for line in seen.texts("table.evidence tbody tr")] == ["tie", "job 1 is better"]
    assert tagged(seen, "recommended") == ["2"] and tagged(seen, "tie") == ["1", "2"]
    assert seen.page.locator("table.jobs tr.tied").count() == 2
    assert seen.texts("table.answers thead th:has(.tag.tie) strong") == ["1", "2"]
    for title, others in {"Throughput and": ["Pareto set"], "Checks passed Higher": ["other"]}.items():
        legend, marks = of_charts(seen, title)
        assert legend == ["recommended", "tie", *others], title
        assert len([1 for color, _ in marks if color == GREEN]) == 2 and len(marks) == 3, title
    assert "≈ 1: int8" in shown(seen, "#charts svg text") and "★ 2: int4" in shown(seen, "#charts svg text")
    assert seen.is_quiet()


def test_no_job_is_recommended_if_the_decision_is_open(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["undecided"])
    assert "cannot determine which of jobs 1 or 2" in seen.page.inner_text(".decision.undecided > p")
    assert tagged(seen, "undecided") == ["1", "2"] and tagged(seen, "recommended") == tagged(seen, "tie") == []
    assert seen.page.locator(".tag.good:not(.check)").count() == 0
    for title, others in {"Throughput and": ["Pareto set"], "Checks passed Higher": ["other"]}.items():
        legend, marks = of_charts(seen, title)
        assert legend == ["undecided", *others] and {color for color, _ in marks} >= {PURPLE}, title
        assert GREEN not in {color for color, _ in marks}
    assert not [one for one in shown(seen, "#charts svg text") if "★" in one]
    assert seen.is_quiet()


@pytest.mark.parametrize(("outcome", "scheme"), [("tie", "light"), ("undecided", "light"), ("undecided", "dark")])
def test_axe_finds_no_serious_violation(browser: Any, sweeps: dict[str, Path], outcome: str, scheme: str) -> None:
    seen = opened(browser, sweeps[outcome], charts=False, color_scheme=scheme)
    assert seen.violations() == []


def test_requirements_that_are_not_shown_to_be_met_are_listed(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["winner"], charts=False)
    assert "Met, but not confirmed at 95% confidence:" in seen.page.inner_text(".decision .doubts")
    (line,) = seen.texts(".decision > ul li")
    assert re.match(r"job 2 \(precision=int4\): checks>=0.75: checks is 77%, with a 95% interval of \[59%, 88%\]", line)
    assert seen.texts("table.jobs tbody tr:has-text('not confirmed: checks>=0.75') th button") == ["2"]


def test_a_long_comparison_is_truncated(tmp_path: Path) -> None:
    for number in range(MOST_RIVALS + 3):
        job = {"runtime": {"seed": number}}
        typed = [f"runtime.seed={number}"]
        write_job(tmp_path / str(number), answers(("x", [1])), overrides=typed, job=job, **rounds(90.0 - number))
    decision = Criteria(optimize=["tokens_per_s"]).decide(compare(read_jobs([tmp_path])))
    found = evidence(decision)
    assert found is not None and found["best"] == "0" and found["of"] == MOST_RIVALS + 2
    assert [one["job"] for one in found["rivals"]] == [str(number) for number in range(1, MOST_RIVALS + 1)]


def test_a_decision_on_little_data_has_a_remark(browser: Any, tmp_path: Path) -> None:
    for number, name in enumerate(("fp32", "int8")):
        write_job(tmp_path / str(number), answers(("x", [1])), **precision(name), **rounds(20.0 + number, count=2))
    hforch("report", str(tmp_path), "--optimize", "tokens_per_s")
    decision = Criteria(optimize=["tokens_per_s"]).decide(compare(read_jobs([tmp_path])))
    assert decision is not None and decision.remark
    seen = open_page(browser, tmp_path / "report.html", charts=False)
    assert seen.texts(".decision .remark") == [decision.remark]


# ---------------------------------------------------------------- the table of jobs
def test_each_value_has_its_interval_or_the_reason_why_not(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["tie"], charts=False)
    told = json.loads(hforch("compare", str(sweeps["tie"]), "--format", "json").stdout)
    names = [one.get_attribute("data-key") for one in seen.page.locator("table.jobs thead th.number button").all()]
    checked = {"interval": 0, "reason": 0}
    for place, row in enumerate(told["rows"]):
        cells = seen.page.locator(f"table.jobs tbody tr:nth-child({place + 1}) td.number")
        for at, name in enumerate(names):
            cell, interval = cells.nth(at), row["intervals"].get(name)
            if interval is None:
                assert row["metrics"][name] is None
            elif "absent" in interval:
                assert cell.get_attribute("title") == f"no interval: {interval['absent']}"
                checked["reason"] += 1
            else:
                ends = [BY_NAME[name].shown(interval[end]) for end in ("low", "high")]
                assert cell.locator(".interval").inner_text() == f"{ends[0].rstrip('%')}–{ends[1]}"
                checked["interval"] += 1
    assert checked["interval"] > 15 and checked["reason"] > 8


def test_lines_on_bars_show_the_intervals(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["tie"], charts=False)
    found = seen.page.evaluate(GEOMETRY)
    assert len(found) > 15
    for track, bar, line in found:
        assert track[0] - 1 <= line[0] <= bar[1] + 1 and bar[1] - 1 <= line[1] <= track[1] + 1
    speeds = seen.page.locator("table.jobs tbody tr:nth-child(1) td:has(.whisker) >> nth=1")
    low, high = map(float, speeds.locator(".interval").inner_text().split("–"))
    value = float(speeds.inner_text().splitlines()[0])
    (track, bar, line) = found[1]
    pixels = (bar[1] - bar[0]) / value
    assert [edge - track[0] for edge in line] == pytest.approx([low * pixels, high * pixels], abs=1)


def test_a_value_is_the_best_if_its_interval_does_not_overlap(browser: Any, sweeps: dict[str, Path]) -> None:
    seen = opened(browser, sweeps["tie"], charts=False)

    def best(column: str) -> list[str]:
        names = [one.get_attribute("data-key") for one in seen.page.locator("table.jobs thead button").all()]
        return seen.texts(f"table.jobs tbody tr:has(:nth-child({names.index(column) + 1}).best) th button")

    assert best("tokens_per_s") == best("checks") == []
    assert best("kl_mean") == ["1"] and best("peak_rss_mb") == ["2"]


def test_a_sentence_names_the_confidence_level_and_metrics_without_intervals(
    browser: Any, sweeps: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    hforch("report", str(sweeps["tie"]), "--confidence", "0.9", "-o", str(target))
    seen = open_page(browser, target, charts=False)
    text = seen.page.inner_text("#intervals")
    assert "The 90% interval" in text and "disk (exact)" in text and "peak memory" in text
    assert "(measured once in each load)" in text
    assert "90% interval" in seen.page.locator("table.jobs .interval").first.get_attribute("title")


# ---------------------------------------------------------------- charts
def test_charts_show_the_intervals_of_the_comparison(browser: Any, sweeps: dict[str, Path]) -> None:
    comparison = compare(read_jobs([sweeps["tie"]]))
    seen = opened(browser, sweeps["tie"])
    for title, names in {"Throughput and": ("tokens_per_s", "checks"), "Checks passed Higher": ("checks",)}.items():
        figure = f"#charts figure:has-text('{title}') >> nth=0"
        rules = seen.page.locator(f"{figure} >> svg line[aria-roledescription='rule mark']")
        wanted = sorted(_ends(comparison, *names))
        ends = [re.search(r"_low: ([\d.]+).*_high: ([\d.]+)", one.get_attribute("aria-label")) for one in rules.all()]
        drawn = sorted((float(one[1]), float(one[2])) for one in ends if one)
        assert len(drawn) == len(wanted), title
        for one, other in zip(drawn, wanted, strict=True):
            assert one == pytest.approx(other, rel=1e-3), title
        assert "Solid lines: 95% intervals." in seen.page.inner_text(figure)
    seen.page.locator(
        "#charts figure:has-text('Checks passed Higher') svg path[aria-roledescription=point]"
    ).first.hover()
    assert "interval of checks passed" in seen.page.inner_text("#tip") and "83% to 99%" in seen.page.inner_text("#tip")
    assert seen.is_quiet()


def _ends(comparison: Comparison, *names: str) -> list[tuple[float, float]]:
    found = [row.estimates[name].interval for row in comparison.rows for name in names]
    return [(one.low, one.high) for one in found if one is not None]


def test_a_wide_interval_does_not_stretch_an_axis(sweeps: dict[str, Path]) -> None:
    row, speed = compare(read_jobs([sweeps["tie"]])).rows[0], BY_NAME["tokens_per_s"]
    row.estimates["tokens_per_s"] = Estimate(70.0, Interval(1.0, float("inf"), 0.95, "repeated batch", 1))
    row.metrics["tokens_per_s"] = 70.0
    found = valued(row, speed, "x", limit([row], speed))
    assert found == {"x": 70.0, "x_interval": "1.0 to ∞", "x_low": 1.0, "x_high": 105.0}


def test_charts_and_table_fit_a_phone(browser: Any, sweeps: dict[str, Path]) -> None:
    for outcome in ("tie", "undecided"):
        seen = opened(browser, sweeps[outcome], viewport={"width": 390, "height": 844})
        assert seen.page.evaluate("document.scrollingElement.scrollWidth") == 390
        texts = seen.page.evaluate(TEXTS)
        assert len(texts) > 5 and [overlaps(one) for one in texts] == [[]] * len(texts)
        labels = "#charts figure:first-of-type .labels text"
        assert len(shown(seen, labels)) == 3
        width = (
            "document.querySelector('.decision .scroll').scrollWidth - document.querySelector('.decision').clientWidth"
        )
        assert seen.page.evaluate(width) <= 0
        assert seen.is_quiet()
        seen.page.context.close()


# ---------------------------------------------------------------- the Pareto set
def test_the_pareto_set_has_the_jobs_that_are_not_shown_to_be_dominated(browser: Any, tmp_path: Path) -> None:
    speeds = {"fp32": (20.0, 0.01), "int8": (40.0, 0.01), "int4": (39.0, 0.2)}  # with the noise of the rounds
    for number, (name, (speed, noise)) in enumerate(speeds.items()):
        memory = {"peak_rss_mb": 500.0 + 100 * (name == "fp32"), "absent": {}}
        measured = rounds(speed, noise)
        write_job(tmp_path / str(number), answers(("x", [1])), **precision(name), **measured, memory=memory)
    hforch("report", str(tmp_path), "--optimize", "peak_rss_mb")
    seen = open_page(browser, tmp_path / "report.html", charts=False)
    assert tagged(seen, "Pareto") == ["1", "2"]  # fp32 is shown to be slower and to need more memory
    assert "no other qualified job is confirmed" in seen.page.locator(".tag:text-is('Pareto')").first.get_attribute(
        "title"
    )
    comparison = compare(read_jobs([tmp_path]))
    comparison.rows[1].metrics["checks"], comparison.rows[2].metrics["checks"] = 1.0, 0.5
    assert "quality): jobs 1, 2." in charts(comparison)[0]["says"]
