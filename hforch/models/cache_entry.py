"""Read and write entry.json, the record of a cache entry, and check that the entry is unchanged.

The record holds the size and the SHA-256 of each file, and its own digest. Sizes are compared at each use. Digests are
compared only if a file's modification time differs from the one stored with its digest (see `fingerprint.py`), so a
copied or touched file is read once.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from hforch.models import fingerprint

RECORD = "entry.json"


def write(folder: Path, contents: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Write the record of an entry.

    Args:
        folder: the entry's directory.
        contents: the record without the entries about files.
        names: paths of the entry's files, relative to the directory.

    Returns:
        The record.
    """
    files = {name: folder / name for name in names}
    sizes = {name: file.stat().st_size for name, file in files.items()}
    digests = {name: fingerprint.of_content(file) for name, file in files.items()}
    record: dict[str, Any] = json.loads(json.dumps({**contents, "files": sizes, "digests": digests}))
    record["record"] = _digest(record)
    temporary = folder / f".{RECORD}.{secrets.token_hex(4)}"
    try:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
        temporary.replace(folder / RECORD)
    finally:
        temporary.unlink(missing_ok=True)
    return record


def remember(folder: Path, record: dict[str, Any]) -> None:
    """Store the digests of an entry's files, so that they are not read on first use."""
    for name, digest in record["digests"].items():
        fingerprint.remember(folder / name, digest)


def read(folder: Path) -> dict[str, Any] | None:
    """Return the record if it is valid and all its files exist with the recorded sizes, else None."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = [(folder / name).stat().st_size == size for name, size in record["files"].items()]
        whole = bool(sizes) and all(sizes) and bool(datetime.fromisoformat(record["created"]).tzinfo)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if whole else None


def damage(folder: Path, record: dict[str, Any], digest_of: Callable[[Path], str | None]) -> str | None:
    """Return a description of the first changed file of an entry, or None if all are unchanged.

    Args:
        folder: the entry's directory.
        record: the entry's record; not checked if an earlier version wrote it without digests.
        digest_of: returns the SHA-256 of a file, or None to skip the file.
    """
    digests = record.get("digests")
    if digests is None:
        return None
    if not isinstance(digests, dict) or _digest(record) != record.get("record"):
        return f"{RECORD} has changed"
    for name, digest in digests.items():
        try:
            if digest_of(folder / name) not in (None, digest):
                return f"{name} has changed"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def adopt(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Add digests to a record that an earlier version wrote, so that later changes are detected; then return it."""
    if "digests" in record or not os.access(folder, os.W_OK):
        return record
    with suppress(OSError):  # a read-only cache can still be used
        record = write(folder, {name: value for name, value in record.items() if name != "files"}, record["files"])
        remember(folder, record)
    return record


def _digest(record: dict[str, Any]) -> str:
    contents = {name: value for name, value in record.items() if name != "record"}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
