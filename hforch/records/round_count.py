"""The number of rounds and repeats of a job, from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rounds_of(record: Mapping[str, Any]) -> int:
    """Return the number of rounds that a job measures or has started to measure; 1 for records without rounds."""
    runtime = (record.get("job") or {}).get("runtime") or {}
    rounds = runtime.get("rounds")
    return max(rounds if type(rounds) is int else 1, len(record.get("rounds") or ()))


def repeats_of(record: Mapping[str, Any]) -> int | None:
    """Return the number of samples of each input, over all rounds; None if the record does not contain it."""
    repeats = ((record.get("job") or {}).get("runtime") or {}).get("repeat")
    return repeats * rounds_of(record) if type(repeats) is int else None
