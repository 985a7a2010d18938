"""The settings whose values are paths of files and directories that a job reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hforch.checks.base import Check
from hforch.checks.registry import KINDS


def files_in(item: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the files that a check reads, in short or long form: the key below the check, and the path."""
    kind, key = _kind_and_key(item)
    if kind is None:
        return
    below = f"{path}.{key}".lstrip(".")
    if kind.holds_checks:
        for number, member in enumerate(item[key] if isinstance(item.get(key), list) else []):
            yield from files_in(member, f"{below}.{number}")
    elif (file := kind.file_of(item.get(key))) is not None:
        yield below, file


def with_files(item: Any, change: Callable[[str], str]) -> Any:
    """Return a check with the paths of the files that it reads changed."""
    kind, key = _kind_and_key(item)
    if kind is None:
        return item
    if kind.holds_checks and isinstance(item.get(key), list):
        return {**item, key: [with_files(member, change) for member in item[key]]}
    file = kind.file_of(item.get(key))
    return item if file is None else {**item, key: change(file)}


def _kind_and_key(item: Any) -> tuple[type[Check] | None, str]:
    """Return the kind of a check and the key of its value; None for an invalid check."""
    if not isinstance(item, Mapping):
        return None, ""
    name = item.get("kind", next((key for key in item if key in KINDS), None))
    known = KINDS.get(name) if isinstance(name, str) else None
    return known, "value" if "kind" in item else str(name)
