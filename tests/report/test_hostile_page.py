"""Hostile output of models, prompts, file names and errors is displayed as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Seen, open_page
from command_line import hforch
from reported import write_hostile

SCRIPT = "<script>window.ran = 'script'</script>"
HANDLER = "<img src=x onerror=\"window.ran = 'handler'\"><svg onload=\"window.ran = 'svg'\">"
HOSTILE = {
    "a script": SCRIPT,
    "the end of a script": "</script><script>window.ran = 'ended'</script><!-- <script> -->",
    "an event handler": HANDLER,
    "a link": "<a href=\"javascript:window.ran='link'\">javascript:window.ran='link'</a>",
    "template braces": "{{ 7 * 7 }} ${window.ran='braces'} {% raw %} <%= 1 %> `window.ran`",
    "an entity": "&lt;script&gt; &amp; &#x3c;",
    "the end of attributes": "\" autofocus onfocus=\"window.ran='focus'\" x='",
    "loads": "<link rel=stylesheet href=https://example.org/x.css><iframe src=https://example.org></iframe>@import 'https://example.org/x';",
    "a base": "<base href=https://example.org/><meta http-equiv=refresh content='0;url=https://example.org'>",
    "the end of all": "</textarea></title></style></template></noscript></dialog></main></body></html>",
    "prototype": "__proto__ constructor toString",
}
SHAPELESS = {
    "a right-to-left override": ("safe \u202e cod.exe", "safe U+202E cod.exe"),
    "NUL bytes": ("one\x00two\x00", "one␀two␀"),
    "ANSI codes": ("\x1b[31mred\x1b[0m\x07", "␛[31mred␛[0m␇"),
    "no width": ("in\u200bvis\u2060ible\ufeff", "inU+200BvisU+2060ibleU+FEFF"),
    "tags": ("a\U000e0041\U000e007f", "aU+E0041U+E007F"),
    "a carriage return": ("one\rtwo", "one␍two"),
}
EMOJI = "👩‍🚀 日本語 العربية שלום ñ́"
LINES = "".join(f"line\x07 {number}\n" for number in range(2500)) + "one more\n" * 1200 + "the last"
"""More lines than one element holds; the first element starts in the middle of a line."""
TEXTS = [*HOSTILE.values(), *(text for text, _ in SHAPELESS.values()), EMOJI, LINES]
NAMES = {
    "model": f"../{SCRIPT}{HANDLER}",
    "prompt": f"{SCRIPT}{{{{ 7 * 7 }}}}",
    "check": f"check {HANDLER}",
    "why": f"because </script>{SCRIPT}",
    "error": f"failed: {HANDLER}{SCRIPT}\x1b[31m\u202e",
    "os": f"os {SCRIPT}",
    "cwd": f"/tmp/{SCRIPT} '; rm -rf $HOME #",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile") / "<img src=x onerror=window.ran=1>"
    write_hostile(directory, TEXTS, NAMES)
    hforch("report", str(directory), "--optimize", "tokens_per_s", code=3)  # both jobs failed
    return directory / "report.html"


@pytest.fixture(scope="module")
def opened(browser: Any, hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    copy = tmp_path_factory.mktemp("opened") / "page.html"  # the directory's name is not valid in a URL
    copy.write_bytes(hostile.read_bytes())
    seen = open_page(browser, copy)
    yield seen
    seen.page.context.close()


@pytest.fixture
def seen(opened: Seen) -> Any:
    """The page, opened once for all tests; each test restores its state."""
    yield opened
    assert opened.page.evaluate("window.ran === undefined")
    assert opened.is_quiet()
    opened.page.evaluate("location.hash = ''")
    opened.page.wait_for_selector("#drawer", state="hidden")
    opened.page.evaluate("document.getElementById('grid').scrollTop = 0")


def own_elements(seen: Seen) -> set[str]:
    return set(seen.page.evaluate("[...document.querySelectorAll('body *')].map((one) => one.localName)"))


def text_in(seen: Seen, selector: str) -> str:
    return str(seen.page.evaluate("(selector) => document.querySelector(selector).textContent", selector))


def in_drawer(seen: Seen, title: str) -> Any:
    return seen.page.locator("#drawer section", has=seen.page.locator("h3", has_text=title)).locator(".text")


def test_hostile_text_creates_no_elements(seen: Seen) -> None:
    for index in range(len(TEXTS)):
        seen.page.evaluate("(top) => { document.getElementById('grid').scrollTop = top; }", index * 100)
        seen.page.wait_for_timeout(30)
    assert not own_elements(seen) & {"img", "iframe", "link", "base", "meta", "object"}
    assert seen.page.evaluate("document.querySelectorAll('body a').length") == 1  # the page's own skip link
    assert seen.page.evaluate("document.querySelectorAll('script').length") == 4  # summary, one part, library, page
    names = "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
    assert not [name for name in seen.page.evaluate(names) if name.startswith("on")]


@pytest.mark.parametrize("index", range(len(HOSTILE)), ids=[*HOSTILE])
def test_hostile_text_is_shown_unchanged(seen: Seen, index: int) -> None:
    text = [*HOSTILE.values()][index]
    seen.page.evaluate(f"location.hash = 'open={index}.1'")
    seen.page.wait_for_selector("#drawer[open]")
    shown = in_drawer(seen, "Raw output")
    assert shown.evaluate("(one) => one.textContent") == text
    prompt = in_drawer(seen, "Rendered prompt")
    assert prompt.evaluate("(one) => one.textContent") == text


@pytest.mark.parametrize("name", [*SHAPELESS])
def test_hidden_characters_are_made_visible(seen: Seen, name: str) -> None:
    index = len(HOSTILE) + [*SHAPELESS].index(name)
    seen.page.evaluate(f"location.hash = 'open={index}.1'")
    seen.page.wait_for_selector("#drawer[open]")
    shown = in_drawer(seen, "Raw output")
    assert shown.evaluate("(one) => one.textContent") == SHAPELESS[name][1]


def test_scripts_and_emoji_are_shown_unchanged(seen: Seen) -> None:
    seen.page.evaluate(f"location.hash = 'open={TEXTS.index(EMOJI)}.1'")
    seen.page.wait_for_selector("#drawer[open]")
    shown = in_drawer(seen, "Raw output")
    assert shown.evaluate("(one) => one.textContent") == EMOJI
    assert shown.get_attribute("dir") == "auto"


def test_names_errors_and_commands_are_shown_as_text(seen: Seen) -> None:
    jobs, about = text_in(seen, "#jobs"), text_in(seen, "#about")
    assert NAMES["error"].replace("\x1b", "␛").replace("\u202e", "U+202E") in jobs
    assert NAMES["model"][:25] in jobs and NAMES["os"] in about
    seen.page.click("table.jobs tbody tr:nth-child(2) th button")
    assert NAMES["cwd"].replace("'", "'\"'\"'") in text_in(seen, "#again-1 .code code")
    assert NAMES["check"] in text_in(seen, "#check")
    seen.page.hover("#charts svg path[aria-roledescription=point]")
    assert NAMES["model"][:25] in seen.page.inner_text("#tip")
    seen.page.select_option("#check", f"-{NAMES['check']}")
    assert seen.page.inner_text("#count").startswith(f"{len(TEXTS)} of")
    seen.page.fill("#q", "<script>")
    assert SCRIPT[:8] in seen.texts("table.answers mark")[0]


def test_many_lines_can_be_copied_unchanged(seen: Seen) -> None:
    seen.page.evaluate(f"location.hash = 'open={TEXTS.index(LINES)}.1'")
    seen.page.wait_for_selector("#drawer[open]")
    shown = in_drawer(seen, "Raw output")
    assert shown.locator(".lines").count() > 1
    select = "(one) => { getSelection().selectAllChildren(one); return getSelection().toString(); }"
    assert shown.evaluate(select).replace("␇", "\x07") == LINES
    seen.page.evaluate("getSelection().removeAllRanges()")


def test_a_megabyte_is_shown_in_full(browser: Any, tmp_path: Path) -> None:
    long = "word " * 200_000 + "the end"
    lines = "x\n" * 500_000
    unbroken = "y" * 1_000_000
    write_hostile(tmp_path / "sweep", [long, lines, unbroken], dict.fromkeys(NAMES, "plain"))
    hforch("report", str(tmp_path / "sweep"))
    seen = open_page(browser, tmp_path / "sweep" / "report.html", charts=False)
    assert seen.page.evaluate("document.querySelector('table.answers').textContent.length") < 20_000
    for index, text in enumerate((long, lines, unbroken)):
        seen.page.evaluate(f"location.hash = 'open={index}.1'")
        seen.page.wait_for_selector("#drawer[open]")
        shown = in_drawer(seen, "Raw output")
        assert shown.evaluate("(one) => one.textContent.length") == len(text)
        seen.page.keyboard.press("Escape")
    assert seen.is_quiet()
