"""The worked examples of CONTRIBUTING.md are complete: in a copy of the repository their tests pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import ROOT
from repository_copy import Copy, examples

PAGE = ROOT / "CONTRIBUTING.md"
FILES = {"A metric": 2, "A backend": 4, "A check": 2, "A tracker": 3, "A launcher": 2}
"""By heading: how many files an example has, its test included."""
BESIDE = {
    "A metric": ("metrics/test_registry.py", "metrics/test_metric_docs.py"),
    "A backend": ("backends/test_capabilities.py",),
    "A check": ("checks/test_kinds.py",),
    "A tracker": (),
    "A launcher": ("launchers/test_launchers.py",),
}
"""By heading: tests about all entries of the registry."""
OF_ALL = ("runs/test_affects.py", "config/test_compose.py", "config/test_json_schema.py")
SHIPPED = (  # the others look at nothing that an entry of a registry could change
    "changing_a_key or says_what_it_affects or earlier_records or shipped_option or key_of_ or defaults_are or told_with"
    " or schema or options_fit or in_conf"
)


@pytest.mark.parametrize("heading", FILES)
def test_an_example_is_complete(heading: str, tmp_path: Path) -> None:
    files = examples(PAGE, heading)
    assert len(files) == FILES[heading]
    with Copy(files, tmp_path) as copy:
        (test,) = (path for path in files if path.startswith("tests/"))
        make_schema(copy)
        words = ("-q", "-n", "0", "-p", "no:cacheprovider", f"--rootdir={copy.path}")
        assert "passed" in copy.python(
            "-m", "pytest", *words, *copy.tests(test.removeprefix("tests/"), *BESIDE[heading])
        )
        assert "passed" in copy.python("-m", "pytest", *words, "-k", SHIPPED, *copy.tests(*OF_ALL))


def make_schema(copy: Copy) -> None:
    """Do what `make schema` does."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nschema:")[2].partition("\n\n")[0]
    commands = re.findall(r"^\t\$\(BIN\)/(?:python -m )?(\S+) (.+)$", lines, re.MULTILINE)
    assert len(commands) > 3
    for module, arguments in commands:
        *flags, target = arguments.split()
        copy.python("-m", module, *flags, str(copy.path / target))


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
