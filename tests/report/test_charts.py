"""The charts of the report: their quality axis, their scales, the recommended job, and labels that do not overlap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Seen, open_page
from command_line import hforch
from reported import write_reported
from written import answers, precision, rounds, write_job

from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.report.page.charts import charts, quality_of

TEXTS = """() => [...document.querySelectorAll("#charts svg")].map((svg) =>
    [...svg.querySelectorAll("text")].filter((one) => one.getBoundingClientRect().width).map((one) => {
        const { left, right, top, bottom } = one.getBoundingClientRect();
        return [one.textContent, left, right, top, bottom];
    }))"""
MARKS = """() => [...document.querySelectorAll("#charts figure:has(.labels) svg")].map((svg) =>
    [...svg.querySelectorAll("path[aria-roledescription=point]")].map((one) => {
        const { left, right, top, bottom } = one.getBoundingClientRect();
        return ["", left, right, top, bottom];
    }))"""
LABELS = "#charts figure:first-of-type .labels text"


def write_many(directory: Path, number: int, equal: int) -> Path:
    """Write a sweep of jobs, of which the first `equal` have equal values and others are close to them."""
    for at in range(number):
        is_equal = at < equal
        job = {"runtime": {"seed": at}, "precision": {"name": ("int8", "int4_symmetric")[at % 2]}}
        write_job(
            directory / str(at),
            answers(("text", [1])),
            overrides=[f"runtime.seed={at}", f"precision={job['precision']['name']}"],
            job=job,
            metrics={"tokens_per_s": 40.0 if is_equal else 20 + at * 7 % 23 * 0.9, "absent": {}},
            memory={"peak_rss_mb": 900.0 if is_equal else 930 + at * 5 % 17 * 4, "absent": {}},
            totals={
                "planned": 16,
                "samples": 16,
                "checks": {"passed": 15 if is_equal else 9 + at % 6, "total": 16},
            },
        )
    return directory


def overlaps(some: list[list[Any]], others: list[list[Any]] | None = None) -> list[tuple[str, str]]:
    """Return the pairs of boxes [text, left, right, top, bottom] that share more than a rounding error."""
    pairs = [(a, b) for at, a in enumerate(some) for b in (some[at + 1 :] if others is None else others)]
    return [
        (a[0], b[0])
        for a, b in pairs
        if min(a[2], b[2]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[3], b[3]) > 2
    ]


def shown(seen: Seen, selector: str) -> list[str]:
    """Return the texts of SVG elements."""
    return [str(one) for one in seen.page.locator(selector).all_text_contents()]


def resized(seen: Seen, width: int) -> None:
    labelled = seen.page.query_selector("#charts .labels")
    seen.page.set_viewport_size({"width": width, "height": 844})
    seen.page.wait_for_function("(one) => !one.isConnected", arg=labelled)
    seen.page.wait_for_timeout(50)


@pytest.mark.parametrize(("number", "equal", "labelled"), [(24, 9, 16), (40, 30, 11)])
def test_labels_never_overlap(browser: Any, tmp_path: Path, number: int, equal: int, labelled: int) -> None:
    hforch("report", str(write_many(tmp_path, number, equal)), "--optimize", "peak_rss_mb")
    seen = open_page(browser, tmp_path / "report.html")
    for width in (1400, 390):
        if width != 1400:
            resized(seen, width)
        texts = seen.page.evaluate(TEXTS)
        assert len(texts) > 3 and [overlaps(one) for one in texts] == [[]] * len(texts), width
        assert seen.page.locator(LABELS).count() == labelled
        assert f"★ 0, ≈ 1, ≈ 2, ≈ 3 +{equal - 4}" in shown(seen, LABELS)
        assert seen.page.locator("#charts figure:first-of-type .names li").count() == number
        for boxes, marks in zip(texts, seen.page.evaluate(MARKS), strict=False):
            assert marks and overlaps([one for one in boxes if one[0] in shown(seen, LABELS)], marks) == [], width
    assert seen.is_quiet()


def test_labels_of_logarithmic_axes_do_not_overlap_on_a_phone(browser: Any, tmp_path: Path) -> None:
    directory = write_reported(tmp_path / "sweep")
    for number in range(3):
        record = directory / str(number) / "record.json"
        whole = json.loads(record.read_text())
        whole["totals"]["checks"] = None  # so that KL divergence is the quality axis
        record.write_text(json.dumps(whole))
    hforch("report", str(directory), "--optimize", "tokens_per_s")
    seen = open_page(browser, directory / "report.html", viewport={"width": 390, "height": 844})
    assert "The axis of KL divergence (mean) is logarithmic, with 0 at its start." in seen.page.inner_text(
        "#charts figure:first-of-type"
    )
    texts = seen.page.evaluate(TEXTS)
    assert len(texts) > 5 and [overlaps(one) for one in texts] == [[]] * len(texts)
    assert seen.is_quiet()
    seen.page.context.close()


def test_few_points_have_labels_with_their_settings(drawn: Seen) -> None:
    assert sorted(shown(drawn, LABELS)) == ["0: fp32", "2: int4", "★ 1: int8"]
    assert not drawn.page.is_visible("#charts figure:first-of-type .names")


def test_the_recommended_job_has_its_own_mark_in_charts_and_columns(drawn: Seen) -> None:
    for title, states in {
        "Peak memory and": ["recommended", "Pareto set", "other"],
        "TTFT": ["recommended", "other"],
        "Top-1 agreement": ["recommended", "other"],
    }.items():
        found = shown(drawn, f"#charts figure:has-text('{title}') >> nth=0 >> svg .role-legend-label text")
        assert found == states, title
    marks = drawn.page.locator("#charts figure:has-text('Top-1 agreement') svg path[aria-roledescription=point]")
    fills = [one.get_attribute("fill") for one in marks.all()]
    shapes = {one.get_attribute("d") for one in marks.all()}
    assert len(fills) == 2 and fills.count("#009E73") == 1 and len(shapes) == 2
    assert drawn.texts("table.answers thead th:has(.tag.good) strong") == ["1"]
    assert drawn.texts("#again summary:has(.tag.good) strong") == ["1"]
    drawn.page.click("#choose")
    assert [one.split()[0] for one in drawn.texts("#columns li:has(.tag.good) label")] == ["1"]


def test_the_recommended_job_is_among_the_columns_of_many(browser: Any, tmp_path: Path) -> None:
    for number in range(20):
        job = {"runtime": {"seed": number}}
        typed = [f"runtime.seed={number}"]
        write_job(tmp_path / str(number), answers(("x", [1])), overrides=typed, job=job, **rounds(10.0 + number))
    hforch("report", str(tmp_path), "--optimize", "tokens_per_s")
    seen = open_page(browser, tmp_path / "report.html", charts=False)
    assert seen.texts("table.answers thead th strong") == [*map(str, range(11)), "19"]


# ---------------------------------------------------------------- the quality axis
def test_the_quality_axis_is_checks_or_what_the_decision_uses(tmp_path: Path) -> None:
    comparison = compare(read_jobs([write_reported(tmp_path)]))
    rows = comparison.rows

    def title(*asked: str) -> str | None:
        found = quality_of(rows, asked)
        return found and found.title

    assert title() == title("kl_mean", "tokens_per_s") == "checks passed"
    for row in rows:
        row.metrics["checks"] = 1.0  # equal checks distinguish no jobs
    assert title("tokens_per_s", "similarity") == "edit similarity"
    assert title("peak_rss_mb") == "KL divergence (mean)"
    assert "All jobs passed the same fraction of checks." in charts(comparison)[0]["says"]
    for row in rows:
        row.metrics["kl_mean"] = None
    assert title() == "exact match"


def test_the_report_uses_the_metrics_of_the_requirements(tmp_path: Path) -> None:
    for number, name in enumerate(("fp32", "int8")):
        texts = [(f"one text of job {number}", [1, number]), ("same", [2])]
        metrics = {"tokens_per_s": 10.0 + number, "absent": {}}
        write_job(tmp_path / str(number), answers(*texts), **precision(name), metrics=metrics)
    hforch("report", str(tmp_path), "--require", "chrf>=1")
    from test_collect import data_of

    titles = [one["title"] for one in data_of(tmp_path / "report.html")[0]["charts"]]
    assert titles[0] == "Throughput and chrF"


# ---------------------------------------------------------------- scales
def scales(spec: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the field and scale of each axis with a scale."""
    found = [(one["encoding"][axis], axis) for one in spec["layer"] for axis in ("x", "y") if axis in one["encoding"]]
    return [(one["field"], one["scale"]) for one, _ in found if one["type"] == "quantitative" and "scale" in one]


