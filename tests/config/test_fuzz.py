"""Configurations with random errors exit with code 2 and name the wrong path, without a traceback.

HFORCH_FUZZ=5000 generates that many, different ones in each run; without it, the same ones are generated in every run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from kinds_of_mistakes import lines_with_mistakes
from wrong_lines import RECIPE, Line, Told
from wrong_values import keys

import hforch.runs
from hforch import cli
from hforch.config.keys import groups
from hforch.errors import EXIT_USAGE, shown

EXAMPLES = int(os.environ.get("HFORCH_FUZZ", "0"))
LONGEST_REPORT = 20_000  # characters
LONGEST_WHERE = 60  # characters of an override, whose middle a report may omit


def test_every_error_in_a_configuration_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def accepted(job: Any, *rest: object) -> int:
        raise AssertionError(f"accepted: {job!r}")

    monkeypatch.setattr(hforch.runs, "run", accepted)

    @settings(
        max_examples=EXAMPLES or 40,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        phases=[Phase.generate],  # shrinking an example takes minutes, and the report is sufficient
        suppress_health_check=list(HealthCheck),  # examples are large: several files and a command line
    )
    @given(lines_with_mistakes())
    def fuzz(made: tuple[Line, list[str]]) -> None:
        line, words = made
        note(f"{words}\n{line.all_files()}\n{line.told}")
        with TemporaryDirectory(dir=tmp_path) as folder, contextlib.chdir(folder):
            code, out, err = run(line, words)
        note(err)
        if all(is_replaced(told, line) for told in line.told):
            return  # there may be no error
        assert code == EXIT_USAGE
        assert "Traceback" not in err and "internal error" not in err
        assert out == ""
        assert len(err) < LONGEST_REPORT
        for told in line.told:
            if not may_stay_untold(told, line):
                path, where = told.path, line.where(told)
                assert any(tells(block, path, where) for block in blocks(err)), (path, where)

    fuzz()


def test_every_group_is_fuzzed() -> None:
    assert {key.group for key in keys()} == set(groups())


def run(line: Line, words: Sequence[str]) -> tuple[int, str, str]:
    """Run a command line and return its exit code, stdout and stderr; it must not change the current folder."""
    for name, content in line.all_files().items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    before = sorted(Path().rglob("*"))
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    assert sorted(Path().rglob("*")) == before
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def is_replaced(told: Told, line: Line) -> bool:
    """Return whether the error is a value in a recipe that an option on the command line replaces."""
    return told.where == RECIPE and told.line is not None and told.group in line.chosen


def may_stay_untold(told: Told, line: Line) -> bool:
    """Return whether another error may hide this one: a flag, a whole file, or the option of its group."""
    if is_replaced(told, line):
        return True
    others = [other for other in line.told if other is not told]
    if told.kind != "bad_flag" and any(other.kind == "bad_flag" for other in others):
        return True
    if any(other.kind == "cannot_be_parsed" and other.where == told.where for other in others):
        return True  # only the first such value in a file is reported
    if any(other.where == RECIPE for other in others):
        return True  # a recipe is validated first, and refused entirely
    if told.hides != "all" and any(other.hides == "all" for other in others):
        return True
    group = [other for other in others if other.hides == "group" and other.group == told.group]
    return bool(group) and (told.hides == "" or any(other.kind == "cannot_be_parsed" for other in group))


def blocks(report: str) -> list[str]:
    """Return the text of each error: a line and the indented lines below it."""
    found: list[str] = []
    for line in report.splitlines():
        if line.startswith("    ") and found:
            found[-1] += f"\n{line}"
        elif line and not re.fullmatch(r"\d+ errors(; nothing was run)?:", line):
            found.append(line)
    return found


def tells(block: str, path: str, where: str) -> bool:
    """Return whether a block names the path, or one above or below it, and the place where it was set."""
    begun = shown(where)[:LONGEST_WHERE].encode("utf-8", "backslashreplace").decode()
    names = path.split(".")
    above = [".".join(names[:depth]) for depth in range(1, len(names) + 1)]
    return (not path or block.startswith((f"{path}.", *(f"{each}:" for each in above)))) and begun in block
