"""The confidence interval of each metric of a job, or the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hforch.metrics.metric import Metric
from hforch.metrics.registry import COMPARED
from hforch.records.evidence import Evidence
from hforch.statistics.estimates import Estimate, Interval
from hforch.statistics.inputs import mean_of_job
from hforch.statistics.proportions import normal_quantile
from hforch.statistics.rounds import value_from_drifts, value_of_job
from hforch.statistics.units import Units

CONFIDENCE = 0.95
LOGARITHMIC = ("ppl",)  # metrics that are the exponential of a ratio of sums
ONCE = "measured once in each load"
OF_BASELINE = "the baseline, compared with itself"


def estimates(
    metrics: Mapping[str, float | None],
    evidence: Evidence,
    confidence: float = CONFIDENCE,
    drifts: Sequence[float] = (),
    is_baseline: bool = False,
) -> dict[str, Estimate]:
    """Return an estimate for each compared metric of a job that has a value.

    Args:
        metrics: values and standard errors by name.
        evidence: what inputs and rounds contribute to them.
        confidence: the confidence level.
        drifts: for each model that was loaded, ln(second / first duration of its first batch).
        is_baseline: whether differences from a baseline are those of the job from itself.
    """
    found = {}
    for metric in COMPARED:
        value = metrics.get(metric.name)
        if value is None:
            continue
        if is_baseline and metric.needs_baseline:
            found[metric.name] = Estimate(value, why=OF_BASELINE)
        else:
            error = metrics.get(metric.error_name)
            found[metric.name] = replace(_estimate(metric, value, error, evidence, confidence, drifts), value=value)
    return found


def _estimate(
    metric: Metric, value: float, error: float | None, evidence: Evidence, confidence: float, drifts: Sequence[float]
) -> Estimate:
    if metric.without_interval:
        return Estimate(value, why=metric.without_interval)
    if (units := evidence.units.get(metric.name)) is not None and len(units):
        return _of_units(units, metric, confidence)
    if error is not None:
        return Estimate(value, _from_error(value, error, metric, confidence))
    if metric.name in evidence.rounds or metric.is_throughput:
        known = [one for one in evidence.rounds.get(metric.name, ()) if one]
        return value_of_job(known, confidence) if len(known) > 1 else value_from_drifts(value, drifts, confidence)
    has_loads = metric.kind in ("speed", "memory", "energy")
    return Estimate(value, why=ONCE if has_loads else "its standard error is unknown")


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
    half = normal_quantile(confidence) * error
    low, high = metric.within_range(value - half), metric.within_range(value + half)
    return Interval(low, high, confidence, "standard error", 0)
