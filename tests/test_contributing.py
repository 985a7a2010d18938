"""The examples in CONTRIBUTING.md are complete: in a copy of the repository their tests pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import ROOT, hforch
from repository_copy import Copy, examples

PAGE = ROOT / "CONTRIBUTING.md"
FILES = {"A metric": 2, "A backend": 4, "A check": 2, "A tracker": 3, "A launcher": 2}
"""The number of files of each example, including its test, by heading."""
BESIDE = {
    "A metric": ["metrics/test_registry.py", "metrics/test_metric_docs.py"],
    "A backend": ["backends/test_capabilities.py"],
    "A check": [
        "checks/test_kinds.py",
        "runs/test_checked_runs.py::test_the_examples_in_the_documents_table_are_valid",
    ],
}
"""Tests that cover all entries of the registry, by heading."""
OF_CONFIGURATION = (
    "runs/test_affects.py",
    "config/test_compose.py",
    "config/test_json_schema.py",
    "trackers/test_trackers.py",
)
OF_ALL_OPTIONS = (
    "changing_a_key or declares_its_effects or earlier_records or built_in_option or key_of_the_schema or defaults_list"
    " or jax or floppy or batch_size or tracker_options or changes_neither or committed or in_conf"
)
"""Of those, the tests that cover all options, keys or backends."""


@pytest.mark.parametrize("heading", FILES)
def test_an_example_is_complete(heading: str, tmp_path: Path) -> None:
    files = examples(PAGE, heading)
    assert len(files) == FILES[heading]
    with Copy(files, tmp_path) as copy:
        (test,) = (path.removeprefix("tests/") for path in files if path.startswith("tests/"))
        if heading in BESIDE:
            make_schema(copy)
        assert "passed" in copy.pytest(test, *BESIDE.get(heading, ()))


def test_tests_of_the_whole_configuration_pass_with_all_examples(tmp_path: Path) -> None:
    files = {path: text for heading in FILES for path, text in examples(PAGE, heading).items()}
    with Copy(files, tmp_path) as copy:
        make_schema(copy)
        done = copy.pytest("-k", OF_ALL_OPTIONS, *OF_CONFIGURATION)
        assert int(re.search(r"(\d+) passed", done)[1]) > 150  # type: ignore[index]


def test_a_new_key_needs_a_field_a_default_and_a_value_for_older_records(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0")
    run = str(tmp_path / "run")
    hforch(*words, f"hydra.run.dir={run}")
    schema = (ROOT / "hforch/config/schema.py").read_text(encoding="utf-8")
    field = "    pause_s: Annotated[float, NOTHING]\n\n    added: ClassVar[Mapping[str, Any]] = {'pause_s': 0.0}\n"
    schema = schema.replace("\n\n\nclass Job(", f"\n{field}\n\nclass Job(")
    schema = schema.replace("from typing import ", "from collections.abc import Mapping\nfrom typing import ClassVar, ")
    default = (ROOT / "conf/runtime/default.yaml").read_text(encoding="utf-8") + "pause_s: 0.5  # between batches\n"
    with Copy({"hforch/config/schema.py": schema, "conf/runtime/default.yaml": default}, tmp_path) as copy:
        recipe = str(tmp_path / "frozen.yaml")
        copy.hforch("freeze", run, "-o", recipe)
        assert "pause_s: 0.0" in Path(recipe).read_text(encoding="utf-8")
        assert "identical" in copy.hforch("verify", recipe, "--output", str(tmp_path / "again")).stdout
        copy.hforch("resume", run)
        copy.hforch("compare", run, str(tmp_path / "again"))
        assert "passed" in copy.pytest(
            "-k", "changing_a_key or earlier_records or key_of_the_schema", *OF_CONFIGURATION[:2]
        )


def make_schema(copy: Copy) -> None:
    """Do the same as `make schema`."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nschema:")[2].partition("\n\n")[0]
    commands = re.findall(r"^\t\$\(BIN\)/(?:python -m )?(\S+) (.+)$", lines, re.MULTILINE)
    assert len(commands) > 3
    for module, arguments in commands:
        *flags, target = arguments.split()
        copy.python("-m", module, *flags, str(copy.path / target))


def test_an_added_check_judges_a_run(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "hydra.run.dir=out")
    replies = "backend.replies=[{match: '', text: 'It is so.'}]"
    checks = "checks.items=[{ends_with: .}, {ends_with: '?'}]"
    with Copy(examples(PAGE, "A check"), tmp_path) as copy:
        done = copy.hforch(*words, replies, checks, "runtime.min_pass=1", code=3)
        assert "ends_with '?': the answer ends with '.'" in done.stdout
        assert "checks: 4 of 8 passed" in done.stdout
        said = copy.hforch(*words, "checks.items=[{ends_wiht: .}]", code=2).stderr
        assert "did you mean ends_with?" in said and "contains, ends_with, equals" in said
        assert '"ends_with"' in copy.hforch("schema", "checks").stdout
