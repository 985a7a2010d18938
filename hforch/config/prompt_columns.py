"""Choose the input column that supplies the only variable of a prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

DEFAULT = "question"
"""The variable and column of hforch's own prompts, for which another column may stand in."""

USUAL = (DEFAULT, "prompt", "text", "instruction", "input")
"""Names that data sets use for the column with the prompt."""

WORD = re.compile(r"[^\W\d][\w-]*")


class NoColumn(Exception):
    """No column, or more than one, could supply the variable.

    Attributes:
        likely: the columns that could.
    """

    def __init__(self, likely: Sequence[str]) -> None:
        super().__init__(", ".join(likely))
        self.likely = tuple(likely)


def choose(variable: str | None, column: str | None, columns: Collection[str]) -> str:
    """Return the column that supplies a prompt's only variable.

    If neither `column` nor a column with the name of the variable exists, a column with a usual name stands in, or the
    only column, but only for DEFAULT: a name that the user chose is never replaced.

    Args:
        variable: the variable; None for a prompt that is the input itself.
        column: the value of prompt.column.
        columns: the columns of the inputs.

    Raises:
        NoColumn: the column is missing, or several could be meant.
    """
    wanted = column if column is not None else variable
    if wanted is not None and wanted in columns:
        return wanted
    if wanted not in (None, DEFAULT):
        raise NoColumn([])
    likely = [name for name in columns if isinstance(name, str) and name.strip().lower() in USUAL]
    if not likely and len(columns) == 1:
        # A sentence is not a name, but the first row of a CSV file without a header.
        likely = [name for name in columns if wanted is None or WORD.fullmatch(str(name))]
    if len(likely) != 1:
        raise NoColumn(likely)
    return likely[0]


def columns_of(items: Iterable[Any]) -> list[str]:
    """Return the columns of all items, in order, without duplicates."""
    return list(dict.fromkeys(name for item in items if isinstance(item, Mapping) for name in item))


def several(likely: Sequence[str]) -> tuple[str, str]:
    """Return the problem and the hint if several columns could supply the prompt."""
    named = ", ".join(map(repr, likely))
    return f"several input columns could be the prompt: {named}", f"select one, for example prompt.column={likely[0]}"


def hint_to_choose(columns: Sequence[str]) -> str:
    """Return a hint for inputs without a column that could supply the prompt."""
    name = next((one for one in columns if WORD.fullmatch(str(one))), "NAME")
    return f"select the column that contains the prompt, for example prompt.column={name}"
