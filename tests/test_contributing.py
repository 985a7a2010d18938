"""The worked examples of CONTRIBUTING.md are complete: in a copy of the repository their tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import ROOT
from repository_copy import Copy, examples

PAGE = ROOT / "CONTRIBUTING.md"
FILES = {"A metric": 2, "A backend": 4, "A check": 2, "A tracker": 3, "A launcher": 2}
"""By heading: how many files an example has, its test included."""


@pytest.mark.parametrize("heading", FILES)
def test_an_example_is_complete(heading: str, tmp_path: Path) -> None:
    files = examples(PAGE, heading)
    assert len(files) == FILES[heading]
    with Copy(files, tmp_path) as copy:
        (test,) = (copy.path / path for path in files if path.startswith("tests/"))
        beside = []
        if heading == "A check":  # what `make schema` does
            copy.python("-m", "hforch.checks.docs", str(copy.path / "docs" / "checks.md"))
            beside = [str(copy.path / "tests" / "checks" / "test_kinds.py")]
        words = ("-q", "-p", "no:cacheprovider", f"--rootdir={copy.path}", str(test), *beside)
        assert "passed" in copy.python("-m", "pytest", *words)


def test_a_check_that_is_added_judges_a_run(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "hydra.run.dir=out")
    replies = "backend.replies=[{match: '', text: 'It is so.'}]"
    checks = "checks.items=[{ends_with: .}, {ends_with: '?'}]"
    with Copy(examples(PAGE, "A check"), tmp_path) as copy:
        done = copy.hforch(*words, replies, checks, "runtime.min_pass=1", code=3)
        assert "ends_with '?': it ends with '.'" in done.stdout
        assert "checks: 4 of 8 passed" in done.stdout
        said = copy.hforch(*words, "checks.items=[{ends_wiht: .}]", code=2).stderr
        assert "did you mean ends_with?" in said and "contains, ends_with, equals" in said
        assert '"ends_with"' in copy.hforch("schema", "checks").stdout
