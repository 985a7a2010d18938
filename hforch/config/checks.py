"""How checks are written: short forms spelled out, and what a check compares with, read from a literal or a column.

Pure functions of plain values; `hforch/checks.py` looks at answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.patterns import Pattern, patterns_in, unbounded, with_patterns
from hforch.errors import LONGEST_VALUE, Mistake, shown

Tree = Mapping[str, Any]

BOUNDS = ("max_distance", "min_similarity")
KINDS: dict[str, dict[str, Any]] = {
    kind: {"negate": False}
    for kind in ("equals", "contains", "icontains", "starts_with", "regex", "json_schema", "max_tokens")
} | {"finish_reason": {"negate": False}, "levenshtein": {"negate": False, **dict.fromkeys(BOUNDS)}}
"""Each kind of check, with what its keys but the value stand at where they are left out."""

REASONS = ("stop", "eos", "length")
NEVER_EMPTY = ("contains", "icontains", "starts_with", "regex")  # every answer holds an empty text
ENDS_MATTER = ("equals", "starts_with", "levenshtein")  # where `strip` applies to what is compared with, too
CHECK_ERROR = "check"
EXAMPLE = "write a check as {contains: Paris}, or {equals: {column: expected}, negate: true}"


# ---------------------------------------------------------------- short forms
def spelled_out(item: Any) -> Any:
    """A check with all of its keys, from its short or long form: `{contains: Paris}`, `{kind: contains, value: Paris}`.

    Raises:
        PydanticCustomError: of the type CHECK_ERROR; it has no kind, several, an unknown one, or an unknown key.
    """
    if not isinstance(item, Mapping):
        return item if hasattr(item, "kind") else _refuse("is no check", hint=EXAMPLE)
    if "kind" in item:
        return _long(item)
    kinds = [key for key in item if key in KINDS]
    if len(kinds) > 1:
        return _refuse(
            f"names {len(kinds)} kinds of check: {', '.join(kinds)}", hint="write each as an item of its own"
        )
    if not kinds:
        near = (did_you_mean(str(key), KINDS) for key in item)
        hint = next((hint for hint in near if hint), EXAMPLE)
        has = f"; it has: {', '.join(map(str, item))}" if item else ""
        return _refuse(f"names no kind of check; there are: {', '.join(KINDS)}{has}", hint=hint)
    (kind,) = kinds
    return _complete(kind, {"kind": kind, "value": item[kind], **_others(item, kind)}, written=item)


def _long(item: Tree) -> dict[str, Any]:
    kind = item["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else None
        return _refuse(f"must be one of: {', '.join(KINDS)}", key="kind", hint=hint)
    if "value" not in item:
        return _refuse(f"is missing: what {kind} compares with", key="value")
    return _complete(kind, item, written=item)


def _others(item: Tree, kind: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != kind}


def _complete(kind: str, item: Tree, written: Tree) -> dict[str, Any]:
    known = [*KINDS[kind], "kind", "value"] if "kind" in written else [*KINDS[kind], kind]
    for key in written:
        if key not in known:
            may = ", ".join(one for one in known if one not in ("kind", "value"))
            return _refuse(f"{kind} has no such key; it has: {may}", key=str(key), hint=did_you_mean(str(key), known))
    return {**KINDS[kind], **item}


def _refuse(problem: str, key: str | None = None, hint: str | None = None) -> Any:
    raise PydanticCustomError(CHECK_ERROR, "{problem}", {"problem": problem, "key": key, "hint": hint})


def as_written(location: Sequence[Any], tree: Tree) -> list[Any]:
    """Where a user wrote what pydantic names by the spelled-out form: without the kind, or at it in a short form."""
    if list(location[:2]) != ["checks", "items"] or len(location) < 5:
        return list(location)
    number, _, key, *rest = location[2:]
    return ["checks", "items", number, _value_key(tree["checks"]["items"][number]) if key == "value" else key, *rest]


def _value_key(item: Tree) -> str:
    """The key that holds the value in a check as it was written."""
    return "value" if "kind" in item else next(str(key) for key in item if key in KINDS)


def value_path(number: int, item: Tree) -> str:
    return f"checks.items.{number}.{_value_key(item)}"


# ---------------------------------------------------------------- what a check compares with
def column_of(value: Any) -> str | None:
    """The column that a check's value names; None for a literal."""
    return value["column"] if isinstance(value, Mapping) and set(value) == {"column"} else None


def ready(kind: str, value: Any) -> Any:
    """A value as its test takes it: a text, a compiled pattern, a validator, a number, or several reasons.

    Args:
        value: a literal, what a column holds (a csv file has texts only), or what a file with a JSON Schema holds.

    Raises:
        ValueError: it is of no use to this kind of check; says why.
    """
    if kind == "json_schema":
        return validator(_parsed(value))
    if kind == "max_tokens":
        return _whole_number(value)
    if kind == "finish_reason":
        reasons = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not reasons or any(reason not in REASONS for reason in reasons):
            raise ValueError(f"is none of: {', '.join(REASONS)}; it is {_brief(value)}")
        return reasons
    text = _text(value)
    if not text and kind in NEVER_EMPTY:
        raise ValueError("is empty")
    return Pattern(text) if kind == "regex" else text


