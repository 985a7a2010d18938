"""Expand the short forms of checks, and validate checks before a model is loaded."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from pydantic_core import PydanticCustomError

from hforch.checks.base import Column
from hforch.checks.json_schemas import read_schema
from hforch.checks.judging import Checks, each_check
from hforch.checks.registry import KINDS
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.options import option, options
from hforch.errors import ConfigError, Mistake

Tree = Mapping[str, Any]

CHECK_ERROR = "check"
EXAMPLE = "write a check as {contains: Paris}, or {equals: {column: expected}, negate: true}"


# ---------------------------------------------------------------- short forms
def expand_short_form(item: Any) -> Any:
    """Return a check with all its keys, from its short form or long form.

    An example of each: `{contains: Paris}` and `{kind: contains, value: Paris}`.

    Raises:
        PydanticCustomError: the check has no kind, several kinds, an unknown kind or an unknown key; its type is
            CHECK_ERROR.
    """
    if not isinstance(item, Mapping):
        return item if hasattr(item, "kind") else _reject("is not a check", hint=EXAMPLE)
    if "kind" in item:
        return _long(item)
    kinds = [key for key in item if key in KINDS]
    if len(kinds) > 1:
        return _reject(f"has {len(kinds)} kinds of check: {', '.join(kinds)}", hint="write each as a separate item")
    if not kinds:
        near = (did_you_mean(str(key), KINDS) for key in item)
        hint = next((hint for hint in near if hint), EXAMPLE)
        has = f"no kind of check among its keys ({', '.join(map(str, item))})" if item else "no kind of check"
        return _reject(f"{has}; available: {', '.join(KINDS)}", hint=hint)
    (kind,) = kinds
    value = _expanded_members(kind, kind, item[kind])
    return _complete(kind, {"kind": kind, "value": value, **_others(item, kind)}, written=item)


def _long(item: Tree) -> dict[str, Any]:
    kind = item["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else None
        return _reject(f"must be one of: {', '.join(KINDS)}", key="kind", hint=hint)
    if "value" not in item:
        return _reject(f"is missing: {kind} needs a value to compare with", key="value")
    return _complete(kind, {**item, "value": _expanded_members(kind, "value", item["value"])}, written=item)


def _expanded_members(kind: str, key: str, value: Any) -> Any:
    """Return the value of a check with the checks that it contains in long form."""
    if not KINDS[kind].holds_checks or not isinstance(value, list | tuple):
        return value
    found = []
    for number, item in enumerate(value):
        try:
            member = expand_short_form(item)
        except PydanticCustomError as error:
            about = error.context or {}
            below = ".".join(str(step) for step in (key, number, about.get("key")) if step is not None)
            return _reject(about.get("problem", ""), key=below, hint=about.get("hint"))
        if isinstance(member, Mapping) and KINDS[member["kind"]].holds_checks:
            return _reject(
                f"{kind} cannot contain {member['kind']}", key=f"{key}.{number}", hint="list all checks in one"
            )
        found.append(member)
    return found


def _others(item: Tree, kind: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != kind}


def _complete(kind: str, item: Tree, written: Tree) -> dict[str, Any]:
    defaults = KINDS[kind].defaults
    known = [*defaults, "kind", "value"] if "kind" in written else [*defaults, kind]
    for key in written:
        if key not in known:
            may = ", ".join(one for one in known if one not in ("kind", "value"))
            return _reject(
                f"unknown key for {kind}; available: {may}", key=str(key), hint=did_you_mean(str(key), known)
            )
    return {**defaults, **item}


def _reject(problem: str, key: str | None = None, hint: str | None = None) -> Any:
    raise PydanticCustomError(CHECK_ERROR, "{problem}", {"problem": problem, "key": key, "hint": hint})


def as_written(location: Sequence[Any], tree: Tree) -> list[Any]:
    """Map an error location in a check's long form back to the form that the user wrote."""
    if list(location[:2]) != ["checks", "items"] or len(location) < 5:
        return list(location)
    number, *steps = location[2:]
    return ["checks", "items", number, *_written_steps(steps, tree["checks"]["items"][number])]


def _written_steps(steps: Sequence[Any], item: Tree) -> list[Any]:
    """Return the steps below a check as the user wrote it; the first step is the kind, which pydantic inserts."""
    _, key, *rest = steps
    if key != "value":
        return [key, *rest]
    key = _value_key(item)
    if len(rest) > 2 and isinstance(rest[0], int) and isinstance(item[key], list | tuple):
        return [key, rest[0], *_written_steps(rest[1:], item[key][rest[0]])]
    return [key, *rest]


def _value_key(item: Tree) -> str:
    """Return the key of the value in a check as written: `value`, or the kind in a short form."""
    return "value" if "kind" in item else next(str(key) for key in item if key in KINDS)


def each_written(items: Iterable[Any]) -> Iterator[tuple[str, str, Tree]]:
    """Yield each check and its members: the config path of the check and of its value, and the long form."""
    for number, item in enumerate(items):
        yield from _with_members(f"checks.items.{number}", item)


