"""Choosing the input column that supplies the only variable of a prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import hforch

from hforch.config.compose import job_from_overrides
from hforch.config.prompt_columns import NoColumn, choose
from hforch.errors import ConfigError

CHOSEN = [
    ("question", None, ["expected", "question"], "question"),
    ("question", None, ["prompt", "expected"], "prompt"),
    ("question", None, ["id", "Instruction", "output"], "Instruction"),
    (None, "question", ["text", "label"], "text"),
    (None, None, ["label", "input"], "input"),
    (None, None, ["Any name at all"], "Any name at all"),
    ("question", None, ["query"], "query"),
    ("question", "b", ["question", "b"], "b"),
    ("topic", None, ["topic", "question"], "topic"),
]


@pytest.mark.parametrize(("variable", "column", "columns", "found"), CHOSEN)
def test_the_obvious_column_is_chosen(variable: str, column: str, columns: list[str], found: str) -> None:
    assert choose(variable, column, columns) == found


REFUSED = [
    ("question", None, ["prompt", "text", "id"], ("prompt", "text")),
    (None, None, ["question", "instruction"], ("question", "instruction")),
    ("question", None, ["query", "id"], ()),
    ("question", None, ["What is a volt?"], ()),  # the first row of a CSV file without a header
    ("topic", None, ["question"], ()),  # a name that the user chose
    ("question", "text", ["prompt"], ()),
]


@pytest.mark.parametrize(("variable", "column", "columns", "likely"), REFUSED)
def test_a_column_that_is_not_obvious_is_not_chosen(
    variable: str, column: str, columns: list[str], likely: tuple[str, ...]
) -> None:
    with pytest.raises(NoColumn) as caught:
        choose(variable, column, columns)
    assert caught.value.likely == likely


@pytest.mark.parametrize("prompt", ["raw", "question", "chat", "step_by_step"])
def test_a_run_reports_and_records_the_column(prompt: str, tmp_path: Path) -> None:
    file, run = tmp_path / "q.csv", tmp_path / "run"
    file.write_text("id;prompt\n1;Name a metal.\n2;Name a gas.\n", encoding="utf-8")
    words = ("backend=fake", "backend.replies=[{match: metal, text: ' iron'}]", f"prompt={prompt}", "inputs=file")
    done = hforch(*words, f"inputs.path={file}", f"hydra.run.dir={run}", "runtime.warmup=0")
    assert done.stderr.count(f"note: {file}: the prompt is the column 'prompt'") == 1
    assert "does not use these input columns: 'id'\n" in done.stdout + done.stderr
    record = json.loads((run / "record.json").read_text())
    assert record["inputs"] == {"format": "csv", "delimiter": ";", "column": "prompt"}
    assert json.loads((run / "samples.jsonl").read_text().splitlines()[0])["text"].strip() == "iron"


@pytest.mark.parametrize("prompt", ["raw", "question", "chat", "step_by_step"])
def test_several_candidates_are_an_error_that_prompt_column_resolves(prompt: str, tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    row = {"instruction": "Translate.", "input": "Hello", "output": "Bonjour"}
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    words = ("backend=fake", f"prompt={prompt}", f"hydra.run.dir={tmp_path / 'run'}")
    for inputs in (
        ("inputs=file", f"inputs.path={file}"),
        ("inputs.items=[{instruction: Translate., input: Hello, output: Bonjour}]",),
    ):
        said = hforch(*words, *inputs, code=2).stderr
        assert "prompt.column: several input columns could be the prompt: 'instruction', 'input'" in said
        assert "prompt.column=instruction" in said
    done = hforch(*words, "prompt.column=input", "inputs=file", f"inputs.path={file}")
    assert "the prompt is the column" not in done.stderr
    assert json.loads((tmp_path / "run" / "record.json").read_text())["inputs"] == {"format": "jsonl"}


def test_rows_without_the_chosen_column_are_errors(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"prompt": "a", "id": 1}\n{"id": 2}\n', encoding="utf-8")
    words = ("backend=fake", "prompt=chat", "inputs=file", f"inputs.path={file}", f"hydra.run.dir={tmp_path / 'run'}")
    said = hforch(*words, code=2).stderr
    assert "input 2: missing column 'prompt', which is the prompt of other inputs" in said and f"{file}:2" in said


def test_prompt_column_needs_a_prompt_with_one_variable() -> None:
    words = ["prompt=chat", "prompt.system='Be {tone}.'", "prompt.column=a", "inputs.items=[{question: a, tone: b}]"]
    with pytest.raises(ConfigError, match=r"prompt\.column: is for prompts with one variable; this prompt has 2"):
        job_from_overrides(words)
