"""Read untrusted or damaged files: regular files only, JSON of limited size and depth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from hforch.utils.paths import open_file

LARGEST = 256 * 2**20  # maximum size of a JSON file in bytes
LONGEST_LINE = 32 * 2**20  # maximum length of a line of JSON in bytes
DEEPEST = 100  # maximum number of nested lists and mappings


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a JSON file.

    Args:
        largest: the maximum size in bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content is not valid JSON, is too large, or is nested too deeply.
    """
    with open_file(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it is larger than {largest // 2**20} MiB")
    return parse_json(content)


def parse_json(text: bytes | str) -> Any:
    """Parse JSON strictly: UTF-8, no NaN or infinity, no duplicate keys, at most DEEPEST levels.

    Raises:
        ValueError: the content violates one of these rules.
    """
    try:
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        if not plain.strip():
            raise ValueError("it is empty")
        found = json.loads(plain, object_pairs_hook=_unique, parse_constant=_reject, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: invalid byte at position {error.start}") from None
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if is_deep(found):
        raise ValueError(TOO_DEEP)
    return found


def parse_line(line: bytes) -> Any:
    """Parse JSON fast; the last of several duplicate keys is used.

    Raises:
        ValueError: the line is not valid JSON, or is nested too deeply.
    """
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return parse_json(line)  # orjson rejects lone surrogates, which a model can produce
    if line.count(b"[") + line.count(b"{") > DEEPEST and is_deep(found):
        raise ValueError(TOO_DEEP)
    return found


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; a line longer than LONGEST_LINE is truncated to LONGEST_LINE + 1 bytes."""
    for line in iter(partial(file.readline, LONGEST_LINE + 1), b""):
        yield line
        rest = line if len(line) > LONGEST_LINE else b"\n"
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(2**20)


TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


def is_deep(tree: Any, deepest: int = DEEPEST) -> bool:
    """Return whether lists and mappings are nested more than `deepest` levels deep."""
    level = [tree]
    for _ in range(deepest):
        level = [inner for one in level if type(one) in (dict, list) for inner in _inner(one)]
        if not level:
            return False
    return any(type(one) in (dict, list) for one in level)


def _inner(tree: Any) -> Iterable[Any]:
    return tree.values() if type(tree) is dict else tree


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate key {again[:80]!r}")
    return found


def _reject(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError(f"{digits[:80]} is too large for a 64-bit float")
    return found
