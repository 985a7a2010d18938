"""The record of an entry in the cache, entry.json, and whether the entry is still what was made.

The record holds the size and the sha256 of each file, and a digest of itself. At each use sizes are compared, and
digests where a file's time of change is not the one that was last seen with its digest (see `fingerprint.py`): a file
that was only copied or touched is read once, and is fine.
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


def write(folder: Path, said: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Write the record of an entry.

    Args:
        folder: the entry.
        said: what the record says besides.
        names: its files, by their paths in the folder.

    Returns:
        the record.
    """
    files = {name: folder / name for name in names}
    sizes = {name: file.stat().st_size for name, file in files.items()}
    digests = {name: fingerprint.of_content(file) for name, file in files.items()}
    record: dict[str, Any] = json.loads(json.dumps({**said, "files": sizes, "digests": digests}))
    record["record"] = _digest(record)
    temporary = folder / f".{RECORD}.{secrets.token_hex(4)}"
    try:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
        temporary.replace(folder / RECORD)
    finally:
        temporary.unlink(missing_ok=True)
    return record


def remember(folder: Path, record: dict[str, Any]) -> None:
    """Remember the digests of an entry's files as they lie there now, so that its first use does not read them."""
    for name, digest in record["digests"].items():
        fingerprint.remember(folder / name, digest)


def read(folder: Path) -> dict[str, Any] | None:
    """Return the record, if there is one that can be read and all files it lists are there with their sizes."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = [(folder / name).stat().st_size == size for name, size in record["files"].items()]
        whole = bool(sizes) and all(sizes) and bool(datetime.fromisoformat(record["created"]).tzinfo)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if whole else None


def damage(folder: Path, record: dict[str, Any], digest_of: Callable[[Path], str | None]) -> str | None:
    """Return what of an entry is not as it was made; None if nothing is.

    Args:
        record: its record; one of earlier versions without digests is believed.
        digest_of: the sha256 of a file, or None where it shall not be looked at.
    """
    digests = record.get("digests")
    if digests is None:
        return None
    if not isinstance(digests, dict) or _digest(record) != record.get("record"):
        return f"{RECORD} is not as it was made"
    for name, digest in digests.items():
        try:
            if digest_of(folder / name) not in (None, digest):
                return f"{name} is not as it was made"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def adopt(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Add digests to a record of an earlier version, so that changes from now on are found; return the record."""
    if "digests" in record or not os.access(folder, os.W_OK):
        return record
    with suppress(OSError):  # a cache that cannot be written is used as it is
        record = write(folder, {name: value for name, value in record.items() if name != "files"}, record["files"])
        remember(folder, record)
    return record


def _digest(record: dict[str, Any]) -> str:
    said = {name: value for name, value in record.items() if name != "record"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
