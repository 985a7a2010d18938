"""The report in a real browser: every control, by mouse and by keyboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browser import Seen, open_page
from reported import INPUTS, text_of

from hforch.report.page.write import PARTS, SCRIPTS

FIRST_ROW = "table.answers tbody tr[data-row='0']"


def shown_jobs(seen: Seen) -> list[str]:
    return seen.texts("table.jobs tbody th button")


def columns(seen: Seen) -> list[str]:
    return seen.texts("table.answers thead th strong")


def count(seen: Seen) -> str:
    return str(seen.page.inner_text("#count"))


def lacking(*jobs: str) -> set[int]:
    """Return the inputs for which an answer of one of the jobs fails its check."""
    return {index for index in range(INPUTS) for job in jobs if "light" not in text_of(index, job)}


def focused(seen: Seen) -> str:
    return str(
        seen.page.evaluate(
            "document.activeElement.closest('tr')?.dataset.row + '.' + document.activeElement.dataset.column"
        )
    )


def test_the_top_shows_the_comparison_and_the_decision(seen: Seen) -> None:
    assert "precision: fp32, int8, int4" in seen.page.inner_text("#swept")
    about = seen.page.inner_text("#about")
    assert "2 of 3 jobs meet exact_match>=0.5; recommended: job 1 (precision=int8)" in about
    assert "a cpu, 2 cores" in about and "2026-01-01 00:00:00 UTC" in about
    assert re.search(r"Jobs started\s+2026-01-01 00:00:00 UTC\s", about)
    assert re.search(r"Jobs\s+3\s", about) and re.search(rf"Samples\s+{3 * INPUTS}\s", about)
    assert re.search(r"Failures\s+1 sample\s", about)


def test_jobs_are_sorted_by_a_click_and_by_a_key(seen: Seen) -> None:
    assert shown_jobs(seen) == ["0", "1", "2"]
    seen.page.click("table.jobs th button:has-text('throughput')")
    assert shown_jobs(seen) == ["1", "2", "0"]
    assert seen.page.get_attribute("table.jobs th:has(button:has-text('throughput'))", "aria-sort") == "descending"
    seen.page.keyboard.press("Enter")  # the focus stays on the button
    assert shown_jobs(seen) == ["0", "2", "1"]
    assert "sort=tokens_per_s%3A1" in seen.page.url
    seen.page.click("table.jobs th button:has-text('KL divergence (mean)')")
    assert shown_jobs(seen) == ["1", "2", "0"]  # the baseline has no value and comes last


def test_the_best_value_units_and_failures_are_shown(seen: Seen) -> None:
    assert "★41.5" in seen.page.inner_text("table.jobs tbody tr:nth-child(2)").replace("\n", "")
    assert "tokens/s" in seen.page.inner_text("table.jobs thead")
    second = seen.page.inner_text("table.jobs tbody tr:nth-child(2)").replace("\nbest", "")
    assert re.search(r"★0\.1000\n0\.09\d\d–0\.10\d\d\s", second)
    last = seen.page.inner_text("table.jobs tbody tr:nth-child(3)")
    assert "1 sample failed" in last and "not qualified: exact_match=0, required: >=0.5" in last


def test_charts_have_tooltips_that_name_the_job(drawn: Seen) -> None:
    titles = drawn.texts("#charts figcaption strong")
    kl = "KL divergence (mean)"
    assert {"Throughput and checks passed", "Peak memory and checks passed", "TTFT", "TPOT"} <= set(titles)
    assert {"Exact match", kl, "Top-1 agreement"} <= set(titles)
    assert drawn.page.locator("#charts .chart svg").count() == len(titles)
    assert "Pareto set" in drawn.page.inner_text("#charts figure:first-of-type")
    assert "beat in speed, memory and quality): jobs 0, 1." in drawn.page.inner_text("#charts figure:first-of-type")
    drawn.page.locator("#charts figure:has-text('Exact match') svg path[aria-roledescription=point]").first.hover()
    assert "precision=fp32" in drawn.page.inner_text("#tip")


def test_text_search_filters_and_marks(seen: Seen) -> None:
    seen.page.fill("#q", "QUESTION 13")
    assert count(seen).startswith(f"1 of {INPUTS} inputs")
    assert seen.texts("table.answers mark")[0] == "question 13"
    seen.page.fill("#q", "something else")
    assert count(seen).startswith(f"{INPUTS - 1} of {INPUTS} inputs")
    seen.page.fill("#q", "no such text")
    assert "No matching inputs" in seen.page.inner_text("table.answers")
    seen.page.click("text=Clear")
    assert count(seen).startswith(f"{INPUTS} of {INPUTS} inputs") and seen.page.input_value("#q") == ""


def test_filters_by_difference_failure_finish_reason_and_check(seen: Seen) -> None:
    seen.page.click("#choose")
    seen.page.click("#columns li:has-text('int4') input")
    seen.page.keyboard.press("Escape")
    seen.page.check("#differs")
    assert count(seen).startswith(f"{INPUTS // 4} of {INPUTS}")
    seen.page.uncheck("#differs")
    seen.page.check("#failures")
    assert count(seen).startswith(f"{len(lacking('fp32', 'int8'))} of")
    seen.page.click("#choose")
    seen.page.click("#columns >> text=All")
    seen.page.keyboard.press("Escape")
    assert count(seen).startswith(f"{len({*lacking('fp32', 'int8', 'int4'), 7})} of")
    seen.page.fill("#q", "it broke")
    assert count(seen).startswith("1 of") and "it broke" in seen.page.inner_text(FIRST_ROW)
    seen.page.fill("#q", "")
    seen.page.uncheck("#failures")
    seen.page.select_option("#finish", "length")
    assert count(seen).startswith(f"{INPUTS // 5} of")
    seen.page.select_option("#finish", "")
    seen.page.select_option("#check", "-mentions light")
    assert count(seen).startswith(f"{len(lacking('fp32', 'int8', 'int4') - {7})} of")
    seen.page.select_option("#finish", "length")  # both filters apply to the same answer
    both = {index for index in lacking("fp32", "int8", "int4") if index % 5 == 0}
    assert both and count(seen).startswith(f"{len(both)} of")
    assert "✗ mentions light" in seen.page.inner_text(FIRST_ROW)


def test_words_that_differ_from_the_baseline_are_marked(seen: Seen) -> None:
    cell = f"{FIRST_ROW} td[data-job='1']"
    assert (seen.texts(f"{cell} del"), seen.texts(f"{cell} ins")) == (["on "], ["another "])
    kept = seen.page.evaluate(f"""(() => {{
        const text = document.querySelector("{cell} .text").cloneNode(true);
        text.querySelectorAll("del").forEach((one) => one.remove());
        return text.textContent;
    }})()""")
    assert kept == text_of(0, "int8")
    assert not seen.page.locator(f"{FIRST_ROW} td[data-job='0'] :is(del, ins)").count()


def test_n_and_p_move_between_differences(seen: Seen) -> None:
    seen.page.click("#answers-title")
    steps = []
    for key in ("n", "n", "n", "n", "p", "p"):
        seen.page.keyboard.press(key)
        steps.append(focused(seen))
    assert steps == ["0.2", "0.3", "1.3", "2.3", "1.3", "0.3"]
    for _ in range(60):
        seen.page.keyboard.press("n")
    assert focused(seen) == "39.3"
    assert seen.page.inner_text("#said") == "no more differences"
    seen.page.click("#next")
    assert seen.page.inner_text("#said") == "no more differences"


def test_arrow_keys_move_the_focus_and_enter_opens(seen: Seen) -> None:
    seen.page.locator(f"{FIRST_ROW} th").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "End", "Home", "ArrowRight", "PageDown"):
        seen.page.keyboard.press(key)
    row = int(focused(seen).partition(".")[0])
    assert row > 2 and focused(seen).endswith(".1")
    seen.page.keyboard.press("Enter")
    assert seen.page.inner_text("#drawer-title") == f"Input {row + 1}, job 0"
    seen.page.keyboard.press("Escape")
    assert not seen.page.is_visible("#drawer") and focused(seen) == f"{row}.1"
    seen.page.keyboard.press("Home")
    seen.page.keyboard.press("Enter")
    assert seen.page.get_attribute(f"tr[data-row='{row}'] button", "aria-expanded") == "true"
    seen.page.keyboard.press("?")
    assert "previous difference" in seen.page.inner_text("#keys")
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("n")  # typed into the field, not a shortcut
    assert seen.page.input_value("#q") == "n"


def test_the_drawer_shows_all_details_of_an_answer(seen: Seen) -> None:
    seen.page.click(f"{FIRST_ROW} td[data-job='1'] .text")
    drawer = seen.page.inner_text("#drawer")
    assert "<|user|>question 0<|assistant|>" in drawer
    assert text_of(0, "int8") in drawer
    assert re.search(r"output tokens\s+20", drawer) and re.search(r"TTFT\s+60.0 ms", drawer)
    assert "✓ passed: mentions light" in drawer and "length: reached max_new_tokens" in drawer
    assert "Token 3 of the baseline's answer" in drawer and ": KL divergence 1.250 nats" in drawer
    assert '" word4"' in drawer
    assert seen.texts("#drawer ins")[-1] == "another "
    seen.page.click("#drawer summary:has-text('Token ids')")
    assert "3 5 2 1 4" in seen.page.inner_text("#drawer")
    seen.page.keyboard.press("n")
    assert seen.page.inner_text("#drawer-title") == "Input 1, job 2"


def test_columns_can_be_selected_and_reordered(seen: Seen) -> None:
    seen.page.click("#choose")
    seen.page.click("#columns button[aria-label='Move job 2 up']")
    seen.page.keyboard.press("Enter")
    assert columns(seen) == ["2", "0", "1"]
    seen.page.click("#columns li:has-text('fp32') input")
    assert columns(seen) == ["2", "1"]
    assert "2 of 3 jobs shown" in count(seen)
    seen.page.click("#columns >> text=Reset")
    assert columns(seen) == ["0", "1", "2"] and "cols" not in seen.page.url


def test_commands_and_recipes_can_be_copied(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported, charts=False, permissions=["clipboard-read", "clipboard-write"])
    seen.page.click("table.jobs tbody tr:nth-child(2) th button")
    section = seen.page.locator("#again-1")
    told = [section.locator(".code pre").nth(number).inner_text() for number in range(3)]
    assert told[0] == "hforch precision=int8"
    assert "precision: int8" in told[1] and told[2].startswith("hforch freeze ")
    for number, text in enumerate(told):
        section.locator(".code button").nth(number).click()
        assert seen.page.evaluate("navigator.clipboard.readText()").strip() == text.strip()
    assert section.locator(".code button").nth(2).inner_text() == "Copied"
    seen.page.click("button[aria-label='Copy command of job 2']")  # without expanding the job
    assert seen.page.evaluate("navigator.clipboard.readText()") == "hforch precision=int4"
    assert seen.is_quiet()


def test_a_view_can_be_linked(browser: Any, reported: Path, seen: Seen) -> None:
    seen.page.fill("#q", "else entirely")
    seen.page.select_option("#finish", "length")
    seen.page.click("table.jobs th button:has-text('throughput')")
    seen.page.click("#theme")
    seen.page.click("#theme")
    seen.page.click(f"{FIRST_ROW} td[data-job='2'] .text")
    fragment = seen.page.url.partition("#")[2]
    other = open_page(browser, reported, fragment, charts=False)
    assert other.page.inner_text("#drawer-title") == "Input 1, job 2"
    other.page.keyboard.press("Escape")
    assert other.page.input_value("#q") == "else entirely" and other.page.input_value("#finish") == "length"
    assert count(other) == count(seen) and shown_jobs(other) == ["1", "2", "0"]
    assert other.page.evaluate("document.documentElement.dataset.theme") == "dark"
    other.page.evaluate("location.hash = 'differs=1&cols=1'")
    other.page.wait_for_selector("#differs:checked")
    assert columns(other) == ["1"] and count(other).startswith(f"{INPUTS // 4} of")
    assert other.is_quiet()


@pytest.mark.parametrize(
    "fragment", ["cols=99,x&sort=nothing:7&open=9999.5&finish=what&theme=%3Cscript%3E", "%%%", "open=..;;"]
)
def test_an_invalid_fragment_is_ignored(browser: Any, reported: Path, fragment: str) -> None:
    seen = open_page(browser, reported, fragment, charts=False)
    assert len(shown_jobs(seen)) == 3 and columns(seen)
    assert seen.is_quiet()


def test_the_theme_follows_the_system_or_the_button(browser: Any, reported: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page(browser, reported, color_scheme=scheme) for scheme in ("light", "dark"))
    assert light.page.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark.page.evaluate(ground) == "rgb(20, 23, 28)"
    dark.page.click("#theme")
    assert dark.page.inner_text("#theme") == "Theme: light" and dark.page.evaluate(ground) == "rgb(255, 255, 255)"
    axis = "getComputedStyle(document.querySelector('.chart svg text')).fill"
    assert light.page.evaluate(axis) == "rgb(22, 24, 29)"
    light.page.click("#theme")
    light.page.click("#theme")
    assert light.page.evaluate(axis) == "rgb(231, 234, 239)"


def test_only_rows_near_the_view_are_drawn(seen: Seen) -> None:
    rows = seen.page.locator("table.answers tbody tr")
    assert 3 < rows.count() < INPUTS / 2
    assert seen.page.get_attribute("table.answers", "aria-rowcount") == str(INPUTS + 1)
    seen.page.evaluate("document.getElementById('grid').scrollTop = 1e9")
    seen.page.wait_for_selector(f"tr[aria-rowindex='{INPUTS + 1}']")
    assert rows.count() < INPUTS / 2 and seen.page.locator(FIRST_ROW).count() == 0
    assert f"question {INPUTS - 1}" in seen.page.inner_text("table.answers")


def test_rows_expand_to_show_full_answers(seen: Seen) -> None:
    height = f'document.querySelector("{FIRST_ROW}").offsetHeight'
    before = seen.page.evaluate(height)
    seen.page.click(f"{FIRST_ROW} button")
    assert seen.page.get_attribute(f"{FIRST_ROW} button", "aria-expanded") == "true"
    box = f"document.querySelector(\"{FIRST_ROW} td[data-job='1'] .cell\")"
    assert seen.page.evaluate(f"{box}.scrollHeight <= {box}.clientHeight + 1")
    seen.page.click(f"{FIRST_ROW} button")
    assert seen.page.evaluate(height) == before


def test_narrow_screens_have_no_horizontal_scrolling(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported, viewport={"width": 360, "height": 740})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    seen.page.click(f"{FIRST_ROW} td[data-job='0'] .text")
    assert seen.page.evaluate("document.getElementById('drawer').getBoundingClientRect().width") <= 360


def test_printing_shows_full_answers_without_controls(browser: Any, reported: Path) -> None:
    seen = open_page(browser, reported)
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.locator("table.answers tbody tr[data-row]").count() == INPUTS
    assert not seen.page.is_visible("#q") and not seen.page.is_visible("#theme")
    assert seen.page.evaluate("getComputedStyle(document.getElementById('grid')).overflow") == "visible"
    assert "filtered" not in seen.page.inner_text("#printed")
    seen.page.emulate_media(media="screen")
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.page.locator("table.answers tbody tr[data-row]").count() < INPUTS
    assert len(seen.page.pdf()) > 10_000
    assert seen.is_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(browser: Any, reported: Path, scheme: str) -> None:
    seen = open_page(browser, reported, "check=-mentions light", color_scheme=scheme)
    places = {"the page": lambda: None, "the drawer": lambda: seen.page.click(f"{FIRST_ROW} td[data-job='2'] .text")}
    places |= {"columns": lambda: (seen.page.keyboard.press("Escape"), seen.page.click("#choose"))}
    for place, go in places.items():
        go()
        assert seen.violations() == [], place


def test_an_injected_script_does_not_run(browser: Any, reported: Path, tmp_path: Path) -> None:
    """The content security policy blocks markup that was added to the file."""
    text = reported.read_text(encoding="utf-8")
    evil = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'><img src='https://example.org/x.png'>"
    (tmp_path / "evil.html").write_text(text.replace("<main>", f"<main>{evil}"), encoding="utf-8")
    seen = open_page(browser, tmp_path / "evil.html")
    assert seen.page.evaluate("window.ran === undefined")
    assert [one for one in seen.said if "Content Security Policy" in one]
    assert "unsafe" not in re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]  # type: ignore[index]


def test_all_scripts_are_included_and_set_no_html() -> None:
    assert sorted(SCRIPTS) == sorted(file.stem for file in PARTS.glob("*.js"))
    for file in PARTS.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text(encoding="utf-8")
        )
