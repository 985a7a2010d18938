"""Checks: what an answer must satisfy. Pure functions of values, but for reading files that hold a JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from hforch.config.checks import ENDS_MATTER, column_mistakes, ready, validator
from hforch.config.patterns import Pattern, TooSlow
from hforch.config.schema import Check, Checks, Column, FileInputs, InlineInputs, JsonSchemaCheck, LevenshteinCheck
from hforch.errors import ConfigError, Mistake, shown
from hforch.inputs import Input
from hforch.utils.paths import expanded, read_text

Sample = Mapping[str, Any]
Seen = tuple[bool, str]
"""Whether what the check says is so, and what is seen in the answer, for people."""

FITS = "fits generation.json_schema"
MOST_SCHEMA = 2**20  # bytes of a file with a JSON Schema
LONGEST_NAME, LONGEST_SEEN = 60, 120  # characters of a value in a check's name, and in the reason why it was not passed


# ---------------------------------------------------------------- before anything is loaded
def columns(checks: Checks) -> set[str]:
    """The columns of the inputs that checks compare with."""
    return {check.value.column for check in checks.items if isinstance(check.value, Column)}


def check_inputs(checks: Checks, inputs: Sequence[Input], declared: InlineInputs | FileInputs) -> None:
    """Make sure that every check can be made: files can be read, and every input has the columns.

    Args:
        declared: where the inputs came from, for the message.

    Raises:
        ConfigError: with a mistake for each check that cannot.
    """
    of = f" of {declared.path}" if isinstance(declared, FileInputs) else ""
    mistakes = []
    for number, check in enumerate(checks.items):
        if isinstance(check, JsonSchemaCheck) and isinstance(check.value, str):
            try:
                ready("json_schema", _file(check.value))
            except ValueError as error:
                hint = "a path is taken from the folder in which hforch is started"
                mistakes.append(Mistake(f"checks.items.{number}", f"{check.value} {error}", hint=hint))
    mistakes += column_mistakes((check.model_dump() for check in checks.items), [each.item for each in inputs], of)
    if mistakes:
        raise ConfigError(mistakes)


def schema_of(value: Mapping[str, Any] | str) -> dict[str, Any]:
    """A JSON Schema that is given itself, or by the path of a file.

    Raises:
        ValueError: the file cannot be read, or it is no JSON Schema.
    """
    schema = value
    if isinstance(schema, str):
        text = _file(schema)
        try:
            schema = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is no JSON: {error}") from error
    validator(schema)
    return dict(cast(Mapping[str, Any], schema))


def _file(path: str) -> str:
    try:
        return read_text(expanded(path), "utf-8-sig", MOST_SCHEMA)
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is no UTF-8 text") from error


# ---------------------------------------------------------------- looking at answers
def judge(
    checks: Checks, echo: bool = False, schema: Mapping[str, Any] | str | None = None
) -> Callable[[Sample], list[dict[str, Any]]]:
    """A function from a sample's record to what its `checks` hold: name, passed, and why not.

    A sample that failed passes none of its checks, negated ones included.

    Args:
        echo: texts begin with their prompts, which are no part of the answers.
        schema: what answers were held to while they were generated; whether they fit it is one check more.
    """
    fits = None if schema is None else validator(schema_of(schema))
    literals = [None if isinstance(check.value, Column) else _literal(check, checks.strip) for check in checks.items]
    named = list(zip(checks.items, names(checks), literals, strict=True))

    def judged(sample: Sample) -> list[dict[str, Any]]:
        if sample["error"] is not None or sample["text"] is None:
            failed = [*(name for _, name, _ in named), *([FITS] if fits else [])]
            return [{"name": name, "passed": False, "why": "there is no answer"} for name in failed]
        answer = sample["text"].removeprefix(sample["prompt"] or "") if echo else sample["text"]
        text = _stripped(answer, checks.strip)
        results = [
            {"name": name, **_result(check, wanted, sample, text, checks.strip)} for check, name, wanted in named
        ]
        return [*results, {"name": FITS, **_fits(fits, sample, answer)}] if fits else results

    return judged


def names(checks: Checks) -> list[str]:
    """What people call each check, no two alike."""
    found: list[str] = []
    for check in checks.items:
        name = name_of(check)
        same = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(f"{name} ({same + 1})" if name in found else name)
    return found


def name_of(check: Check) -> str:
    """Such as `contains 'Paris'`, `not regex '^#'`, `equals {expected}` for a column."""
    words = ["not"] * check.negate + [check.kind, _value_name(check)]
    if isinstance(check, LevenshteinCheck):
        words.append(
            f"(distance {check.max_distance} or less)"
            if check.max_distance is not None
            else f"(similarity {check.min_similarity:g} or more)"
        )
    return " ".join(words)


def _value_name(check: Check) -> str:
    value = check.value
    if isinstance(value, Column):
        return f"{{{value.column}}}"
    if isinstance(value, tuple):
        return " or ".join(value)
    if isinstance(value, Mapping):
        return shown(json.dumps(value, ensure_ascii=False, default=str), LONGEST_NAME)
    if isinstance(value, int) or check.kind in ("json_schema", "finish_reason"):
        return shown(str(value), LONGEST_NAME)
    return _quoted(value, LONGEST_NAME)


def _literal(check: Check, strip: bool) -> Any:
    value = check.value
    if isinstance(check, JsonSchemaCheck) and isinstance(value, str):
        value = _file(value)
    return _stripped(ready(check.kind, value), strip and check.kind in ENDS_MATTER)


def _stripped(value: Any, strip: bool) -> Any:
    return value.strip() if strip and isinstance(value, str) else value


def _result(check: Check, wanted: Any, sample: Sample, text: str, strip: bool) -> dict[str, Any]:
    if isinstance(check.value, Column):
        wanted = ready(check.kind, _stripped(sample["input"][check.value.column], strip))
    try:
        holds, seen = _look(check, wanted, sample, text)
    except TooSlow as unknown:
        return {"passed": False, "why": shown(str(unknown), LONGEST_SEEN)}
    passed = holds != check.negate
    return {"passed": passed, "why": None if passed else seen}


def _look(check: Check, wanted: Any, sample: Sample, text: str) -> Seen:
    if check.kind == "max_tokens" and sample["output_tokens"] is None:
        return check.negate, "the number of its tokens is not known"
    if check.kind == "max_tokens":
        return sample["output_tokens"] <= wanted, f"it has {sample['output_tokens']} tokens, and {wanted} is the limit"
    if check.kind == "finish_reason":
        return sample["finish_reason"] in wanted, f"it ended by {sample['finish_reason']}"
    if isinstance(check, LevenshteinCheck):
        return _levenshtein(text, wanted, check.max_distance, check.min_similarity)
    return TEXTS[check.kind](text, wanted)


def _equals(text: str, wanted: str) -> Seen:
    same = text == wanted
    return same, f"it is {_quoted(text)}" if same else f"it is {_quoted(text)}, not {_quoted(wanted)}"


def _contains(text: str, wanted: str) -> Seen:
    found = wanted in text
    return found, f"{_quoted(wanted)} is {'' if found else 'not '}in it"


def _icontains(text: str, wanted: str) -> Seen:
    found = wanted.casefold() in text.casefold()
    return found, f"{_quoted(wanted)} is {'' if found else 'not '}in it, in capitals or not"


def _starts_with(text: str, wanted: str) -> Seen:
    return text.startswith(
        wanted
    ), f"it starts with {_quoted(text[: len(wanted)])}, and {_quoted(wanted)} was looked for"


def _regex(text: str, wanted: Pattern) -> Seen:
    match = wanted.search(text)
    if match is None:
        return False, f"nothing in it matches {_quoted(wanted.text)}"
    return True, f"{_quoted(match.group())} matches {_quoted(wanted.text)}"


def _json_schema(text: str, validator: Any) -> Seen:
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return False, f"it is no JSON: {error or 'nested too deeply'}"
    try:
        misfit = best_match(validator.iter_errors(value))
    except (Unresolvable, RecursionError, re.error) as unusable:
        return False, shown(f"the schema cannot be applied: {unusable or 'it refers to itself'}", LONGEST_SEEN)
    if misfit is None:
        return True, "it fits the schema"
    at = misfit.json_path.removeprefix("$").removeprefix(".")
    return False, shown(f"{f'{at}: ' if at else ''}{misfit.message}", LONGEST_SEEN)


def _fits(validator: Any, sample: Sample, text: str) -> dict[str, Any]:
    """Whether an answer fits the schema that it was held to; what was cut is told as cut."""
    try:
        passed, seen = _json_schema(text, validator)
    except TooSlow as unknown:
        passed, seen = False, shown(str(unknown), LONGEST_SEEN)
    cut = {"length": "it was cut at the limit of its length", "stop": "it was cut at a stop sequence"}
    why = cut.get(str(sample["finish_reason"]), seen)
    return {"passed": passed} if passed else {"passed": False, "why": why}


def _levenshtein(text: str, wanted: str, most: int | None, least: float | None) -> Seen:
    from rapidfuzz.distance import Levenshtein

    if most is not None:
        distance = Levenshtein.distance(text, wanted)
        return distance <= most, f"it is {_quoted(text)}, {distance} edits from {_quoted(wanted)}"
    similarity = Levenshtein.normalized_similarity(text, wanted)
    assert least is not None
    return similarity >= least, f"it is {_quoted(text)}, and its similarity to {_quoted(wanted)} {similarity:.3f}"


TEXTS: dict[str, Callable[[str, Any], Seen]] = {
    "equals": _equals,
    "contains": _contains,
    "icontains": _icontains,
    "starts_with": _starts_with,
    "regex": _regex,
    "json_schema": _json_schema,
}


def _quoted(text: str, longest: int = LONGEST_SEEN) -> str:
    return f"'{shown(text, longest)}'"


# ---------------------------------------------------------------- totals
def totals(samples: Iterable[Sample]) -> dict[str, Any] | None:
    """How many checks were passed, all together and each; None where there were none."""
    each: dict[str, dict[str, Any]] = {}
    for sample in samples:
        for result in sample.get("checks") or ():
            counted = each.setdefault(result["name"], {"name": result["name"], "passed": 0, "total": 0})
            counted["passed"] += bool(result["passed"])
            counted["total"] += 1
    if not each:
        return None
    passed, total = (sum(one[key] for one in each.values()) for key in ("passed", "total"))
    return {"passed": passed, "total": total, "each": list(each.values())}


def missed(counted: Mapping[str, Any] | None, min_pass: float | None) -> bool:
    """Whether fewer checks were passed than `runtime.min_pass` asks for."""
    return bool(counted and min_pass is not None and counted["passed"] / counted["total"] < min_pass)
