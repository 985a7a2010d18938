"""Configurations of random mistakes: never a traceback, always exit code 2, always the mistaken path named.

HFORCH_FUZZ=5000 makes that many, other ones each time; without it the same ones are made every time.
"""

from __future__ import annotations

import contextlib
import io
import os
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
LONGEST_WHERE = 60  # of what was typed, which a report may shorten in its middle


def test_every_mistake_of_a_configuration_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def accepted(job: Any, *rest: object) -> int:
        raise AssertionError(f"accepted: {job!r}")

    monkeypatch.setattr(hforch.runs, "run", accepted)

    @settings(
        max_examples=EXAMPLES or 40,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        phases=[Phase.generate],  # shrinking one takes minutes, and the report says enough
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
            return  # nothing may be wrong with it
        assert code == EXIT_USAGE
        assert "Traceback" not in err and "internal error" not in err
        assert out == ""
        assert len(err) < LONGEST_REPORT
        for told in line.told:
            if not may_stay_untold(told, line):
                path, where = told.path, line.where(told)
                assert any(tells(block, path, where) for block in blocks(err)), (path, where)

    fuzz()


def test_mistakes_are_made_in_every_group() -> None:
    assert {key.group for key in keys()} == set(groups())


def run(line: Line, words: Sequence[str]) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command line in this folder, which must stay as it is."""
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
    """Whether it is a value of a recipe's, and an option that was chosen on the command line takes its place."""
    return told.where == RECIPE and told.line is not None and told.group in line.chosen


def may_stay_untold(told: Told, line: Line) -> bool:
    """Whether another mistake keeps this one from being seen: a flag, a whole file, or the choice of its group."""
    if is_replaced(told, line):
        return True
    others = [other for other in line.told if other is not told]
    if told.kind != "bad_flag" and any(other.kind == "bad_flag" for other in others):
        return True
    if any(other.kind == "cannot_be_parsed" and other.where == told.where for other in others):
        return True  # the first such value of a file is told, and nothing else of it
    if any(other.where == RECIPE for other in others):
        return True  # a recipe is read before all else, and refused as a whole
    if told.hides != "all" and any(other.hides == "all" for other in others):
        return True
    group = [other for other in others if other.hides == "group" and other.group == told.group]
    return bool(group) and (told.hides == "" or any(other.kind == "cannot_be_parsed" for other in group))


def blocks(report: str) -> list[str]:
    """The text of each mistake: a line, and those below it that are indented."""
    found: list[str] = []
    for line in report.splitlines():
        if line.startswith("    ") and found:
            found[-1] += f"\n{line}"
        elif line and not line.endswith("errors; nothing was run:"):
            found.append(line)
    return found


def tells(block: str, path: str, where: str) -> bool:
    """Whether a block is about this path, a part of it, or what it is a part of; and says where it was written."""
    begun = shown(where)[:LONGEST_WHERE].encode("utf-8", "backslashreplace").decode()
    names = path.split(".")
    above = [".".join(names[:depth]) for depth in range(1, len(names) + 1)]
    return (not path or block.startswith((f"{path}.", *(f"{each}:" for each in above)))) and begun in block
