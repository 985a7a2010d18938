"""The answers in the report: collapsed rows show whole lines, and few answers are shown in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Seen, open_page
from command_line import hforch
from test_collect import data_of
from written import answers, precision, write_job

LONG = "A sentence that is long enough to be continued on another line, but has short words. "
CUTS = """() => [...document.querySelectorAll("table.answers tbody .cell:has(.text)")].map((cell) => {
    const text = cell.querySelector(".text");
    const lines = text.clientHeight / parseFloat(getComputedStyle(text).lineHeight);
    const beyond = text.getBoundingClientRect().bottom - cell.getBoundingClientRect().bottom;
    return [lines, beyond, text.scrollHeight - text.clientHeight];
})"""


def written(browser: Any, directory: Path, inputs: int, jobs: int, **context: Any) -> Seen:
    for job in range(jobs):
        texts = [(LONG * (3 + 20 * (number % 2)) + f"End {job}.", [job, number]) for number in range(inputs)]
        write_job(directory / str(job), answers(*texts), **precision(("fp32", "int8", "int4")[job]))
    hforch("report", str(directory))
    return open_page(browser, directory / "report.html", charts=False, **context)


@pytest.mark.parametrize(("jobs", "width"), [(1, 1400), (2, 2400), (3, 390)])
def test_collapsed_answers_end_after_a_whole_line(browser: Any, tmp_path: Path, jobs: int, width: int) -> None:
    seen = written(browser, tmp_path, 40, jobs, viewport={"width": width, "height": 900})
    cuts = seen.page.evaluate(CUTS)
    assert len(cuts) >= 4 * (jobs + 1)
    for lines, beyond, _ in cuts:
        assert abs(lines - round(lines)) < 0.06 and beyond <= 0.5
    assert sum(more > 10 for _, _, more in cuts) >= 2  # lines limit long answers, not a number of characters
    assert seen.is_quiet()
    seen.page.context.close()


def test_few_answers_are_shown_in_full(browser: Any, tmp_path: Path) -> None:
    seen = written(browser, tmp_path, 4, 2)
    rows = seen.page.locator("table.answers tbody tr")
    for at in range(4):
        seen.page.evaluate("(at) => document.querySelectorAll('table.answers tbody tr')[at].scrollIntoView()", at)
        seen.page.wait_for_timeout(50)
        for job in range(2):
            assert seen.page.inner_text(f"tr[data-row='{at}'] td[data-job='{job}'] .text").endswith(f"{job}.")
    for _, beyond, more in seen.page.evaluate(CUTS):
        assert beyond <= 0.5 and more <= 1
    height = rows.nth(1).bounding_box()["height"]
    seen.page.click("tr[data-row='1'] button:has-text('collapse')")
    assert rows.nth(1).bounding_box()["height"] < height / 2
    assert seen.is_quiet()
    seen.page.context.close()


# ---------------------------------------------------------------- the source of the inputs
def about(directory: Path, *inputs: dict[str, str], overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    for number, own in enumerate(inputs):
        job = {"inputs": own, "runtime": {"seed": number}}
        typed = [f"runtime.seed={number}", *overrides]
        write_job(directory / str(number), answers(("x", [1])), overrides=typed, job=job)
    hforch("report", str(directory))
    found: dict[str, Any] = data_of(directory / "report.html")[0]["about"]
    return found


def test_the_common_settings_name_the_input_file(tmp_path: Path) -> None:
    one = {"kind": "file", "path": "data/questions.csv"}
    found = about(tmp_path, one, one)
    assert found["alike"]["input file"] == "data/questions.csv" and "input source" not in found["alike"]
    assert not found["notes"]


def test_different_input_files_are_listed_with_their_jobs(tmp_path: Path) -> None:
    one, other = ({"kind": "file", "path": f"{name}.csv"} for name in "ab")
    found = about(tmp_path, one, other, {"kind": "inline"}, one)
    assert found["notes"] == ["inputs of jobs 0, 3: a.csv", "inputs of job 1: b.csv"]
    assert not {"input file", "input source"} & {*found["alike"]}


def test_the_common_settings_name_the_option_with_the_inputs(tmp_path: Path) -> None:
    assert about(tmp_path / "1", {"kind": "inline"}, overrides=("inputs=facts",))["alike"]["input source"] == "facts"
    assert about(tmp_path / "2", {"kind": "inline"})["alike"]["input source"] == "inline"
