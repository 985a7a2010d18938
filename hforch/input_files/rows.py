"""The rows of an input file, and errors in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hforch.errors import ConfigError, Mistake

Item = str | dict[str, Any]
Row = tuple[int | None, Item]  # the number of the line, and the item


@dataclass(frozen=True)
class Table:
    """The contents of an input file.

    Attributes:
        rows: the items with the numbers of their first lines, from 1; None for a format without lines.
        delimiter: what separates the values of a line, for delimited files.
        is_sniffed: whether the delimiter was detected from the contents instead of the format.
    """

    rows: list[Row]
    delimiter: str | None = None
    is_sniffed: bool = False


def at_line(name: str, line: int | None, problem: str, hint: str | None = None) -> Mistake:
    """Return an error at a line of a file."""
    return Mistake("inputs.path", problem, name if line is None else f"{name}:{line}", hint, "at")


def usable_rows(name: str, found: Iterable[tuple[int | None, Any]]) -> Iterator[Row]:
    """Yield the items that are objects or strings; collect the errors in the others.

    Args:
        found: the items with the numbers of their lines; a Mistake in place of an item that cannot be parsed.

    Raises:
        ConfigError: contains all errors; raised after the last item.
    """
    mistakes = []
    for line, item in found:
        if isinstance(item, Mistake):
            mistakes.append(item)
        elif problem := unusable(item):
            mistakes.append(at_line(name, line, problem))
        elif isinstance(item, str | dict):
            yield line, item
        else:
            problem = f"each input must be a JSON object or string; got {type(item).__name__}"
            mistakes.append(at_line(name, line, problem))
    if mistakes:
        raise ConfigError(mistakes)


def unusable(item: Any) -> str | None:
    """Return why an item cannot be encoded as JSON in UTF-8, with the column, or None if it can."""
    if isinstance(item, dict):
        problems = ((name, unusable(name) or unusable([value])) for name, value in item.items())
        return next((f"column {str(name)!r} {problem}" for name, problem in problems if problem), None)
    try:
        json.dumps(item, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return "contains a lone surrogate, which is not a valid character"
    except ValueError:
        return "contains NaN or infinity, which JSON does not allow"
    return None
