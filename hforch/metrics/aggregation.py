"""Compute medians and percentiles of sample timings."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from hforch.metrics.metric import Aggregate, Metric
from hforch.metrics.registry import TIMINGS

PERCENT: Mapping[Aggregate, int] = {"median": 50, "p95": 95}


def percentiles(values: Sequence[float], percents: Sequence[int]) -> list[float]:
    """Return percentiles (1 to 99) by linear interpolation between ranks, as numpy does.

    Raises:
        ValueError: `values` is empty.
    """
    if len(values) == 1:
        return [values[0]] * len(percents)
    cuts = quantiles(values, n=100, method="inclusive") if set(percents) - {50} else []
    return [median(values) if percent == 50 else cuts[percent - 1] for percent in percents]


class Timings:
    """The timings of a job's successful samples, by name, in milliseconds."""

    def __init__(self) -> None:
        self._values = {name: array("d") for name in TIMINGS}

    def add(self, sample: Mapping[str, Any]) -> None:
        timings = sample["timings"]
        for name, values in self._values.items():
            if name in timings:
                values.append(timings[name])

    def aggregate(self, metric: Metric) -> float | None:
        """Return the value of a metric over the samples; None if no sample has its timing."""
        values = self._values[metric.timing]
        if not values:
            return None
        return round(percentiles(values, [PERCENT[metric.aggregate]])[0], 3)

    def quantiles(self, percents: Sequence[int]) -> dict[str, list[float]]:
        """Return percentiles of each timing that at least one sample has."""
        found = {name: percentiles(values, percents) for name, values in self._values.items() if values}
        return {name: [round(one, 3) for one in some] for name, some in found.items()}
