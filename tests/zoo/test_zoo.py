"""Tests of the comparison of tiny models, and of its table in docs/models.md."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import forking
import pytest
from backends_tested import BACKENDS

from .answering import Answers
from .building import Reference
from .cases import CASES
from .judging import REFUSED, WORKS, WRONG, verdict
from .libraries import common_architectures
from .rows import ROOT, make
from .table import PAGE, documented
from .tokenizer_kinds import KINDS

QUICK = ("granite", "llama", "mistral", "phi3")
"""A model without EOS, legacy SentencePiece, and sliding windows."""
INSTALLED = [name for name in BACKENDS if name == "pytorch" or find_spec("openvino")]
ENVIRONMENT = dict(os.environ)

REFERENCE = Reference([[1, 2], [3]], [[7, 8, 9], [5, 6]], distinct=30.0, gap=0.1)
RIGHT = Answers(
    prompt_ids=[[1, 2], [3]],
    alone=[[7, 8, 9], [5, 6]],
    batch=[[7, 8, 9], [5, 6]],
    alone_texts=["a b", "c"],
    batch_texts=["a b", "c"],
    streams=["a b", "c"],
)


@pytest.mark.model
@pytest.mark.openvino
def test_every_common_architecture_has_a_case() -> None:
    assert {case.model_type for case in CASES} == common_architectures()


def test_the_cases_use_all_kinds_of_tokenizers() -> None:
    assert {case.tokenizer for case in CASES} == KINDS.keys()
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_table_has_all_cases_and_none_is_wrong() -> None:
    rows = documented(PAGE.read_text(encoding="utf-8"))
    assert [row[:3] for row in rows] == [[f"`{case.model_type}`", case.tokenizer, case.variation] for case in CASES]
    wrong = {
        f"{case.name}, {backend}"
        for case, row in zip(CASES, rows, strict=True)
        for backend, cell in zip(BACKENDS, row[3:6], strict=True)
        if not cell.startswith((WORKS, REFUSED)) and not case.not_created
    }
    assert not wrong


def test_correct_answers_work() -> None:
    assert verdict(RIGHT, REFERENCE, streamed=(0, 1)) == WORKS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt_ids": [[1, 2], [4]]}, "1 of 2 prompt ids differ (first at 0)"),
        ({"alone": [[7, 8, 9], [5, 7]]}, "1 of 2 answers differ (first at 1)"),
        ({"batch": [[7, 8, 1], [5, 6]]}, "1 of 2 answers in a batch differ (first at 2)"),
        ({"batch": [[7, 8, 9]]}, "1 of 2 answers in a batch"),
        ({"batch_texts": ["a b", ""]}, "1 of 2 texts in a batch differ (first at 0)"),
        ({"streams": ["a", "c"]}, "1 of 2 streams differ (first at 1)"),
        ({"failed": "generating: KeyError: 'x'"}, "generating: KeyError: 'x'"),
    ],
)
def test_each_difference_is_wrong(changes: dict[str, object], told: str) -> None:
    assert told in verdict(replace(RIGHT, **changes), REFERENCE, streamed=(0, 1)).removeprefix(WRONG)


def test_a_refusal_states_its_reason_without_paths() -> None:
    message = "/tmp/x/model has the architecture 'x', which is not supported (full log: /tmp/y.log)\nUse another."
    found = verdict(Answers(refused=message), REFERENCE)
    assert found == f"{REFUSED}model has the architecture 'x', which is not supported"


def crash(module: str, words: list[str], output: IO[bytes], timeout: float) -> int:
    """Act like processes of which all but the one that builds the model crash."""
    if words[1] != "build":
        return -signal.SIGSEGV
    (Path(words[3]) / "reference.json").write_text(json.dumps(asdict(REFERENCE)))
    return 0


def test_a_crash_is_a_wrong_row(tmp_path: Path) -> None:
    row = make(CASES[0], crash, core=0, keep=tmp_path)
    assert [*row.verdicts.values()] == [f"{WRONG}the process was terminated by SIGSEGV"] * 3
    assert row.is_wrong


def test_a_model_that_cannot_be_created_is_wrong_unless_this_is_known(tmp_path: Path) -> None:
    def fails(module: str, words: list[str], output: IO[bytes], timeout: float) -> int:
        output.write(b"AttributeError: no attribute 'x'\n")
        output.flush()
        return 1

    row = make(CASES[0], fails, core=0, keep=tmp_path)
    assert row.is_wrong and "no attribute 'x'" in row.note
    assert not make(replace(CASES[0], not_created="no attribute 'x'"), fails, core=0, keep=tmp_path).is_wrong


@pytest.mark.model
@pytest.mark.parametrize("name", QUICK)
def test_backends_do_what_the_table_states(name: str, tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "HFORCH_CACHE": str(tmp_path / "cache")}
    server = forking.server_for(BACKENDS, environment)
    (case,) = (case for case in CASES if case.name == name)
    row = make(case, partial(server.run_module, folder=ROOT, environment=environment), min(os.sched_getaffinity(0)))
    (expected,) = (
        cells
        for cells, one in zip(documented(PAGE.read_text(encoding="utf-8")), CASES, strict=True)
        if one.name == name
    )
    stated = dict(zip(BACKENDS, expected[3:6], strict=True))
    assert {one: row.verdicts[one].partition(":")[0] for one in INSTALLED} == {
        one: stated[one].partition(":")[0] for one in INSTALLED
    }
    assert not row.note
