"""How checks are written: short forms spelled out, and what is wrong with checks before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import PydanticCustomError

from hforch.checks.json_schemas import read_schema
from hforch.checks.judging import Checks
from hforch.checks.registry import KINDS
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.errors import ConfigError, Mistake

Tree = Mapping[str, Any]

CHECK_ERROR = "check"
EXAMPLE = "write a check as {contains: Paris}, or {equals: {column: expected}, negate: true}"


# ---------------------------------------------------------------- short forms
def expand_short_form(item: Any) -> Any:
    """Return a check with all of its keys, from a short form or a long one.

    They are `{contains: Paris}` and `{kind: contains, value: Paris}`.

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
    defaults = KINDS[kind].defaults
    known = [*defaults, "kind", "value"] if "kind" in written else [*defaults, kind]
    for key in written:
        if key not in known:
            may = ", ".join(one for one in known if one not in ("kind", "value"))
            return _refuse(f"{kind} has no such key; it has: {may}", key=str(key), hint=did_you_mean(str(key), known))
    return {**defaults, **item}


def _refuse(problem: str, key: str | None = None, hint: str | None = None) -> Any:
    raise PydanticCustomError(CHECK_ERROR, "{problem}", {"problem": problem, "key": key, "hint": hint})


def as_written(location: Sequence[Any], tree: Tree) -> list[Any]:
    """Return where a user wrote what pydantic names by the long form: without the kind, or at it in a short form."""
    if list(location[:2]) != ["checks", "items"] or len(location) < 5:
        return list(location)
    number, _, key, *rest = location[2:]
    return ["checks", "items", number, _value_key(tree["checks"]["items"][number]) if key == "value" else key, *rest]


def _value_key(item: Tree) -> str:
    """Return the key that holds the value in a check as it was written."""
    return "value" if "kind" in item else next(str(key) for key in item if key in KINDS)


def value_path(number: int, item: Tree) -> str:
    return f"checks.items.{number}.{_value_key(item)}"


# ---------------------------------------------------------------- mistakes that the configuration alone shows
def column_of(value: Any) -> str | None:
    """Return the column that a check's value names; None for a literal."""
    return value["column"] if isinstance(value, Mapping) and set(value) == {"column"} else None


def value_mistakes(checks: Tree) -> Iterator[Mistake]:
    """Yield literals that a check cannot use, and what each kind says of its other keys."""
    for number, item in enumerate(checks["items"]):
        check, path = expand_short_form(item), value_path(number, item)
        kind, value = KINDS[check["kind"]], check["value"]
        if column_of(value) is None and kind.file_of(value) is None:
            try:
                kind.prepare(value)
            except ValueError as error:
                yield Mistake(path, str(error))
                continue
        yield from kind.mistakes(check, path, checks["strip"])


# ---------------------------------------------------------------- mistakes that inputs and files show
class Input(Protocol):
    """An input, with what was given for it."""

    @property
    def item(self) -> Any: ...


def check_inputs(checks: Checks, inputs: Sequence[Input], declared: object) -> None:
    """Refuse checks that cannot be made: their files cannot be read, or some input lacks what they compare with.

    Args:
        declared: where the inputs came from: the group `inputs`.

    Raises:
        ConfigError: with a mistake for each check that cannot.
    """
    path = getattr(declared, "path", None)
    mistakes = []
    for number, check in enumerate(checks.items):
        if (file := check.file_of(check.value)) is not None:
            try:
                check.prepare(read_schema(file))
            except ValueError as error:
                hint = "a path is taken from the folder in which hforch is started"
                mistakes.append(Mistake(f"checks.items.{number}", f"{file} {error}", hint=hint))
    written = (check.model_dump() for check in checks.items)
    mistakes += column_mistakes(written, [each.item for each in inputs], f" of {path}" if path else "")
    if mistakes:
        raise ConfigError(mistakes)


def column_mistakes(written: Iterable[Tree], items: Sequence[Any], of: str = "") -> Iterator[Mistake]:
    """Yield columns that checks name and inputs lack, or whose content is of no use to the check; one mistake a check.

    Args:
        written: the checks, in their short or long forms.
        of: where the inputs came from, such as ` of questions.csv`.
    """
    for number, check in enumerate(map(expand_short_form, written)):
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
    """Return what is wrong with one input's content of a column."""
    if isinstance(item, str):
        return f"is one text, and so has no column {column}"
    if column not in item:
        return f"has no column {column}; it has: {', '.join(map(str, item)) or 'nothing'}"
    try:
        KINDS[kind].prepare(item[column])
    except ValueError as error:
        return f"has a column {column} that {error}"
    return None
