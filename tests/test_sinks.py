"""Untrusted text is escaped in every kind of output, without loss where it matters."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
import yaml

from hforch.config.as_recipe import to_yaml
from hforch.report.console import console
from hforch.utils.sanitize import for_csv, for_json, for_markdown, for_terminal, for_xml, is_visible
from hforch.utils.std_streams import Safe, styled

OBEYED = [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029)]
OBEYED += [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0xE0041, 0xD800)]
HARMLESS = "aé日本 👩‍🚀 العربية\u00a0\u3000ñ́ ~^_*#"


@pytest.mark.parametrize("one", OBEYED, ids=lambda one: f"U+{ord(one):04X}")
def test_control_characters_are_escaped(one: str) -> None:
    assert not is_visible(one)
    text = f"a{one}b"
    assert for_terminal(text) == for_xml(text) == "a" + one.encode("unicode_escape").decode() + "b"
    as_json = for_json(json.dumps(text, ensure_ascii=False))
    as_yaml = to_yaml({"key": text, "plain": HARMLESS})
    assert all(is_visible(char) or char == "\n" for char in as_json + as_yaml)
    assert json.loads(as_json) == text
    if unicodedata.category(one) != "Cs":
        assert yaml.safe_load(as_yaml) == {"key": text, "plain": HARMLESS}


def test_printable_characters_are_not_escaped() -> None:
    assert for_terminal(HARMLESS) == for_json(HARMLESS) == for_csv(HARMLESS) == HARMLESS
    assert for_terminal("lines\n\tstay") == "lines\n\tstay"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow([for_csv(text)])
    (row,) = csv.reader(io.StringIO(file.getvalue()))
    assert row[0].startswith("'") and row[0][1:] == for_terminal(text).replace("\t", "\\t")


@pytest.mark.parametrize("value", ["-1.5", "+3", "-2e-5", "-50%", "1", "", -3, 0.5, None])
def test_numbers_stay_numbers(value: object) -> None:
    assert for_csv(value) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "\\<img src=x onerror=alert(1)>"),
        ("![x](http://a.b/c)", "!\\[x\\](http:\\//a.b/c)"),
        ("a|b`c`\\d&lt;", "a\\|b\\`c\\`\\\\d\\&lt;"),
        ("www.a.b https://c", "www\\.a.b https:\\//c"),
        ("one\ntwo\tthree", "one two three"),
        ("runtime.seed=1, max_new_tokens>=8", "runtime.seed=1, max_new_tokens>=8"),
    ],
)
def test_markdown_syntax_is_escaped(text: str, shown: str) -> None:
    assert for_markdown(text) == shown


def test_a_safe_stream_only_passes_styles() -> None:
    raw = io.BytesIO()
    stream = Safe(raw, encoding="utf-8", newline="\n")
    print("one\x1b]52;c;x\x07", file=stream)
    printer = console(stream)
    printer._color_system = None  # do not detect the terminal
    printer.print("two\x1b[2J\u202e", style="bold")
    print("three\x9b", file=styled(stream), end="")
    stream.flush()
    assert raw.getvalue().decode() == "one\\x1b]52;c;x\\x07\ntwo\\x1b[2J\\u202e\nthree\x9b"
