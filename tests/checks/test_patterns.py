"""Untrusted patterns match as with Python's re, with a time limit."""

from __future__ import annotations

import pytest

from hforch.checks import patterns
from hforch.checks.json_schemas import validator
from hforch.checks.judging import judge
from hforch.checks.patterns import Pattern, TooSlow

ENDLESS = r"^(a|aa|a?)+$"
TEXT = "a" * 60 + "!"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "LONGEST_S", 0.05)


def test_a_pattern_matches_like_re() -> None:
    found = Pattern(r"(?i)par[io]s\b").search("in Paris, of course")
    assert found is not None and found.group() == "Paris"
    assert Pattern("^x$").search("y") is None


@pytest.mark.parametrize("text", ["(", "[a", "(?P<n>a)(?P<n>b", "*a", "(?<=a+)b)"])
def test_an_invalid_pattern_is_reported(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid regular expression"):
        Pattern(text)


def test_a_slow_search_times_out() -> None:
    with pytest.raises(TooSlow, match="timed out after"):
        Pattern(ENDLESS).search(TEXT)


def test_after_several_timeouts_a_pattern_is_no_longer_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = Pattern(ENDLESS)
    for _ in range(patterns.MOST_TRIES):
        with pytest.raises(TooSlow):
            pattern.search(TEXT)
    monkeypatch.setattr(patterns, "LONGEST_S", 60)
    with pytest.raises(TooSlow):
        pattern.search(TEXT)


SCHEMAS = {
    "pattern": ({"type": "string", "pattern": ENDLESS}, TEXT),
    "patternProperties": ({"patternProperties": {ENDLESS: {"type": "null"}}}, {TEXT: 1}),
    "additionalProperties": ({"additionalProperties": False, "patternProperties": {ENDLESS: True}}, {TEXT: 1}),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_patterns_in_a_schema_have_the_time_limit(name: str) -> None:
    schema, value = SCHEMAS[name]
    with pytest.raises(TooSlow):
        list(validator(schema).iter_errors(value))


FITTING = [
    ({"pattern": "^a"}, ["ab", 1], ["b"]),
    ({"patternProperties": {"^x": {"type": "integer"}}}, [{"x": 1, "y": "z"}, []], [{"xa": "b"}]),
    ({"additionalProperties": False, "properties": {"a": {}}}, [{"a": 1}, {}, 3], [{"b": 1}]),
    ({"additionalProperties": {"type": "null"}, "patternProperties": {"^x": {}}}, [{"x1": 1, "b": None}], [{"b": 1}]),
]


@pytest.mark.parametrize(("schema", "fit", "unfit"), FITTING)
def test_patterns_in_a_schema_match_as_in_jsonschema(
    schema: dict[str, object], fit: list[object], unfit: list[object]
) -> None:
    from jsonschema import Draft202012Validator

    own, theirs = validator(schema), Draft202012Validator(schema)
    for value in [*fit, *unfit]:
        assert own.is_valid(value) == theirs.is_valid(value) == (value in fit)


def test_a_schema_whose_patterns_cannot_be_limited_is_rejected() -> None:
    with pytest.raises(ValueError, match="unevaluatedProperties and patternProperties"):
        validator({"unevaluatedProperties": False, "patternProperties": {"a": {}}})
    with pytest.raises(ValueError, match="not a 'regex'"):
        validator({"properties": {"a": {"pattern": "("}}})


@pytest.mark.parametrize("negate", [False, True])
def test_an_undecided_check_fails(negate: bool) -> None:
    from hforch.config.compose import job_from_overrides

    written = f"{{regex: '{ENDLESS}', negate: {str(negate).lower()}}}"
    checks = job_from_overrides(["backend=fake", f"checks.items=[{written}]"]).checks
    sample = {"input": "q", "prompt": "q", "text": TEXT, "output_tokens": 3, "finish_reason": "eos", "error": None}
    found = judge(checks)(sample)
    assert [one["passed"] for one in found] == [False]
    assert "timed out after" in found[0]["why"]
