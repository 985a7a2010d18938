"""What pydantic found wrong, in plain sentences with config paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hforch.config.checks import CHECK_ERROR, as_written
from hforch.config.diagnose.suggestions import did_you_mean, did_you_mean_key
from hforch.config.keys import OPEN_MAPPINGS, keys_of
from hforch.config.models.registry import SHAPES
from hforch.config.schema import Job
from hforch.errors import LONGEST_VALUE, Mistake, shown

TOLD_APART_BY = {group: str(field.discriminator) for group, field in Job.model_fields.items() if field.discriminator}
"""By group whose options differ in shape: the key that tells them apart."""
KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
BOUNDS = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be {} or more"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be {} or less"),
}
EMPTY = ("string_too_short", "too_short")


def kind_of(value: Any) -> str:
    """The YAML type of a value, in plain words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{str(value).lower()} (true/false)"
    if isinstance(value, int):
        return f"{shown(str(value), LONGEST_VALUE)} (a whole number)"
    if isinstance(value, float):
        return f"{value} (a number)"
    if isinstance(value, str):
        return f"'{shown(value, LONGEST_VALUE)}' (text)"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def mistakes_from(errors: Sequence[Any], tree: Mapping[str, Any]) -> list[Mistake]:
    """One Mistake a path, from pydantic's error dictionaries and the tree they were found in."""
    by_path: dict[str, list[Any]] = {}
    for error in errors:
        if error["type"] == "too_short" and error["input"]:
            continue  # items that are wrong were not counted; they are told by themselves
        by_path.setdefault(config_path(error, tree), []).append(error)
    return [_mistake(path, found) for path, found in by_path.items() if not _reported_below(path, by_path)]


def _reported_below(path: str, paths: Collection[str]) -> bool:
    """Whether the same value fits another member of a union but for something in it."""
    return any(other.startswith(f"{path}.") for other in paths)


def config_path(error: Mapping[str, Any], tree: Mapping[str, Any]) -> str:
    """The dotted path, without the names of union members that pydantic puts between."""
    location = as_written(error["loc"], tree)
    if error["type"] == CHECK_ERROR and error["ctx"]["key"] is not None:
        location.append(error["ctx"]["key"])
    if location[0] in TOLD_APART_BY and len(location) > 1:
        del location[1]
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{location[0]}.{TOLD_APART_BY[location[0]]}"
    path: list[str] = []
    node: Any = tree
    for index, step in enumerate(location):
        if (isinstance(node, Mapping) and step in node) or (isinstance(node, list | tuple) and isinstance(step, int)):
            node = node[step]
        elif not (error["type"] in ("missing", CHECK_ERROR) and index == len(location) - 1):
            continue  # the name of a union member
        path.append(str(step))
    return ".".join(path)


def _mistake(path: str, errors: list[Any]) -> Mistake:
    kind, value = errors[0]["type"], errors[0]["input"]
    if kind == CHECK_ERROR:
        return Mistake(path, errors[0]["ctx"]["problem"], hint=errors[0]["ctx"]["hint"])
    if kind == "missing" and "." not in path:
        return Mistake(path, "is missing: a job needs this group", hint=f"choose an option: {path}=OPTION")
    if kind == "missing":
        return Mistake(path, "is missing", hint=_extend(path.partition(".")[0]) if path.count(".") == 1 else None)
    group = path.partition(".")[0]
    if errors[0]["loc"][-1] == "[key]":
        return Mistake(path, f"a key must be text; it is {kind_of(value)}", hint="put it between quotes")
    if kind == "extra_forbidden" and path in keys_of(group):
        tag = f"{group}.{TOLD_APART_BY[group]}={errors[0]['loc'][1]}"
        return Mistake(path, f"there is no such key with {tag}", hint=f"choose another option of {group}")
    if kind == "extra_forbidden":
        return Mistake(path, "hforch has no such key", hint=did_you_mean_key(path, keys_of(group) | OPEN_MAPPINGS))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(path, errors[0])
    bounds = [error for error in errors if error["type"] in (*BOUNDS, *EMPTY)]  # of the right kind, at least
    wanted, hint = _wanted(errors)
    if wanted and not bounds:
        return Mistake(path, f"must be {' or '.join(wanted)}; it is {kind_of(value)}", hint=hint)
    return Mistake(path, f"{_broken_rule((bounds or errors)[0])}; it is {kind_of(value)}")


def _wrong_tag(path: str, error: Any) -> Mistake:
    group, _, key = path.partition(".")
    if not isinstance(error["input"], Mapping):
        return Mistake(group, f"must be a mapping; it is {kind_of(error['input'])}")
    allowed = str(error["ctx"].get("expected_tags", "")).replace("'", "")
    value = error["input"].get(key)
    seen = f"it is {kind_of(value)}" if key in error["input"] else "it is missing"
    wanted = f"must be one of: {allowed}" if allowed else "must be given"
    if key not in error["input"]:
        return Mistake(path, f"{wanted}; {seen}", hint=_extend(group))
    return Mistake(path, f"{wanted}; {seen}", hint=f"choose an option of the group instead: {group}=OPTION")


def _extend(group: str) -> str:
    return f"build on one of hforch's own options: begin {group}/NAME.yaml with `defaults: [OPTION]`"


def _wanted(errors: list[Any]) -> tuple[list[str], str | None]:
    """Every kind of value that the members of a union would take."""
    wanted: list[str] = []
    hint = None
    for error in errors:
        if error["type"] == "literal_error":
            allowed = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            wanted.append(f"one of: {', '.join(allowed)}" if len(allowed) > 1 else allowed[0])
            if isinstance(error["input"], str):
                hint = did_you_mean(error["input"], allowed)
        elif error["type"] in KINDS:
            wanted.append(KINDS[error["type"]])
    return list(dict.fromkeys(wanted)), hint


def _number(limit: float) -> str:
    """1 rather than 1.0, and every digit of a large one."""
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
