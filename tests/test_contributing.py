"""The worked examples of CONTRIBUTING.md are complete: in a copy of the repository their tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import ROOT
from repository_copy import copy_with, examples, hforch_of, python_of

PAGE = ROOT / "CONTRIBUTING.md"
FILES = {"A check": 2, "A tracker": 3, "A launcher": 2}
"""By heading: how many files an example has, its test included."""


@pytest.mark.parametrize("heading", FILES)
def test_an_example_is_complete(heading: str, tmp_path: Path) -> None:
    files = examples(PAGE, heading)
    assert len(files) == FILES[heading]
    copy = copy_with(files, tmp_path)
    if heading == "A check":  # what `make schema` does
        assert python_of(copy, "-m", "hforch.checks.docs", str(copy / "docs" / "checks.md")).returncode == 0
    tests = [copy / path for path in files if path.startswith("tests/")]
    (folder,) = {test.parent for test in tests}
    done = python_of(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={copy}", *map(str, tests))
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    if heading == "A check":
        done = python_of(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={copy}", str(folder))
        assert done.returncode == 0, done.stdout


def test_a_check_that_is_added_judges_a_run(tmp_path: Path) -> None:
    copy = copy_with(examples(PAGE, "A check"), tmp_path)
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "hydra.run.dir=out")
    replies = "backend.replies=[{match: '', text: 'It is so.'}]"
    done = hforch_of(
        copy, *words, replies, "checks.items=[{ends_with: .}, {ends_with: '?'}]", "runtime.min_pass=1", code=3
    )
    assert "ends_with '?': it ends with '.'" in done.stdout
    assert "checks: 4 of 8 passed" in done.stdout
    said = hforch_of(copy, *words, "checks.items=[{ends_wiht: .}]", code=2).stderr
    assert "did you mean ends_with?" in said and "contains, ends_with, equals" in said
    assert '"ends_with"' in hforch_of(copy, "schema", "checks").stdout
