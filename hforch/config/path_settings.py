"""The settings whose values are paths of files and directories that a job reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.checks.registry import KINDS


def file_in_check(item: Any) -> tuple[str, str] | None:
    """Return the key and the path of a check whose value is a file, in short or long form; None for other checks."""
    if not isinstance(item, Mapping):
        return None
    kind = item.get("kind", next((key for key in item if key in KINDS), None))
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    key = "value" if "kind" in item else kind
    path = KINDS[kind].file_of(item.get(key))
    return None if path is None else (key, path)
