"""The items to answer: inline, or one a line or row of a jsonl, csv or txt file."""

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

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "txt"}


@dataclass(frozen=True)
class Input:
    """One item to answer.

    Attributes:
        index: its place among the inputs, from 0.
        id: its identity, a hash of its content; a second item with the same content ends in `-2`.
        item: a string, or values by name.
    """

    index: int
    id: str
    item: Item


def load_inputs(inputs: InlineInputs | FileInputs) -> list[Input]:
    """All inputs, in order.

    Raises:
        ConfigError: the file is not there, cannot be read, or holds no input; line numbers count from 1.
    """
    if isinstance(inputs, InlineInputs):
        items = list(inputs.items)
        problems = [(number, unusable(item)) for number, item in enumerate(items)]
        if mistakes := [Mistake(f"inputs.items.{number}", problem) for number, problem in problems if problem]:
            raise ConfigError(mistakes)
    else:
        items = list(_read(inputs))
    if not items:
        raise ConfigError([Mistake("inputs.path", f"{getattr(inputs, 'path', '')} holds no input")])
    return list(_identified(items[: inputs.limit]))


def digest(item: Any) -> str:
    """The identity of an item's content: 16 hex digits, the same in any file format and key order.

    A row of a single column is the same as its value as a plain text.
    """
    if isinstance(item, dict) and len(item) == 1:
        item = next(iter(item.values()))
    text = json.dumps(item, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def format_of(inputs: FileInputs) -> str | None:
    """jsonl, csv or txt, as declared or by the file's ending; None for an ending that says nothing."""
    return inputs.format if inputs.format != "auto" else FORMATS.get(Path(inputs.path).suffix.lower())


def unusable(item: Any) -> str | None:
    """Why an item cannot be written down as JSON in UTF-8; None if it can."""
    try:
        json.dumps(item, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate), which no text has"
    except ValueError:
        return "holds a number that is none (NaN or infinity)"
    return None


def _identified(items: Iterable[Item]) -> Iterator[Input]:
    seen: Counter[str] = Counter()
    for index, item in enumerate(items):
        own = digest(item)
        seen[own] += 1
        yield Input(index, own if seen[own] == 1 else f"{own}-{seen[own]}", item)


def _read(inputs: FileInputs) -> Iterator[Item]:
    path = expanded(inputs.path)
    if inputs.path == "-":
        problem = "standard input is read once, and a run reads its inputs several times, as does who repeats it"
        raise ConfigError([Mistake("inputs.path", problem, None, "save it to a file, and name that")])
    kind = format_of(inputs)
    if kind is None:
        allowed = ", ".join(FORMATS)
        hint = "say which it is: inputs.format=jsonl, csv or txt"
        raise ConfigError([Mistake("inputs.path", f"{path} ends in none of {allowed}", None, hint)])
    return {"jsonl": _jsonl, "csv": _csv, "txt": _txt}[kind](path, _text(path, inputs.encoding))


def _text(path: Path, encoding: str) -> str:
    try:
        return read_bytes(path).decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigError([Mistake("inputs.encoding", f"{encoding!r} is no encoding that Python knows")]) from error
    except UnicodeError as error:
        at = f": byte {error.start} does not fit" if isinstance(error, UnicodeDecodeError) else ""
        problem = f"{path} is not in {encoding}{at}"
        raise ConfigError([Mistake("inputs.encoding", problem, None, "such as inputs.encoding=latin-1")]) from error
    except OSError as error:
        raise ConfigError([Mistake("inputs.path", f"{path}: {(error.strerror or str(error)).lower()}")]) from error


def _jsonl(path: Path, text: str) -> Iterator[Item]:
    mistakes = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            mistakes.append(Mistake("inputs.path", f"no JSON: {error.msg} (column {error.colno})", f"{path}:{number}"))
            continue
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake("inputs.path", f"no usable JSON: {error}", f"{path}:{number}"))
            continue
        if problem := unusable(item):
            mistakes.append(Mistake("inputs.path", problem, f"{path}:{number}"))
        elif isinstance(item, str | dict):
            yield item
        else:
            problem = f"a line is a JSON object or a string, not {type(item).__name__}"
            mistakes.append(Mistake("inputs.path", problem, f"{path}:{number}"))
    if mistakes:
        raise ConfigError(mistakes)


def _csv(path: Path, text: str) -> Iterator[Item]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, None)
    if not header or any(not name.strip() for name in header) or len(set(header)) < len(header):
        problem = "the first row must name the columns, each once"
        raise ConfigError([Mistake("inputs.path", problem, f"{path}:1", "such as: question,expected")])
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            problem = f"{len(row)} values, and the header names {len(header)} columns"
            raise ConfigError([Mistake("inputs.path", problem, f"{path}:{rows.line_num}")])
        yield dict(zip(header, row, strict=True))


def _txt(path: Path, text: str) -> Iterator[Item]:
    return (line for line in io.StringIO(text, newline=None).read().split("\n") if line.strip())
