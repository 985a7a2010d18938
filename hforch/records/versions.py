"""Convert records of earlier versions to the current layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.records.measured import SCORE_PARTS
from hforch.records.record import SCHEMA_VERSION


def to_current(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored record with valid types in the layout of this version.

    Version 1 stored the reasons of both parts of scoring in `scores.absent`.
    """
    current = dict(record)
    if (record.get("schema_version") or 0) < SCHEMA_VERSION:
        current["schema_version"] = SCHEMA_VERSION
        if (scores := record.get("scores")) is not None:
            current["scores"] = _with_reasons_in_parts(scores)
    return current


def _with_reasons_in_parts(scores: Mapping[str, Any]) -> dict[str, Any]:
    current = {name: value for name, value in scores.items() if name != "absent"}
    for name, reason in (scores.get("absent") or {}).items():
        part = "on_text" if name in SCORE_PARTS["on_text"] else "against_baseline"
        known = current.get(part) or {}
        current[part] = {**known, "absent": {**(known.get("absent") or {}), name: reason}}
    return current
