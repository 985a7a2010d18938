"""The intervals of the rows of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hforch.comparison.entries import Entry
from hforch.comparison.rows import Row
from hforch.metrics.registry import BY_NAME


def drifts_of(entries: Sequence[Entry]) -> list[float]:
    """Return, for each model that was loaded, ln(second / first duration of its first batch), if it was timed again."""
    loads: dict[tuple[Path, object], float] = {}
    for entry in entries:
        if entry.noise is not None and entry.noise > -1:
            loads[entry.directory.parent, entry.record.get("load_key")] = math.log1p(entry.noise)
    return list(loads.values())


def reasons_without_interval(rows: Sequence[Row]) -> Mapping[str, list[str]]:
    """Return the metrics without an interval in some row, by reason, in the order of the registry."""
    found: dict[str, list[str]] = {}
    for name in BY_NAME:
        for row in rows:
            one = row.estimates.get(name)
            if one is not None and one.interval is None and name not in found.get(one.why, ()):
                found.setdefault(one.why, []).append(name)
    return found
