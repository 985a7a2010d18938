"""The table of jobs in the report: columns in place, a hint that it scrolls, bars, and narrow screens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from browser import Seen, open_page
from command_line import hforch
from written import answers, write_job

PHONE = {"width": 390, "height": 844}
CELLS = """() => [...document.querySelectorAll("table.jobs tr")].map((row) => [...row.cells].map((cell) => {
    const { left, right } = cell.getBoundingClientRect();
    return [left, right];
}))"""
BARS = """() => [...document.querySelectorAll("table.jobs tbody tr")].map((row) =>
    [...row.querySelectorAll(".bar")].map((bar) => bar.getBoundingClientRect()).filter((one) => one.width)
        .map(({ left, right }) => [left, right]))"""


def scroll(seen: Seen, left: int) -> None:
    seen.page.evaluate(f"document.querySelector('#jobs .scroll').scrollLeft = {left}")
    seen.page.wait_for_timeout(100)


def columns(seen: Seen) -> list[str]:
    return [one.splitlines()[0].strip() for one in seen.texts("table.jobs thead th")]


def test_the_job_and_its_settings_stay_in_view_while_the_table_scrolls(seen: Seen) -> None:
    assert columns(seen)[:2] == ["job", "precision"]
    before = seen.page.evaluate(CELLS)
    scroll(seen, 400)
    after = seen.page.evaluate(CELLS)
    for old, new in zip(before, after, strict=True):
        assert new[:2] == old[:2] and new[0][1] == new[1][0]
        assert new[2][0] <= old[2][0] - 100
    covering = "document.elementFromPoint(...{}).closest('th, td').cellIndex"
    (_, right), top = after[1][1], seen.page.locator("table.jobs tbody tr >> nth=0").bounding_box()["y"]
    assert seen.page.evaluate(covering.format([right - 5, top + 10])) == 1  # not a metric that scrolled below it


def test_hidden_columns_are_announced(seen: Seen) -> None:
    box = "#jobs .wide"
    assert "more-right" in seen.page.get_attribute(box, "class")
    number = len(columns(seen)) - sum(right <= 1376 for _, right in seen.page.evaluate(CELLS)[0])
    assert number > 1 and f"{number} more columns to the right" in seen.page.inner_text(f"{box} .hint")
    shadow = "getComputedStyle(document.querySelector('#jobs .shadows'), '::after').content"
    assert seen.page.evaluate(shadow) == '""'
    scroll(seen, 9999)
    assert seen.page.get_attribute(box, "class").split() == ["wide", "more-left"]
    assert seen.page.evaluate(shadow) == "none" and "scroll the table back" in seen.page.inner_text(f"{box} .hint")
    seen.page.set_viewport_size({"width": 4000, "height": 900})
    seen.page.wait_for_selector(f"{box} .hint", state="hidden")
    assert seen.page.get_attribute(box, "class") == "wide"


def test_hidden_columns_of_answers_are_announced(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported, charts=False, viewport=PHONE)
    assert "more columns to the right" in seen.page.inner_text("#answers .hint")
    assert "more-right" in seen.page.get_attribute("#answers .wide", "class")
    seen.page.context.close()


def test_bars_of_neighboring_cells_are_apart(seen: Seen) -> None:
    rows = seen.page.evaluate(BARS)
    assert len(rows) == 3 and all(len(bars) > 5 for bars in rows)
    for bars in rows:
        assert all(right + 8 <= left for (_, right), (left, _) in pairwise(bars))


def test_a_phone_shows_the_job_its_settings_and_the_first_metric(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported, charts=False, viewport=PHONE)
    assert columns(seen)[1] == "exact match"  # the metric of the requirement
    for job, metric, *_ in seen.page.evaluate(CELLS):
        assert job[0] >= 0 and job[1] <= metric[0] and metric[1] <= PHONE["width"] - 12
    assert seen.texts("table.jobs tbody th .settings") == ["fp32", "int8", "int4"]
    scroll(seen, 300)
    assert all(cells[0][0] >= 0 for cells in seen.page.evaluate(CELLS))
    seen.page.click("table.jobs thead button:has-text('precision')")
    assert seen.texts("table.jobs tbody th .settings") == ["fp32", "int4", "int8"]
    assert seen.page.evaluate("document.activeElement.dataset.key") == "axis precision"
    seen.page.set_viewport_size({"width": 1400, "height": 900})  # or turned to landscape
    seen.page.wait_for_selector("table.jobs:not(.folded)")
    assert columns(seen)[:2] == ["job", "precision ▲"]
    assert seen.is_quiet()
    seen.page.context.close()


def test_many_settings_do_not_cover_the_metrics(browser: Any, tmp_path: Path) -> None:
    for number in range(2):
        settings = {f"a_rather_long_setting_{at}": f"value {number}" for at in range(9)}
        job = {"generation": settings}
        typed = [f"generation.{name}={value}" for name, value in settings.items()]
        metrics = {"tokens_per_s": 10.0 + number, "absent": {}}
        write_job(tmp_path / str(number), answers(("x", [1])), overrides=typed, job=job, metrics=metrics)
    hforch("report", str(tmp_path))
    seen = open_page(browser, tmp_path / "report.html", charts=False)
    assert "a_rather_long_setting_8" in seen.page.inner_text("table.jobs thead th >> nth=0")
    assert seen.texts("table.jobs tbody th .settings")[1] == ", ".join(["value 1"] * 9)
    assert all(metric[1] <= 1400 for _, metric, *_ in seen.page.evaluate(CELLS))
    seen.page.context.close()
