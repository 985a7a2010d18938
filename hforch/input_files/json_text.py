"""Read JSON Lines (an object or a string per line), and a JSON file that contains an array of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hforch.errors import ConfigError
from hforch.input_files.rows import Table, at_line, usable_rows

BLANK = re.compile(r"[ \t\r\n]*")
AN_ARRAY = "a JSON file must contain an array of objects or strings"
LINES = "for one object per line, set inputs.format=jsonl"


def read_jsonl(name: str, text: str) -> Table:
    return Table(list(usable_rows(name, _lines(name, text))))


def read_json(name: str, text: str) -> Table:
    """Read an array; raise ConfigError with the line of the first syntax error, or of each unusable item."""
    return Table(list(usable_rows(name, _items(name, text))))


def _lines(name: str, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            yield number, at_line(name, number, f"invalid JSON: {error.msg} (column {error.colno})")
        except (ValueError, RecursionError) as error:
            yield number, at_line(name, number, f"unusable JSON: {error}")


def _items(name: str, text: str) -> Iterator[tuple[int, Any]]:
    """Yield the items of an array one by one, since the parser of a whole array does not report their lines."""
    decoder = json.JSONDecoder()
    position = _after_blank(text, 0)
    if text[position : position + 1] != "[":
        raise ConfigError([at_line(name, 1 + text.count("\n", 0, position), AN_ARRAY, LINES)])
    line, counted = 1, 0
    position = _after_blank(text, position + 1)
    is_first = True
    while True:
        line, counted = line + text.count("\n", counted, position), position
        if is_first and text[position : position + 1] == "]":
            break
        is_first = False
        try:
            item, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            problem = f"invalid JSON: {error.msg} (column {error.colno})"
            raise ConfigError([at_line(name, error.lineno, problem)]) from None
        except (ValueError, RecursionError) as error:
            raise ConfigError([at_line(name, line, f"unusable JSON: {error}")]) from None
        yield line, item
        position = _after_blank(text, position)
        separator = text[position : position + 1]
        if separator == "]":
            break
        if separator != ",":
            at = 1 + text.count("\n", 0, position)
            raise ConfigError([at_line(name, at, "invalid JSON: expected , or ] after an item of the array")])
        position = _after_blank(text, position + 1)
    if text[position + 1 :].strip():
        at = 1 + text.count("\n", 0, _after_blank(text, position + 1))
        raise ConfigError([at_line(name, at, "invalid JSON: text after the end of the array", LINES)])


def _after_blank(text: str, position: int) -> int:
    found = BLANK.match(text, position)
    return found.end() if found else position