def test_axes_do_not_magnify_small_differences(tmp_path: Path) -> None:
    comparison = compare(read_jobs([write_reported(tmp_path)]))
    rows = comparison.rows
    for number, row in enumerate(rows):
        row.metrics |= {"tokens_per_s": 40.0 + number, "peak_rss_mb": 1000.0 - 30 * number, "ppl": 15.0 + number / 10}
        row.metrics |= {"checks": 1.0 - 0.02 * number, "similarity": 1 - 0.13 * number, "top1_agreement": 0.93}
    seen = 0
    for chart in charts(comparison):
        for field, scale in scales(chart["spec"]):
            if scale.get("type") == "symlog":
                assert "is logarithmic" in chart["says"]
                continue
            datasets = [one["data"]["values"] for one in [chart["spec"], *chart["spec"]["layer"]] if "data" in one]
            values = [one[field] for some in datasets for one in some if field in one]
            low, high = scale["domain"]
            share = (max(values) - min(values)) / (high - low)
            assert low <= min(values) and max(values) <= high
            floor = 1 if chart["title"] == "Perplexity" else 0
            assert share <= (max(values) - min(values)) / (max(values) - floor) + 1e-9, chart["title"]
            assert low == floor and (floor == 0 or "The axis of perplexity starts at 1." in chart["says"])
            seen += 1
    assert seen > 8


def test_axes_show_zero(drawn: Seen) -> None:
    for axis in drawn.page.locator("#charts svg .mark-group.role-axis:has(.role-axis-label text)").all():
        ticks = axis.locator(".role-axis-label text").all_text_contents()
        if all(one.strip("%").replace(",", "").replace(".", "").isdigit() for one in ticks):
            assert {ticks[0], ticks[-1]} & {"0", "0%", "0.0"}, ticks
