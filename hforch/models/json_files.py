"""Read the JSON files of a model safely, since they may be damaged or malicious."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hforch.errors import ModelError, shown

LARGEST = 100_000_000  # bytes; the largest known tokenizer.json is a third of this
MOST_VALUES = 8_000_000  # each takes about 100 bytes of memory


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        ModelError: the file is too large, is not JSON, or is not a JSON object.
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    if size > LARGEST:
        raise ModelError(f"{file} is damaged: it has {size:,} bytes (maximum {LARGEST:,}).")
    return parse_object(file.read_bytes(), str(file))


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object; raise ModelError if `data` is not one. Messages refer to the data as `what`."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ModelError(f"{what} is damaged: it has more than {MOST_VALUES:,} values.")
    try:
        found = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{what} is damaged: byte {error.start} is not UTF-8.") from error
    except RecursionError:
        raise ModelError(f"{what} is damaged: its values are nested too deeply.") from None
    except ValueError as error:
        raise ModelError(f"{what} is damaged: invalid JSON: {shown(str(error))}.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{what} is damaged: expected a JSON object, got {_kind(found)}.")
    return found


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
