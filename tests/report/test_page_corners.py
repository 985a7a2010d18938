"""Edge cases of the report in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from browser import Seen, open_page
from command_line import hforch
from reported import INPUTS
from written import answers, precision, rounds, sample, write_job, write_sweep

from hforch.comparison.entries import read_jobs

FIRST_ROW = "table.answers tbody tr[data-row='0']"


def written(browser: Any, directory: Path, *words: str) -> Seen:
    hforch("report", str(directory), *words)
    return open_page(browser, directory / "report.html", charts=False)


def top_of_focus(seen: Seen) -> float:
    return float(seen.page.evaluate("document.activeElement.getBoundingClientRect().top"))


def test_n_scrolls_to_the_difference(seen: Seen) -> None:
    assert seen.page.evaluate("scrollY") == 0
    seen.page.keyboard.press("n")
    assert 0 <= top_of_focus(seen) < 900 and seen.page.evaluate("scrollY") > 0
    assert seen.page.locator("td.current").count() == 1
    seen.page.click("#next")
    assert seen.page.get_attribute("td.current", "data-column") == "3"


def test_after_scrolling_tab_and_arrow_keys_reach_the_grid(seen: Seen) -> None:
    seen.page.evaluate("document.getElementById('grid').scrollTop = 3000")
    seen.page.wait_for_timeout(100)
    seen.page.locator("form.filters button[type=reset]").focus()
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.id") == "grid"
    seen.page.keyboard.press("ArrowDown")
    assert seen.page.evaluate("document.activeElement.closest('tr').dataset.row") == "1"
    seen.page.evaluate("document.getElementById('grid').scrollTop = 3000")
    seen.page.check("#differs")
    assert seen.page.evaluate("document.getElementById('grid').scrollTop") == 0
    seen.page.keyboard.press("n")  # a checkbox has the focus and ignores letters
    assert seen.page.locator("td.current").count() == 1


def test_focus_stays_in_the_columns_dialog(seen: Seen) -> None:
    seen.page.click("#choose")
    for _ in range(3):
        seen.page.locator("#columns button[aria-label='Move job 2 up']").focus()
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.closest('dialog')?.id") == "columns"
    seen.page.click("#columns >> text=Reset")
    assert seen.page.evaluate("document.activeElement.closest('dialog')?.id") == "columns"


def test_text_in_the_drawer_can_be_selected_and_a_click_outside_closes_it(seen: Seen) -> None:
    seen.page.click(f"{FIRST_ROW} td[data-job='1'] .text")
    box = seen.page.locator("#drawer .text.full").first.bounding_box()
    seen.page.mouse.move(box["x"] + 20, box["y"] + 10)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] - 15, box["y"] + 60)
    seen.page.mouse.up()
    assert seen.page.is_visible("#drawer")
    seen.page.mouse.click(20, 400)
    assert not seen.page.is_visible("#drawer")


def test_the_drawer_reports_the_last_difference(seen: Seen) -> None:
    seen.page.evaluate(f"location.hash = 'open={INPUTS - 1}.2'")
    seen.page.wait_for_selector("#drawer[open]")
    seen.page.keyboard.press("n")
    assert seen.page.inner_text("#drawer-said") == "no more differences"


def test_expanded_rows_leave_no_gap_when_the_window_gets_wider(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported, charts=False, viewport={"width": 700, "height": 800})
    for row in range(4):
        seen.page.click(f"tr[data-row='{row}'] button")
    seen.page.set_viewport_size({"width": 1800, "height": 800})
    seen.page.wait_for_timeout(300)
    gap = """() => {
        const rows = [...document.querySelectorAll("table.answers tbody tr")].map((one) => one.getBoundingClientRect());
        const grid = document.getElementById("grid").getBoundingClientRect();
        return [rows[0].top <= grid.bottom, rows.at(-1).bottom >= grid.bottom - 2];
    }"""
    assert seen.page.evaluate(gap) == [True, True]


def test_an_answer_without_baseline_answer_is_not_marked_same(browser: Any, tmp_path: Path) -> None:
    base = answers(("one", [1]), ("two", [2]))
    base[0] = sample(0, "", None) | {"text": None}
    write_job(tmp_path / "0", base, **precision("fp32"))
    write_job(tmp_path / "1", answers(("one", [1]), ("two", [2])), **precision("int8"))
    seen = written(browser, tmp_path)
    assert "baseline failed" in seen.page.inner_text(f"{FIRST_ROW} td[data-job='1']")
    assert "same" in seen.page.inner_text("tr[data-row='1'] td[data-job='1']")
    seen.page.click(f"{FIRST_ROW} td[data-job='1'] .text")
    assert "no answer" in seen.page.inner_text("#drawer") and seen.is_quiet()


def test_numeric_axes_are_sorted_numerically(browser: Any, tmp_path: Path) -> None:
    values = ("0.05", "0.1", "1e-05", "-1", "0.7")
    for number, value in enumerate(values):
        typed = [f"generation.temperature={value}"]
        write_job(
            tmp_path / str(number), answers(("x", [1])), overrides=typed, job={"generation": {"temperature": value}}
        )
    seen = written(browser, tmp_path)
    seen.page.click("table.jobs th button:has-text('temperature')")
    assert seen.texts("table.jobs tbody td:nth-child(2)") == ["-1", "1e-05", "0.05", "0.1", "0.7"]


def test_previews_keep_emoji_whole_and_shorten_blank_lines(browser: Any, tmp_path: Path) -> None:
    texts = ("x" + "😀" * 9000, "\n\n\n\n\n\n\n\nfar below", *["so many that rows are collapsed"] * 20)
    write_job(tmp_path / "0", answers(*((text, [1]) for text in texts)), **precision("fp32"))
    seen = written(browser, tmp_path)
    assert "U+D83D" not in seen.page.inner_text(FIRST_ROW)
    assert seen.page.inner_text("tr[data-row='1'] .text >> nth=1") == "⏎⏎⏎⏎⏎⏎⏎⏎ far below"


def test_many_jobs_are_all_in_the_table_and_the_first_are_columns(browser: Any, tmp_path: Path) -> None:
    for number in range(150):
        job = {"runtime": {"seed": number}}
        write_job(tmp_path / str(number), answers(("x", [1])), overrides=[f"runtime.seed={number}"], job=job)
    seen = written(browser, tmp_path)
    assert seen.page.locator("table.jobs tbody tr").count() == 150
    assert "12 of 150 jobs shown" in seen.page.inner_text("#count") and seen.is_quiet()


def test_jobs_with_the_same_last_path_component_are_distinct(tmp_path: Path) -> None:
    for number, name in enumerate(("a/x", "b/x")):
        write_job(tmp_path / name, answers((f"text {number}", [number])), overrides=[f"runtime.seed={number}"])
    write_sweep(tmp_path, ["a/x", "b/x"])
    assert [one.name for one in read_jobs([tmp_path])] == ["a/x", "b/x"]


def test_escapes_do_not_reach_the_terminal(tmp_path: Path) -> None:
    for number, name in enumerate(("fp32", "\x1b[31mred\u202e")):
        write_job(tmp_path / str(number), answers(("x", [1])), **precision(name), **rounds(10.0 + number))
    done = hforch("report", str(tmp_path), "--optimize", "tokens_per_s")
    assert "recommended: job 1" in done.stdout and "\x1b" not in done.stdout and "\u202e" not in done.stdout
