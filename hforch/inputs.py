"""The inputs to answer: items of the configuration, or of a file, each with an id."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hforch.config.schema import FileInputs, InlineInputs
from hforch.errors import ConfigError, Mistake
from hforch.input_files.read import format_of, name_of, read_table
from hforch.input_files.rows import Item, Row, unusable

DELIMITER_NAMES = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Input:
    """One input of the model.

    Attributes:
        index: position among the inputs, from 0.
        id: hash of the content; `-2` is appended for the second input with the same content, `-3` for the third, ...
        item: a string, or a dict of values by column name.
        line: the number of its first line in a file, from 1; None for an inline input.
    """

    index: int
    id: str
    item: Item
    line: int | None = None


@dataclass(frozen=True)
class LoadedInputs:
    """The inputs of a job, and how they were read.

    Attributes:
        inputs: all inputs, in order.
        format: the format of the file; None for inline inputs.
        delimiter: the delimiter of a CSV or TSV file.
        notes: what was detected from the contents, for the user.
    """

    inputs: Sequence[Input]
    format: str | None = None
    delimiter: str | None = None
    notes: tuple[str, ...] = ()


def load_inputs(inputs: InlineInputs | FileInputs) -> list[Input]:
    """Return all inputs, in order; raise the errors of `read_inputs`."""
    return list(read_inputs(inputs).inputs)


def read_inputs(inputs: InlineInputs | FileInputs, content: bytes | None = None) -> LoadedInputs:
    """Read the inputs of a job.

    Args:
        content: the bytes to read instead of the file; required for standard input.

    Raises:
        ConfigError: the file is missing, unreadable or invalid, or has no inputs; line numbers start at 1.
    """
    if isinstance(inputs, InlineInputs):
        problems = [(number, unusable(item)) for number, item in enumerate(inputs.items)]
        mistakes = [Mistake(f"inputs.items.{number}", problem) for number, problem in problems if problem]
        if mistakes:
            raise ConfigError(mistakes)
        rows: list[Row] = [(None, item) for item in inputs.items]
        return LoadedInputs(list(_identified(rows[: inputs.limit])))
    table = read_table(inputs, content)
    if not table.rows:
        raise ConfigError([Mistake("inputs.path", f"no inputs found in {name_of(inputs)}")])
    notes: tuple[str, ...] = ()
    if table.is_sniffed and table.delimiter is not None:
        notes = (f"{name_of(inputs)}: the values are separated by {DELIMITER_NAMES[table.delimiter]}",)
    return LoadedInputs(list(_identified(table.rows[: inputs.limit])), format_of(inputs), table.delimiter, notes)


def digest(item: Any) -> str:
    """Return a hash of an item's content, 16 hex digits, independent of file format and key order.

    A row with one column has the same hash as its value.
    """
    if isinstance(item, dict) and len(item) == 1:
        item = next(iter(item.values()))
    text = json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _identified(rows: Iterable[Row]) -> Iterator[Input]:
    seen: Counter[str] = Counter()
    for index, (line, item) in enumerate(rows):
        own = digest(item)
        seen[own] += 1
        yield Input(index, own if seen[own] == 1 else f"{own}-{seen[own]}", item, line)
