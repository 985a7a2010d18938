"""The confidence interval of each metric of a job, or the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hforch.comparison.entries import Entry
from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME
from hforch.statistics.estimates import Estimate, Interval
from hforch.statistics.inputs import mean_of_job
from hforch.statistics.rounds import value_from_drifts, value_of_job
from hforch.statistics.students_t import quantile
from hforch.statistics.units import Units

CONFIDENCE = 0.95
LOGARITHMIC = ("ppl",)  # metrics that are the exponential of a ratio of sums
ONCE = "measured once in each load"
OF_BASELINE = "the baseline, compared with itself"


def drifts_of(entries: Sequence[Entry]) -> list[float]:
    """Return, for each model that was loaded, ln(second / first duration of its first batch), if it was timed again."""
    loads: dict[tuple[Path, object], float] = {}
    for entry in entries:
        if entry.noise is not None and entry.noise > -1:
            loads[entry.directory.parent, entry.record.get("load_key")] = math.log1p(entry.noise)
    return list(loads.values())


def estimates_of(row: Row, drifts: Sequence[float], confidence: float) -> dict[str, Estimate]:
    """Return an estimate for each metric of a job that has a value."""
    known = {name: value for name, value in row.metrics.items() if value is not None and name in BY_NAME}
    return {
        name: replace(_estimate(row, BY_NAME[name], drifts, confidence), value=value) for name, value in known.items()
    }


def _estimate(row: Row, metric: Metric, drifts: Sequence[float], confidence: float) -> Estimate:
    value = row.metrics[metric.name] or 0.0
    if metric.without_interval:
        return Estimate(value, why=metric.without_interval)
    if metric.needs_baseline and "baseline" in row.notes:
        return Estimate(value, why=OF_BASELINE)
    if (units := row.evidence.units.get(metric.name)) is not None and len(units):
        return _of_units(units, metric, confidence)
    if (error := row.metrics.get(metric.error_name)) is not None:
        return Estimate(value, _from_error(value, error, metric, confidence))
    if metric.name in row.evidence.rounds or metric.is_throughput:
        return _of_rounds(row.evidence.rounds.get(metric.name, ()), value, drifts, confidence)
    return Estimate(
        value, why=ONCE if metric.kind in ("speed", "memory", "energy") else "its standard error is unknown"
    )


def _of_units(units: Units, metric: Metric, confidence: float) -> Estimate:
    found = mean_of_job(units, confidence)
    if found.interval is None:
        return found
    ends = found.interval.low, found.interval.high
    if metric.name in LOGARITHMIC:
        ends = math.exp(ends[0]), math.exp(ends[1])
    low, high = map(metric.within_range, ends)
    return replace(found, interval=replace(found.interval, low=low, high=high))


def _from_error(value: float, error: float, metric: Metric, confidence: float) -> Interval:
    half = quantile(math.inf, confidence) * error
    low, high = metric.within_range(value - half), metric.within_range(value + half)
    return Interval(low, high, confidence, "standard error", 0)


def _of_rounds(values: Sequence[float | None], value: float, drifts: Sequence[float], confidence: float) -> Estimate:
    known = [one for one in values if one]
    if len(known) > 1:
        return value_of_job(known, confidence)
    return value_from_drifts(value, drifts, confidence)


def reasons_without_interval(rows: Sequence[Row]) -> Mapping[str, list[str]]:
    """Return the metrics without an interval in some row, by reason, in the order of the registry."""
    found: dict[str, list[str]] = {}
    for name in BY_NAME:
        for row in rows:
            one = row.estimates.get(name)
            if one is not None and one.interval is None and name not in found.get(one.why, ()):
                found.setdefault(one.why, []).append(name)
    return found
