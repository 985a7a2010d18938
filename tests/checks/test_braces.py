"""Literal braces in checks, which are not columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import hforch
from judged import made

from hforch.config.checks import braces_instead_of_columns


@pytest.mark.parametrize(
    ("item", "hint"),
    [
        ({"icontains": "{expected}"}, "write {icontains: {column: expected}}"),
        ({"equals": "It is {expected}."}, "write {equals: {column: expected}}"),
        ({"any_of": [{"equals": "a"}, {"equals": "{expected}"}]}, "write {equals: {column: expected}}"),
    ],
)
def test_braces_that_name_a_column_are_warned_about(item: dict[str, Any], hint: str) -> None:
    (warning,) = braces_instead_of_columns(made(item), {"expected"})
    assert "the literal text {expected}, not with the column 'expected'" in warning.problem and warning.hint == hint


@pytest.mark.parametrize("item", [{"equals": "{other}"}, {"regex": "a{3}"}, {"equals": {"column": "expected"}}])
def test_other_braces_are_not(item: dict[str, Any]) -> None:
    assert not list(braces_instead_of_columns(made(item), {"expected"}))


def test_a_run_prints_the_warning_with_its_place(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=facts", "prompt=chat", "runtime.warmup=0", f"hydra.run.dir={tmp_path / 'run'}")
    done = hforch(*words, "checks.items=[{icontains: '{expected}'}]")
    said = " ".join((done.stdout + done.stderr).split())
    assert "checks.items.0: compares answers with the literal text {expected}" in said
    assert "write {icontains: {column: expected}}" in said and "set in checks.items=[" in said


def test_accepted_answers_are_read_from_json_lines_and_csv(tmp_path: Path) -> None:
    reply = "backend.replies=[{match: '', text: Lutetia}]"
    words = ("backend=fake", reply, "inputs=file", "prompt=chat", "runtime.warmup=0", "runtime.min_pass=1")
    files = {
        "q.jsonl": ('{"question": "a", "expected": ["Paris", "Lutetia"]}\n', "{column: expected}"),
        "q.csv": ("question,expected\na,Paris|Lutetia\n", "{column: expected, separator: '|'}"),
    }
    for name, (text, column) in files.items():
        (tmp_path / name).write_text(text)
        run = tmp_path / f"run-{name}"
        hforch(
            *words, f"inputs.path={tmp_path / name}", f"checks.items=[{{icontains: {column}}}]", f"hydra.run.dir={run}"
        )
        hforch("freeze", str(run), "-o", str(tmp_path / f"{name}.yaml"))
        assert "identical" in hforch("verify", str(tmp_path / f"{name}.yaml")).stdout
    (tmp_path / "q.jsonl").write_text('{"question": "a", "expected": []}\n')
    said = hforch(*words, f"inputs.path={tmp_path / 'q.jsonl'}", "checks=contains_expected", code=2).stderr
    assert "has an invalid value in column 'expected': it is an empty list" in said
