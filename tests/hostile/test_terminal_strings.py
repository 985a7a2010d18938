"""Strings that terminals, spreadsheets and viewers interpret, as names, prompts, answers and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from rule import attempt, examples

PIECES = [
    *(
        "\x1b]52;c;aGk=\x07",
        "\x1b]8;;http://x\x1b\\x\x1b]8;;\x1b\\",
        "\x1b[2J",
        "\x1b[31m",
        "\x1bc",
        "\x9b31m",
        "\x90x\x9c",
    ),
    *(
        "\r",
        "\b\b",
        "\x7f",
        "\x00",
        "\x0b",
        "\x0c",
        "\x85",
        "\u2028",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\U000e0041",
    ),
    *(
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "<script>",
        "![x](http://x)",
        "|",
        "`",
        "]]>",
        "&lt;",
        "a",
        "é",
        "日本",
        "😀",
        "\n",
    ),
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), min_size=1, max_size=6).map("".join)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@examples(200, 5)
@given(texts)
def test_no_string_reaches_the_terminal_unescaped_in_any_command(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("shown")
    note(repr(text))
    items = folder / "items.jsonl"
    items.write_text("".join(json.dumps(item) + "\n" for item in (text, f"2 {text}", {"question": text})), "utf-8")
    fake = [
        "backend=fake",
        "inputs=file",
        f"inputs.path={items}",
        "prompt=raw",
        f"checks.items=[{{contains: {quoted(text)}}}]",
    ]
    typed = text.replace("\0", "")  # a command line cannot contain it
    attempt("backend=fake", f"model.nope={typed}", cwd=folder)
    attempt(typed, "backend=fake", cwd=folder)
    attempt("run", typed, cwd=folder)
    attempt("compare", typed, cwd=folder)
    attempt("--config-dir", typed, cwd=folder)
    attempt("--config-name", typed, "backend=fake", cwd=folder)
    done = attempt("-m", *fake, "runtime.seed=1,2", "hydra.sweep.dir=sweep", cwd=folder)
    assert done.returncode in (0, 3) or "checks.items" in done.stderr, done.stderr  # a string that Hydra cannot parse
    if done.returncode not in (0, 3):
        return
    damaged(folder / "sweep" / "0" / "record.json", text)
    attempt("resume", "sweep", "--dry-run", cwd=folder)
    for shape in ("table", "markdown", "csv", "json"):
        attempt("compare", "sweep", "--format", shape, "--junit", "junit.xml", cwd=folder)
    attempt("report", "sweep", cwd=folder)
    attempt("freeze", "sweep/1", "-o", "frozen.yaml", cwd=folder)
    if (folder / "frozen.yaml").is_file():
        attempt("verify", "frozen.yaml", "--output", "again", cwd=folder)


def damaged(record: Path, text: str) -> None:
    """Put the string where a record names its error, its model and its machine."""
    told = json.loads(record.read_text("utf-8"))
    told |= {"status": "failed", "error": {"type": text, "message": text}, "warnings": [text]}
    told["environment"] = {**told["environment"], "os": text}
    record.write_text(json.dumps(told), "utf-8")
