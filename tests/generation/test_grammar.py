"""Tests of generation.json_schema: finished answers match it on every backend; unenforceable schemas are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT
from command_line import hforch
from jsonschema import Draft202012Validator

from hforch import load_llm
from hforch.backends.base import capabilities
from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError, UnknownArgument
from hforch.inputs import load_inputs
from hforch.runs.identity import job_id


def closed(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    named: dict[str, Any] = {"type": "object", "properties": properties}
    return {**named, "required": list(properties), "additionalProperties": False}


PERSON = closed(name={"type": "string", "maxLength": 12}, age={"type": "integer", "minimum": 18, "maximum": 99})
SCHEMAS = {
    "an object": PERSON,
    "an enum": {"enum": ["red", "green", "blue", 7, None]},
    "a constant": {"const": {"a": [1, 2]}},
    "any of": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 50}, {"enum": ["none"]}]},
    "an array": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    "a tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"enum": ["a"]}], "items": False, "minItems": 2},
    "a pattern": {"type": "string", "pattern": "^[a-c]{3,5}$"},
    "lengths": {"type": "string", "minLength": 3, "maxLength": 6},
    "a date": {"type": "string", "format": "date"},
    "a range": {"type": "number", "minimum": 0.5, "maximum": 2.5},
    "negative": {"type": "integer", "minimum": -20, "maximum": -3},
    "a reference": {"$defs": {"colour": {"enum": ["red", "blue"]}}, **closed(one={"$ref": "#/$defs/colour"})},
    "a bool": closed(answer={"type": "boolean"}, doubt={"type": ["boolean", "null"]}),
    "nested": closed(inner=closed(deep=closed(number={"type": "integer", "minimum": 1, "maximum": 3}))),
    "quotes": {"const": 'he said "no"\n\\'},
    "accents": {"enum": ["é", "漢字", "🎉"]},
}
REFUSED = {
    "uniqueItems": {"type": "array", "uniqueItems": True, "items": {"type": "integer"}},
    "not": {"not": {"type": "string"}},
    "contains": {"type": "array", "contains": {"type": "integer"}},
    "if": {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    "look-around": {"type": "string", "pattern": "^(?=a)b"},
    "Unsatisfiable": {"type": "integer", "minimum": 5, "maximum": 3},
}
NOT_ENFORCED = {
    "multipleOf": {"type": "integer", "multipleOf": 3},
    "minProperties": {"type": "object", "minProperties": 2},
    "maxLength combined with pattern": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
    "allOf": {"allOf": [closed(a={"type": "integer"}), {"required": ["a"]}]},
    "minimum combined with $ref": {"$defs": {"x": {"type": "integer"}}, "$ref": "#/$defs/x", "minimum": 5},
    "type combined with anyOf": {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 2}]},
}
ASK = [("user", "Give me an answer in JSON.")]


@pytest.fixture(scope="module", params=BACKENDS)
def llm(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    return load(f"backend={request.param}", *EXACT, "generation.max_new_tokens=16")


@pytest.fixture(scope="module")
def greedy() -> dict[str, str]:
    """The greedy answers of the first backend, by schema."""
    return {}


# ---------------------------------------------------------------- answers
@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMAS)
def test_answers_match_the_schema_and_greedy_ones_are_equal_on_all_backends(
    llm: Any, name: str, greedy: dict[str, str]
) -> None:
    schema = SCHEMAS[name]
    for more in ({}, {"temperature": 1.5, "seed": 3}):
        result = llm.generate_prompt([llm.prompt_value(ASK)], json_schema=schema, max_new_tokens=80, **more)
        (generation,) = result.generations[0]
        reason = generation.generation_info["finish_reason"]
        assert reason == "eos", generation.text
        Draft202012Validator(schema).validate(json.loads(generation.text))
        if not more:
            assert greedy.setdefault(name, generation.text) == generation.text


@pytest.mark.model
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("blank", ["\n", " "], ids=["newlines", "spaces"])
def test_a_model_that_prefers_whitespace_gives_valid_json(
    blank: str, backend: str, load: Callable[..., Any], tmp_path: Path
) -> None:
    (token,) = tiny_models.byte_level_tokenizer().encode(blank)
    folder = tiny_models.save_gptj(tmp_path / "model", 1000.0, token)
    llm = load("model=local", f"model.path={folder}", f"backend={backend}", *EXACT, "generation.max_new_tokens=100")
    for schema in (closed(a={"type": "boolean"}), {"type": "array", "items": {"type": "null"}, "maxItems": 2}):
        (generation,) = llm.generate(["Once"], json_schema=schema).generations[0]
        assert generation.generation_info["finish_reason"] == "eos", generation.text
        Draft202012Validator(schema).validate(json.loads(generation.text))
        assert blank in generation.text and "\n\n" not in generation.text and " " * 13 not in generation.text


@pytest.mark.slow
def test_each_row_of_a_batch_and_a_stream_match_the_schema(llm: Any) -> None:
    bound = llm.bind(json_schema=PERSON, max_new_tokens=60)
    questions = ["Who is Ann?", "Who is Bob, the old man of the mountain?", "Who?"]
    texts = [*bound.batch(questions), "".join(bound.stream(questions[0]))]
    for text in texts:
        Draft202012Validator(PERSON).validate(json.loads(text))
    assert texts[0] == texts[3] == bound.invoke(questions[0])


@pytest.mark.slow
def test_a_schema_does_not_affect_later_calls(llm: Any) -> None:
    free = llm.invoke("The capital of France is")
    llm.invoke("The capital of France is", json_schema=PERSON, max_new_tokens=60)
    assert llm.invoke("The capital of France is") == free
    with pytest.raises(ValueError, match=r"Expecting|Extra"):
        json.loads(free)


# ---------------------------------------------------------------- errors
def unenforced(backend: str, schema: Any) -> str | None:
    return capabilities(job_from_overrides([f"backend={backend}"])).unenforced(schema)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_schema_that_cannot_be_enforced_is_rejected(name: str, backend: str) -> None:
    assert name in str(unenforced(backend, REFUSED[name]))


@pytest.mark.parametrize("said", NOT_ENFORCED)
def test_keywords_that_only_openvino_genai_cannot_enforce_are_only_rejected_there(said: str) -> None:
    schema = NOT_ENFORCED[said]
    assert unenforced("openvino", schema) is None
    outside = [] if "$defs" in schema else [closed(inner=schema), {"type": "array", "items": schema}]
    for whole in (schema, *outside):
        assert said in str(unenforced("openvino_genai", whole))
    assert unenforced("openvino_genai", closed(**{said: {"type": "integer"}})) is None  # as the name of a property


@pytest.mark.parametrize(
    ("override", "path", "part"),
    [
        ("{type: strin}", "generation.json_schema", "is not a valid JSON Schema"),
        ("missing.json", "generation.json_schema", "cannot be read"),
        ("{type: array, uniqueItems: true}", "generation.json_schema", "uniqueItems"),
        ("{$ref: '#/nowhere'}", "generation.json_schema", "which it does not define"),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_invalid_schema_is_a_config_error_before_loading(backend: str, override: str, path: str, part: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_llm(f"backend={backend}", f"generation.json_schema={override}")
    (mistake,) = refused.value.mistakes
    assert mistake.path == path and part in mistake.problem


@pytest.mark.parametrize("other", ["num_beams=3", "ignore_eos=true", "min_new_tokens=4"])
def test_settings_that_conflict_with_a_schema_are_a_config_error(other: str) -> None:
    with pytest.raises(ConfigError) as refused:
        job_from_overrides(["generation.json_schema={type: integer}", f"generation.{other}"])
    assert [mistake.path for mistake in refused.value.mistakes] == [f"generation.{other.partition('=')[0]}"]


@pytest.mark.slow
def test_an_invalid_schema_in_a_call_is_an_error(llm: Any) -> None:
    with pytest.raises(UnknownArgument, match="num_beams"):
        llm.invoke("Once", json_schema=PERSON, num_beams=2)
    with pytest.raises(UnknownArgument, match="uniqueItems"):
        llm.invoke("Once", json_schema=REFUSED["uniqueItems"])
    with pytest.raises(UnknownArgument, match="cannot be read"):
        llm.invoke("Once", json_schema="nowhere.json")


# ---------------------------------------------------------------- runs
@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_reports_matching_and_truncated_answers(backend: str, tmp_path: Path) -> None:
    schema, job = tmp_path / "person.json", tmp_path / "job"
    schema.write_text(json.dumps(closed(name={"type": "string", "pattern": "^[a-z]{1,40}$"})))
    words = [f"backend={backend}", "prompt=chat", "inputs.items=[Who is Ann?,Who is Bob?]", f"hydra.run.dir={job}"]
    words += [f"generation.json_schema={schema}"]
    done = hforch(*words, "generation.max_new_tokens=64", cwd=tmp_path)
    samples = [json.loads(line) for line in (job / "samples.jsonl").read_text().splitlines()]
    fitting = [sample["checks"][-1]["passed"] for sample in samples]
    assert [sample["finish_reason"] == "eos" for sample in samples] == fitting
    assert "checks: " in done.stdout
    hforch(*words, "generation.max_new_tokens=3", "runtime.min_pass=1", "--force", code=3, cwd=tmp_path)
    for line in (job / "samples.jsonl").read_text().splitlines():
        (check,) = json.loads(line)["checks"]
        assert not check["passed"] and check["why"] == "truncated at max_new_tokens"


def test_the_contents_of_the_file_are_part_of_the_job_id(tmp_path: Path) -> None:
    def identity() -> str:
        job = job_from_overrides([f"generation.json_schema={file}"])
        return job_id(job, load_inputs(job.inputs))

    file = tmp_path / "schema.json"
    file.write_text('{"type": "integer"}')
    before = identity()
    file.write_text('{"type": "string"}')
    assert identity() != before