def validator(schema: Any) -> Any:
    """A JSON Schema as a validator that looks nothing up on a network; draft 2020-12 if it names no other."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    if not isinstance(schema, Mapping):
        raise ValueError(f"is no JSON Schema: it must be a mapping, and is {_brief(schema)}")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        at = ".".join(map(str, error.absolute_path))
        raise ValueError(f"is no JSON Schema: {f'{at}: ' if at else ''}{error.message}") from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("is no JSON Schema: it is nested too deeply") from error
    for text in patterns_in(schema):
        Pattern(text)
    if unbounded(schema):
        raise ValueError("has unevaluatedProperties and patternProperties; leave one of them out")
    resolver = REGISTRY.resolver_with_root(DRAFT202012.create_resource(dict(schema)))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise ValueError(f"refers to {reference}, which is not in it") from error
    return with_patterns(kind)(dict(schema), registry=REGISTRY)


def _references(node: Any) -> Iterator[str]:
    """Every `$ref` of a schema, as far as its names are relative to the whole of it."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for key, inner in node.items():
            if key not in ("enum", "const", "default", "examples", "properties"):
                yield from () if isinstance(inner, Mapping) and "$id" in inner else _references(inner)
            elif key == "properties" and isinstance(inner, Mapping):
                for each in inner.values():
                    yield from _references(each)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _references(inner)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from error


def _whole_number(value: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"must be a whole number, 0 or more; it is {_brief(value)}")
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Mapping | list | tuple):
        raise ValueError(f"must be a text or a number; it is {_brief(value)}")
    return json.dumps(value)


def _brief(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return shown(repr(value), LONGEST_VALUE)


# ---------------------------------------------------------------- mistakes that the configuration alone shows
def value_mistakes(checks: Tree) -> Iterator[Mistake]:
    """Literals that a check cannot use, and checks that lack a bound."""
    for number, item in enumerate(checks["items"]):
        check, path = spelled_out(item), value_path(number, item)
        value = check["value"]
        if check["kind"] == "levenshtein":
            yield from _bound_mistakes(check, path)
        if column_of(value) is not None or (check["kind"] == "json_schema" and isinstance(value, str)):
            continue
        try:
            made = ready(check["kind"], value)
        except ValueError as error:
            yield Mistake(path, str(error))
            continue
        if check["kind"] == "starts_with" and checks["strip"] and not made.strip():
            yield Mistake(path, "is white space only, which checks.strip takes away", hint="set checks.strip=false")


def _bound_mistakes(check: Tree, path: str) -> Iterator[Mistake]:
    given = [key for key in BOUNDS if check[key] is not None]
    if not given:
        hint = "add max_distance: 3 (edits), or min_similarity: 0.8 (1 is the same text)"
        yield Mistake(path, "levenshtein needs a bound", hint=hint)
    elif len(given) > 1:
        yield Mistake(path, "levenshtein takes one bound, not both max_distance and min_similarity", hint="drop one")


def column_mistakes(written: Iterable[Tree], items: Sequence[Any], of: str = "") -> Iterator[Mistake]:
    """Columns that checks name and inputs lack, or whose content is of no use to the check; one mistake a check.

    Args:
        written: the checks, in their short or long forms.
        of: where the inputs came from, such as ` of questions.csv`.
    """
    for number, check in enumerate(map(spelled_out, written)):
        column = column_of(check["value"])
        if column is None:
            continue
        problems = [(at, said) for at, item in enumerate(items) if (said := _cell_problem(check["kind"], column, item))]
        if not problems:
            continue
        at, said = problems[0]
        more = f" (the first of {len(problems)} such inputs)" if len(problems) > 1 else ""
        names = dict.fromkeys(str(name) for item in items if isinstance(item, Mapping) for name in item)
        hint = None
        if column not in names:
            example = "give each input that column, as in inputs.items=[{question: ..., " + column + ": ...}]"
            hint = did_you_mean(column, names) or example
        yield Mistake(f"checks.items.{number}", f"input {at + 1}{of} {said}{more}", hint=hint)


def _cell_problem(kind: str, column: str, item: Any) -> str | None:
    """What is wrong with one input's content of a column."""
    if isinstance(item, str):
        return f"is one text, and so has no column {column}"
    if column not in item:
        return f"has no column {column}; it has: {', '.join(map(str, item)) or 'nothing'}"
    try:
        ready(kind, item[column])
    except ValueError as error:
        return f"has a column {column} that {error}"
    return None
