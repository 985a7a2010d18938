"""Runs with checks, on the fake backend."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run as run_command

from hforch.backends.load_key import load_key
from hforch.checks.registry import KINDS
from hforch.config.compose import compose, job_from_overrides
from hforch.config.schema import Job
from hforch.errors import ConfigError
from hforch.records.record_files import read_record, read_samples
from hforch.report.wording import answer_lines, summary_lines
from hforch.runs import JobContext, run
from hforch.runs.identity import job_id
from hforch.runs.watcher import NullWatcher

DOCUMENT = (Path(__file__).parents[2] / "docs/checks.md").read_text(encoding="utf-8")
FRENCH = (
    "backend=fake",
    "inputs=numbers_in_french",
    "backend.replies=[{match: number 0, text: 'It is zero.'},{match: number 1, text: un},{match: '', text: no idea}]",
)


def do(directory: Path, *overrides: str, code: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    job = job_from_overrides([*overrides, "runtime.isolation=inline"])
    assert run(job, directory, JobContext(overrides), NullWatcher()) == code
    return read_record(directory), list(read_samples(directory))


def test_samples_have_check_results_and_the_record_counts_them(tmp_path: Path) -> None:
    record, samples = do(tmp_path, *FRENCH, "checks.items=[{icontains: ZERO}, {contains: idea, negate: true}]")
    passed = [[check["passed"] for check in sample["checks"]] for sample in samples]
    assert passed == [[True, True], [False, True], [False, False], [False, False]]
    assert samples[1]["checks"][0] == {
        "name": "icontains 'ZERO'",
        "passed": False,
        "why": samples[1]["checks"][0]["why"],
    }
    assert record["totals"]["checks"] == {
        "passed": 3,
        "total": 8,
        "each": [
            {"name": "icontains 'ZERO'", "passed": 1, "total": 4},
            {"name": "not contains 'idea'", "passed": 2, "total": 4},
        ],
    }
    assert (record["status"], record["exit_code"]) == ("ok", 0)
    assert Job.model_validate(record["job"]).checks.items[1].negate


def test_without_checks_there_are_no_results(tmp_path: Path) -> None:
    record, samples = do(tmp_path, *FRENCH)
    assert record["totals"]["checks"] is None
    assert all(sample["checks"] == [] for sample in samples)


def test_every_repeat_is_checked(tmp_path: Path) -> None:
    record, _ = do(tmp_path, *FRENCH, "checks.items=[{equals: un}]", "runtime.repeat=3")
    assert record["totals"]["checks"]["each"] == [{"name": "equals 'un'", "passed": 3, "total": 12}]


@pytest.mark.parametrize(("share", "code"), [("0.5", 3), ("0.25", 0), ("null", 0)])
def test_the_exit_code_is_3_below_min_pass(share: str, code: int, tmp_path: Path) -> None:
    record, _ = do(tmp_path, *FRENCH, "checks.items=[{equals: un}]", f"runtime.min_pass={share}", code=code)
    assert (record["status"], record["exit_code"]) == ("ok", code)


def test_a_failed_sample_takes_precedence_over_min_pass(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 1, error: out of ink, after: 0}]"
    words = (*FRENCH, failing, "checks.items=[{equals: un}]", "runtime.min_pass=0.9", "runtime.batch_size=1")
    record, samples = do(tmp_path, *words, code=1)
    assert record["status"] == "failed"
    assert samples[1]["checks"] == [{"name": "equals 'un'", "passed": False, "why": "no answer"}]
    assert record["totals"]["checks"]["total"] == 4


def test_a_streamed_answer_is_checked(tmp_path: Path) -> None:
    words = ("backend=fake", "backend.replies=[{match: '', text: Paris}]", "checks.items=[{equals: Paris}]")
    record, (sample,) = do(tmp_path, *words, "prompt.echo=true")
    assert sample["text"].endswith("Paris") and sample["text"] != "Paris"
    assert record["totals"]["checks"]["passed"] == 1


def test_columns_are_checked_before_the_model_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text("question,expected\nnumber 1, un \nnumber 2,\n", encoding="utf-8")
    words = ("backend=fake", "inputs=file", f"inputs.path={file}")
    with pytest.raises(ConfigError, match=r"input 2 of .*q.csv has an invalid value in column 'expected': it is empty"):
        do(tmp_path / "contains", *words, "checks=contains_expected")
    record = read_record(tmp_path / "contains")
    assert record["exit_code"] == 2 and "timings" not in record
    record, _ = do(tmp_path / "equals", *words, "checks=expected", "backend.replies=[{match: 'r 1', text: un}]")
    assert record["totals"]["checks"]["passed"] == 1
    assert record["warnings"] == []  # the column is used


def test_checks_change_neither_the_job_id_nor_the_load_key() -> None:
    plain, checked = (job_from_overrides(words) for words in ([], ["checks=json", "runtime.min_pass=1"]))
    assert job_id(plain, []) == job_id(checked, [])
    assert load_key(plain) == load_key(checked)


# ---------------------------------------------------------------- output
def test_failed_checks_are_shown_below_their_answer(tmp_path: Path) -> None:
    record, samples = do(tmp_path, *FRENCH, "checks.items=[{equals: un}]", "runtime.min_pass=1", code=3)
    told = [text for text, _ in answer_lines(samples[0], 1, 4, streamed=False)]
    assert told[-1] == "check failed: equals 'un': the answer is 'It is zero.', not 'un'"
    assert not any("check" in text for text, _ in answer_lines(samples[1], 2, 4, streamed=False))
    assert "checks: 1 of 4 passed, below runtime.min_pass" in summary_lines(record, "x")[0]
    record, _ = do(tmp_path / "more", *FRENCH, "checks.items=[{equals: un}]")
    assert summary_lines(record, "x")[0].endswith("checks: 1 of 4 passed")


def test_a_command_exits_with_3_below_min_pass(tmp_path: Path) -> None:
    done = run_command(*FRENCH, "checks.items=[{equals: un}]", "runtime.min_pass=0.9", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout.count("check failed: equals 'un'") == 3
    assert "checks: 1 of 4 passed" in done.stdout


# ---------------------------------------------------------------- docs/checks.md
def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("console") for line in block.splitlines()]


def test_the_document_has_examples() -> None:
    assert len(COMMANDS) >= 2 and len(blocks("yaml")) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_document_work(command: str, tmp_path: Path) -> None:
    done = run_command(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"checks: \d+ of \d+ passed", done.stdout)


def test_the_files_of_the_document_compose(tmp_path: Path) -> None:
    own, recipe, any_of = blocks("yaml")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/mine.yaml").write_text(own, encoding="utf-8")
    job_context = "inputs.items=[{question: a, expected: b}]"
    assert len(compose(["checks=mine", job_context], config_dir=tmp_path).job.checks.items) == 3
    (tmp_path / "checks/either.yaml").write_text(f"defaults: [none]\nitems:\n{any_of}", encoding="utf-8")
    assert compose(["checks=either", job_context], config_dir=tmp_path).job.checks.items[0].kind == "any_of"
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    assert len(compose([], recipe=tmp_path / "recipe.yaml").job.checks.items) == 2


def test_the_examples_in_the_documents_table_are_valid() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `([^`]*)` \|$", DOCUMENT, re.MULTILINE)
    assert sorted(kind for kind, _ in rows) == sorted(KINDS)
    for kind, written in rows:
        checks = {"items": [yaml.safe_load(written)], "strip": True}
        tree = job_from_overrides([]).model_dump(mode="json") | {"checks": checks}
        assert Job.model_validate(tree).checks.items[0].kind == kind
