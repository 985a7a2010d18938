"""Correct p-values for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method (1979), in the order given."""
    ordered = sorted(range(len(values)), key=lambda at: values[at])
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, at in enumerate(ordered):
        largest = max(largest, min(1.0, values[at] * (len(values) - rank)))
        adjusted[at] = largest
    return adjusted
