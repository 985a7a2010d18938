"""How much the speed of a job varies: between repeats, between rounds on one loaded model, and between loads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from hforch.comparison.rows import Row


@dataclass(frozen=True)
class Variation:
    """Relative standard deviations of tokens/s; None if it was not measured often enough.

    Attributes:
        repeats: between the repeats of one round, which follow each other.
        rounds: between the rounds on one loaded model.
        loads: between the means of loads of the model.
    """

    repeats: float | None
    rounds: float | None
    loads: float | None


def variation_of(record: Mapping[str, Any]) -> Variation:
    """Return the variation of a job's speed, from the rounds in its record."""
    rounds = [one for one in record.get("rounds") or () if one.get("tokens_per_s") and not one.get("incomplete")]
    repeats = [_logs(one.get("tokens_per_s_each") or ()) for one in rounds]
    loads: dict[int, list[float]] = {}
    for one in rounds:
        loads.setdefault(one["load"], []).extend(_logs([one["tokens_per_s"]]))
    return Variation(
        _pooled(repeats), _pooled(list(loads.values())), _pooled([[mean(some) for some in loads.values()]])
    )


def variation_line(rows: Sequence[Row]) -> str | None:
    """Return the variation of the jobs' speeds in one sentence; None if no job was measured several times."""
    found = [variation_of(row.entry.record) for row in rows]
    parts = [
        part
        for name in ("repeats", "rounds", "loads")
        if (part := _range(name, [value for one in found if (value := getattr(one, name)) is not None]))
    ]
    if not parts:
        return None
    line = f"standard deviation of tokens/s, depending on the job (qualified jobs only): {', '.join(parts)}"
    if any(one.loads is not None for one in found):
        return line
    return f"{line}; each model was loaded only once, so this does not include differences between loads"


def _range(name: str, values: Sequence[float]) -> str | None:
    if not values:
        return None
    low, high = f"{min(values):.1%}", f"{max(values):.1%}"
    return f"{low if low == high else f'{low} to {high}'} between {name}"


def _logs(speeds: Sequence[float]) -> list[float]:
    return [math.log(speed) for speed in speeds if speed > 0]


def _pooled(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups; None if no group has two values."""
    degrees = sum(len(group) - 1 for group in groups if group)
    if not degrees:
        return None
    return math.sqrt(math.fsum(_squares(groups)) / degrees)


def _squares(groups: Sequence[Sequence[float]]) -> Iterator[float]:
    for group in groups:
        if group:
            middle = mean(group)
            yield from ((one - middle) ** 2 for one in group)
