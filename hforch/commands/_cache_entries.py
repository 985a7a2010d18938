"""Format cache entries as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cache_rows(found: Mapping[str, Any], most: int | None) -> list[tuple[str, str]]:
    """Return a row for the cache directory, and one for each of the newest `most` entries (None: all)."""
    if found["error"]:
        return [("directory", found["error"])]
    entries = found["entries"]
    size = sum(entry["size_mb"] for entry in entries)
    rows = [("directory", f"{found['home']}: {size:,.0f} MB, {found['free_gb']:.1f} GB free")]
    rows += [(entry["kind"], entry_line(entry)) for entry in entries[:most]]
    if most is not None and len(entries) > most:
        rows.append(("", f"and {len(entries) - most} more; hforch doctor --cache lists all"))
    return rows


def entry_line(entry: Mapping[str, Any]) -> str:
    """Return the name, description, size and age of an entry as one line."""
    what = entry["what"] if entry["complete"] else f"{entry['what']} (incomplete)"
    return f"{entry['name']}: {what}, {entry['size_mb']:,.1f} MB, {age(entry['age_s'])}"


def age(seconds: float) -> str:
    """Return an age in its largest unit, such as `2 hours old`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)} old"
    return "just created"
