"""Entries of the cache, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cache_rows(found: Mapping[str, Any], most: int | None) -> list[tuple[str, str]]:
    """The place, and the newest entries, `most` of them; all if None."""
    if found["error"]:
        return [("folder", found["error"])]
    entries = found["entries"]
    size = sum(entry["size_mb"] for entry in entries)
    rows = [("folder", f"{found['home']}: {size:,.0f} MB, {found['free_gb']:.1f} GB free there")]
    rows += [(entry["kind"], entry_line(entry)) for entry in entries[:most]]
    if most is not None and len(entries) > most:
        rows.append(("", f"and {len(entries) - most} more: hforch doctor --cache"))
    return rows


def entry_line(entry: Mapping[str, Any]) -> str:
    """An entry in one line: its name, what it is, its size and its age."""
    what = entry["what"] if entry["complete"] else f"{entry['what']} (incomplete)"
    return f"{entry['name']}: {what}, {entry['size_mb']:,.1f} MB, {age(entry['age_s'])}"


def age(seconds: float) -> str:
    """How long ago, in the largest unit of which there is one."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)} old"
    return "just made"