def _with_members(path: str, item: Any) -> Iterator[tuple[str, str, Tree]]:
    check = expand_short_form(item)
    value_path = f"{path}.{_value_key(item)}"
    yield path, value_path, check
    if KINDS[check["kind"]].holds_checks:
        for number, member in enumerate(item[_value_key(item)]):
            yield from _with_members(f"{value_path}.{number}", member)


# ---------------------------------------------------------------- errors in the configuration alone
def column_of(value: Any) -> Column | None:
    """Return the column that a check's value refers to, or None for a literal."""
    if not isinstance(value, Mapping) or "column" not in value or not set(value) <= set(Column.model_fields):
        return None
    return Column.model_construct(column=value["column"], separator=value.get("separator"))


@cache
def columns_of_options() -> frozenset[str]:
    """Return the columns that the built-in options of the group `checks` refer to, such as `expected`.

    Inputs may have them for checks that a run does not select.
    """
    written = [item for name in options("checks") for item in option("checks", name)["items"]]
    return frozenset(one.column for item in written if (one := column_of(expand_short_form(item)["value"])) is not None)


def value_mistakes(checks: Tree) -> Iterator[Mistake]:
    """Yield the errors in the literal values and options of checks; the types must be valid."""
    for _, path, check in each_written(checks["items"]):
        kind, value = KINDS[check["kind"]], check["value"]
        if column_of(value) is None and kind.file_of(value) is None:
            try:
                kind.prepare(value)
            except ValueError as error:
                yield Mistake(path, str(error))
                continue
        yield from kind.mistakes(check, path, checks["strip"])


BRACES = re.compile(r"\{(\w+)\}")


def braces_instead_of_columns(checks: Checks, columns: Collection[str]) -> Iterator[Mistake]:
    """Yield a warning for each literal value that contains the name of a column in braces, as in a prompt."""
    for path, check in each_check(checks):
        for name in BRACES.findall(check.value) if isinstance(check.value, str) else ():
            if name in columns:
                problem = f"compares answers with the literal text {{{name}}}, not with the column {name!r}"
                yield Mistake(path, problem, hint=f"write {{{check.kind}: {{column: {name}}}}}")


# ---------------------------------------------------------------- errors in inputs and files
class Input(Protocol):
    """An input with its item: a string, or a mapping of columns."""

    @property
    def item(self) -> Any: ...


def check_inputs(checks: Checks, inputs: Sequence[Input], declared: object) -> None:
    """Check that the files of all checks can be read, and that every input has the columns that they compare with.

    Args:
        declared: the `inputs` group of the job.

    Raises:
        ConfigError: checks cannot be applied; contains an error for each.
    """
    path = getattr(declared, "path", None)
    mistakes = []
    for place, check in each_check(checks):
        if (file := check.file_of(check.value)) is not None:
            try:
                check.prepare(read_schema(file))
            except ValueError as error:
                hint = "a relative path is relative to the current directory, or to the recipe that sets it"
                mistakes.append(Mistake(place, f"{file} {error}", hint=hint))
    written = (check.model_dump() for check in checks.items)
    mistakes += column_mistakes(written, [each.item for each in inputs], f" of {path}" if path else "")
    if mistakes:
        raise ConfigError(mistakes)


def column_mistakes(written: Iterable[Tree], items: Sequence[Any], of: str = "") -> Iterator[Mistake]:
    """Yield an error for each check whose column is missing or has an unusable value in an input.

    Args:
        written: the checks, in short or long form.
        of: the source of the inputs, such as ` of questions.csv`.
    """
    for path, _, check in each_written(written):
        source = column_of(check["value"])
        if source is None:
            continue
        column = source.column
        problems = [(at, said) for at, item in enumerate(items) if (said := _cell_problem(check["kind"], source, item))]
        if not problems:
            continue
        at, said = problems[0]
        more = f" (the first of {len(problems)} such inputs)" if len(problems) > 1 else ""
        names = dict.fromkeys(str(name) for item in items if isinstance(item, Mapping) for name in item)
        hint = None
        if column not in names:
            hint = did_you_mean(column, names) or _another_column(check["kind"], column, list(names), bool(of))
        yield Mistake(path, f"input {at + 1}{of} {said}{more}", hint=hint)


def _another_column(kind: str, column: str, names: Sequence[str], from_file: bool) -> str:
    """Return a hint for a check whose column no input has: add the column, or use an existing one."""
    add = "add the column to each input, as in inputs.items=[{question: ..., " + column + ": ...}]"
    if not from_file:
        return add
    use = (
        "to use another column, write 'checks.items=[{"
        + kind
        + ": {column: "
        + (names[-1] if names else "...")
        + "}}]'"
    )
    return f"add the column to the file, or, {use}"


def _cell_problem(kind: str, column: Column, item: Any) -> str | None:
    """Return the problem with one input's value in a column, or None."""
    name = column.column
    if isinstance(item, str):
        return f"is a string and has no column '{name}'"
    if name not in item:
        return f"has no column '{name}'; available: {', '.join(map(str, item)) or 'none'}"
    try:
        KINDS[kind].alternatives(column.cell(item[name]))
    except ValueError as error:
        return f"has an invalid value in column '{name}': it {error}"
    return None
