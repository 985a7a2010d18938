"""Read the JSON files of a model, which may be damaged or made to do harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hforch.errors import ModelError, shown

LARGEST = 100_000_000  # bytes; the largest tokenizer.json is a third of it
MOST_VALUES = 8_000_000  # each takes about 100 bytes of memory


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Raises:
        ModelError: the file is too large, is not JSON, or holds something else than an object.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    if size > LARGEST:
        raise ModelError(f"{file} is damaged: it has {size:,} bytes, and at most {LARGEST:,} are read.")
    return parse_object(file.read_bytes(), str(file))


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `data`, which messages call `what`; raise ModelError if there is none."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ModelError(f"{what} is damaged: it holds more than {MOST_VALUES:,} values.")
    try:
        found = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{what} is damaged: byte {error.start} is not UTF-8.") from error
    except RecursionError:
        raise ModelError(f"{what} is damaged: its values are nested too deeply.") from None
    except ValueError as error:
        raise ModelError(f"{what} is damaged: {shown(str(error))}, so it is not JSON.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{what} is damaged: it holds {_kind(found)}, not an object ({{...}}).")
    return found


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
