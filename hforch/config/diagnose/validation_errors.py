"""Convert pydantic's validation errors to plain messages with config paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hforch.config.checks import CHECK_ERROR, as_written
from hforch.config.diagnose.option_hints import did_you_mean_option, option_meant
from hforch.config.diagnose.suggestions import did_you_mean_key
from hforch.config.keys import OPEN_MAPPINGS, keys_of
from hforch.config.models.registry import SHAPES
from hforch.config.options import option_names
from hforch.config.schema import Job
from hforch.errors import LONGEST_VALUE, Mistake, shown

DISCRIMINATORS = {group: str(field.discriminator) for group, field in Job.model_fields.items() if field.discriminator}
"""The discriminator key of each group whose options have different keys."""
KINDS = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
BOUNDS = {
    "greater_than": ("gt", "must be greater than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
}
EMPTY = ("string_too_short", "too_short")


def kind_of(value: Any) -> str:
    """Return a value with its YAML type, such as `'none' (string)`; or only the type for a list or mapping."""
    if isinstance(value, bool):
        return f"{literal_of(value)} (boolean)"
    if isinstance(value, int):
        return f"{literal_of(value)} (integer)"
    if isinstance(value, float):
        return f"{literal_of(value)} (number)"
    if isinstance(value, str):
        return f"{literal_of(value)} (string)"
    if value is None:
        return "null"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def literal_of(value: Any) -> str:
    """Return a value as in YAML, shortened; for a nonempty list or mapping, only the type."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return f"'{shown(value, LONGEST_VALUE)}'"
    if isinstance(value, int | float):
        return shown(str(value), LONGEST_VALUE)
    if isinstance(value, Mapping):
        return "a mapping" if value else "{}"
    return "a list" if value else "[]"


def mistakes_from(errors: Sequence[Any], tree: Mapping[str, Any]) -> list[Mistake]:
    """Return one Mistake per path.

    Args:
        errors: pydantic's error dictionaries.
        tree: the tree that was validated.
    """
    by_path: dict[str, list[Any]] = {}
    for error in errors:
        if error["type"] == "too_short" and error["input"]:
            continue  # pydantic did not count invalid items, which are reported separately
        by_path.setdefault(config_path(error, tree), []).append(error)
    return [_mistake(path, found) for path, found in by_path.items() if not _reported_below(path, by_path)]


def _reported_below(path: str, paths: Collection[str]) -> bool:
    """Return whether there are more specific errors below a path.

    In a union, the value then matches the member with these errors better than the others.
    """
    return any(other.startswith(f"{path}.") for other in paths)


def config_path(error: Mapping[str, Any], tree: Mapping[str, Any]) -> str:
    """Return the dotted config path of an error, without the union members that pydantic inserts."""
    location = as_written(error["loc"], tree)
    if error["type"] == CHECK_ERROR and error["ctx"]["key"] is not None:
        location.append(error["ctx"]["key"])
    if location[0] in DISCRIMINATORS and len(location) > 1:
        del location[1]
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{location[0]}.{DISCRIMINATORS[location[0]]}"
    path: list[str] = []
    node: Any = tree
    for index, step in enumerate(location):
        if (isinstance(node, Mapping) and step in node) or (isinstance(node, list | tuple) and isinstance(step, int)):
            node = node[step]
        elif not (error["type"] in ("missing", CHECK_ERROR) and index == len(location) - 1):
            continue  # the step is the name of a union member
        path.append(str(step))
    return ".".join(path)


def _mistake(path: str, errors: list[Any]) -> Mistake:
    kind, value = errors[0]["type"], errors[0]["input"]
    if kind == CHECK_ERROR:
        return Mistake(path, errors[0]["ctx"]["problem"], hint=errors[0]["ctx"]["hint"])
    if kind == "missing" and "." not in path:
        return Mistake(path, "is missing: a job needs this group", hint=f"set an option: {path}=OPTION")
    if kind == "missing":
        return Mistake(path, "is missing", hint=_extend(path.partition(".")[0]) if path.count(".") == 1 else None)
    group = path.partition(".")[0]
    if errors[0]["loc"][-1] == "[key]":
        return Mistake(path, f"a key must be a string; got {kind_of(value)}", hint="quote it")
    if kind == "extra_forbidden" and path in keys_of(group):
        tag = f"{group}.{DISCRIMINATORS[group]}={errors[0]['loc'][1]}"
        return Mistake(path, f"unknown key for {tag}", hint=f"use another option of {group}")
    if kind == "extra_forbidden":
        return Mistake(path, "unknown key", hint=did_you_mean_key(path, keys_of(group) | OPEN_MAPPINGS))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(path, errors[0])
    bounds = [error for error in errors if error["type"] in (*BOUNDS, *EMPTY)]  # the type is valid
    wanted, hint = _wanted(group, errors)
    if wanted and not bounds:
        return Mistake(path, f"must be {' or '.join(wanted)}; got {kind_of(value)}", hint=hint)
    return Mistake(path, f"{_broken_rule((bounds or errors)[0])}; got {literal_of(value)}")


def _wrong_tag(path: str, error: Any) -> Mistake:
    group, _, key = path.partition(".")
    if not isinstance(error["input"], Mapping):
        return Mistake(group, f"must be a mapping; got {kind_of(error['input'])}")
    allowed = str(error["ctx"].get("expected_tags", "")).replace("'", "")
    value = error["input"].get(key)
    seen = f"got {kind_of(value)}" if key in error["input"] else "it is missing"
    wanted = f"must be one of: {allowed}" if allowed else "must be set"
    if key not in error["input"]:
        return Mistake(path, f"{wanted}; {seen}", hint=_extend(group))
    options = option_names(group)
    found = option_meant(group, str(value), options) if isinstance(value, str) else None
    return Mistake(path, f"{wanted}; {seen}", hint=f"use an option of the group instead: {group}={found or 'OPTION'}")


def _extend(group: str) -> str:
    return f"extend a built-in option: start {group}/NAME.yaml with `defaults: [OPTION]`"


def _wanted(group: str, errors: list[Any]) -> tuple[list[str], str | None]:
    """Return the types that the members of a union accept, and a hint for a misspelled literal."""
    wanted: list[str] = []
    hint = None
    for error in errors:
        if error["type"] == "literal_error":
            allowed = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            wanted.append(f"one of: {', '.join(allowed)}" if len(allowed) > 1 else allowed[0])
            if isinstance(error["input"], str):
                hint = did_you_mean_option(group, error["input"], allowed)
        elif error["type"] in KINDS:
            wanted.append(KINDS[error["type"]])
    return list(dict.fromkeys(wanted)), hint


def _number(limit: float) -> str:
    """Format a limit: 1 instead of 1.0, and all digits of a large number."""
    return str(int(limit)) if limit == int(limit) else str(limit)


def _broken_rule(error: Any) -> str:
    kind, limits = error["type"], error.get("ctx", {})
    if kind in BOUNDS:
        name, sentence = BOUNDS[kind]
        return sentence.format(_number(limits[name]))
    if kind in EMPTY:
        return "must not be empty"
    if kind == "finite_number":
        return "must be a finite number"
    if kind == "string_pattern_mismatch":
        return f"must be {SHAPES[limits['pattern']]}"
    return str(error["msg"])[:1].lower() + str(error["msg"])[1:]
