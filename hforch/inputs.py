"""Read inputs from the configuration, or from the lines or rows of a JSONL, CSV or text file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hforch.config.schema import FileInputs, InlineInputs
from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import expanded, read_bytes

Item = str | dict[str, Any]
Row = tuple[int | None, Item]  # the number of the line, and the item

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "txt"}


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


def load_inputs(inputs: InlineInputs | FileInputs) -> list[Input]:
    """Return all inputs, in order.

    Raises:
        ConfigError: the file is missing, unreadable or invalid, or has no inputs; line numbers start at 1.
    """
    if isinstance(inputs, InlineInputs):
        problems = [(number, unusable(item)) for number, item in enumerate(inputs.items)]
        mistakes = [Mistake(f"inputs.items.{number}", problem) for number, problem in problems if problem]
        if mistakes:
            raise ConfigError(mistakes)
        rows: list[Row] = [(None, item) for item in inputs.items]
    else:
        rows = list(_read(inputs))
    if not rows:
        raise ConfigError([Mistake("inputs.path", f"no inputs found in {getattr(inputs, 'path', '')}")])
    return list(_identified(rows[: inputs.limit]))


def digest(item: Any) -> str:
    """Return a hash of an item's content, 16 hex digits, independent of file format and key order.

    A row with one column has the same hash as its value.
    """
    if isinstance(item, dict) and len(item) == 1:
        item = next(iter(item.values()))
    text = json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def format_of(inputs: FileInputs) -> str | None:
    """Return jsonl, csv or txt, as configured or by file extension; None for any other extension."""
    return inputs.format if inputs.format != "auto" else FORMATS.get(Path(inputs.path).suffix.lower())


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


def _identified(rows: Iterable[Row]) -> Iterator[Input]:
    seen: Counter[str] = Counter()
    for index, (line, item) in enumerate(rows):
        own = digest(item)
        seen[own] += 1
        yield Input(index, own if seen[own] == 1 else f"{own}-{seen[own]}", item, line)


def _read(inputs: FileInputs) -> Iterator[Row]:
    path = expanded(inputs.path)
    if inputs.path == "-":
        problem = "inputs cannot be read from standard input, because they are read more than once"
        raise ConfigError([Mistake("inputs.path", problem, None, "save them to a file and pass its path")])
    kind = format_of(inputs)
    if kind is None:
        allowed = ", ".join(FORMATS)
        hint = "set the format: inputs.format=jsonl, csv or txt"
        raise ConfigError(
            [Mistake("inputs.path", f"{path} has an unknown file extension; known: {allowed}", None, hint)]
        )
    return {"jsonl": _jsonl, "csv": _csv, "txt": _txt}[kind](path, _text(path, inputs.encoding))


def _text(path: Path, encoding: str) -> str:
    try:
        return read_bytes(path).decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigError([Mistake("inputs.encoding", f"unknown encoding {encoding!r}")]) from error
    except UnicodeError as error:
        at = f": invalid byte at offset {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        problem = f"{path} is not encoded in {encoding}{at}"
        raise ConfigError(
            [Mistake("inputs.encoding", problem, None, "set the file's encoding, for example inputs.encoding=latin-1")]
        ) from error
    except OSError as error:
        raise ConfigError([Mistake("inputs.path", f"{path}: {(error.strerror or str(error)).lower()}")]) from error


def _jsonl(path: Path, text: str) -> Iterator[Row]:
    mistakes = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            mistakes.append(
                Mistake(
                    "inputs.path",
                    f"invalid JSON: {error.msg} (column {error.colno})",
                    f"{path}:{number}",
                    relation="at",
                )
            )
            continue
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake("inputs.path", f"unusable JSON: {error}", f"{path}:{number}", relation="at"))
            continue
        if problem := unusable(item):
            mistakes.append(Mistake("inputs.path", problem, f"{path}:{number}", relation="at"))
        elif isinstance(item, str | dict):
            yield number, item
        else:
            problem = f"each line must be a JSON object or string; got {type(item).__name__}"
            mistakes.append(Mistake("inputs.path", problem, f"{path}:{number}", relation="at"))
    if mistakes:
        raise ConfigError(mistakes)


def _csv(path: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, None)
    if not header or any(not name.strip() for name in header) or len(set(header)) < len(header):
        problem = "the first row must contain the column names, without duplicates"
        raise ConfigError([Mistake("inputs.path", problem, f"{path}:1", "for example: question,expected", "at")])
    mistakes = []
    end = rows.line_num
    for row in rows:
        line, end = end + 1, rows.line_num  # a quoted value may span several lines
        if not row:
            continue
        if len(row) != len(header):
            problem = f"the row has {len(row)} values, but the header has {len(header)} columns"
            mistakes.append(Mistake("inputs.path", problem, f"{path}:{line}", relation="at"))
            continue
        yield line, dict(zip(header, row, strict=True))
    if mistakes:
        raise ConfigError(mistakes)


def _txt(path: Path, text: str) -> Iterator[Row]:
    lines = io.StringIO(text, newline=None).read().split("\n")
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
