"""The effect of one job against another on a metric, paired by input, by window or by round."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace

from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.records.intervals import LOGARITHMIC, ONCE
from hforch.statistics.estimates import Effect, Interval
from hforch.statistics.inputs import difference_of_jobs
from hforch.statistics.rounds import distance_of_halves, log_ratios, ratio_from_drifts, ratio_of_jobs
from hforch.statistics.units import Units

RATIOS = ("speed", "memory", "energy")  # kinds of metrics whose effects are ratios
BY_INPUT = {
    **{name: name for name in ("checks", "exact_match", "similarity", "chrf")},
    **{name: name for name in ("kl_mean", "top1_agreement", "flips_early", "ppl", "bits_per_byte")},
    "ppl_ratio": "ppl",
}
"""The quality metrics that are compared input by input, each with the contributions by which it is paired."""


def has_effects(metric: Metric) -> bool:
    """Return whether effects on a metric may have intervals; others are compared by their values alone."""
    return metric.is_throughput or bool(metric.timing) or metric.name in BY_INPUT


def effect_of(
    row: Row, other: Row, metric: Metric, drifts: Sequence[float], confidence: float, resample: bool = True
) -> Effect:
    """Return row / other (speed, memory, energy, perplexity) or row - other (other metrics); both have a value.

    Args:
        drifts: ln(second / first duration) of the first batch of each loaded model.
        resample: whether to use the bootstrap and permutations, which take up to 0.1 s.
    """
    mine, theirs = row.metrics[metric.name] or 0.0, other.metrics[metric.name] or 0.0
    if is_same_run(row, other):
        return _none(metric)
    if metric.kind in RATIOS:
        return _of_costs(row, other, metric, mine, theirs, drifts, confidence)
    units = _units(row, metric, like=other), _units(other, metric, like=row)
    if units[0] is None or units[1] is None:
        why = metric.without_interval or "its values by input are unknown"
        return Effect(mine - theirs, "difference", why=why)
    found = difference_of_jobs(units[0], units[1], confidence, resample)
    return _exponential(found) if BY_INPUT.get(metric.name) in LOGARITHMIC else _possible(found, metric)


def _none(metric: Metric) -> Effect:
    """Return the effect of a job on itself."""
    why = "the jobs are identical and were run once"
    if metric.kind in RATIOS:
        return Effect(1.0, "ratio", why=why, spread=0.0)
    return Effect(0.0, "difference", why=why, spread=0.0)


def is_same_run(row: Row, other: Row) -> bool:
    """Return whether two jobs are the same run, one of them recorded as a copy."""
    return row.entry.samples.resolve() == other.entry.samples.resolve()


def are_interleaved(row: Row, other: Row) -> bool:
    """Return whether two jobs were measured in turns, in several rounds of one sweep."""
    together = row.entry.directory.parent == other.entry.directory.parent
    return together and row.took_turns and other.took_turns


def was_looked_at(row: Row) -> bool:
    """Return whether the number of rounds of a job was decided from its earlier results."""
    return bool(row.entry.record.get("looked_early") or row.entry.record.get("extended"))


def noise_floor(rows: Sequence[Row], metric: Metric) -> float:
    """Return how far two measurements of the same job lie apart, as a fraction; 0 if unknown.

    It is estimated from rounds; jobs that were measured once have the noise of the batches that were timed again in
    their intervals.
    """
    together = [row for row in rows if row.took_turns and row.entry.directory.parent == rows[0].entry.directory.parent]
    logs = [[math.log(one) for one in row.evidence.rounds.get(metric.name, ()) if one] for row in together]
    apart = distance_of_halves([one for one in logs if len(one) > 1])
    return 0.0 if apart is None else math.expm1(apart)


def _of_costs(
    row: Row, other: Row, metric: Metric, mine: float, theirs: float, drifts: Sequence[float], confidence: float
) -> Effect:
    """Return the ratio of speeds, memory or energy; 1 if either is not positive."""
    if not (mine > 0 and theirs > 0):
        return Effect(1.0 if mine == theirs else math.inf, "ratio", why="a value is not positive")
    if metric.without_interval or (metric.name not in row.evidence.rounds and not metric.is_throughput):
        return Effect(mine / theirs, "ratio", why=metric.without_interval or ONCE)
    rounds = row.evidence.rounds.get(metric.name, ()), other.evidence.rounds.get(metric.name, ())
    logs = log_ratios(*rounds) if are_interleaved(row, other) else []
    if len(logs) > 1:
        return ratio_of_jobs(logs, confidence, was_looked_at(row) or was_looked_at(other))
    if metric.kind == "speed" and row.measured_on == other.measured_on:
        return ratio_from_drifts(math.log(mine / theirs), drifts, confidence)
    return Effect(mine / theirs, "ratio", why="the jobs were not measured in turns")


def _units(row: Row, metric: Metric, like: Row) -> Units | None:
    """Return what inputs contribute to a metric; for a baseline, its constant value for the inputs of another job."""
    own = row.evidence.units.get(BY_INPUT.get(metric.name, ""))
    if "baseline" not in row.notes or metric.value_for_baseline is None:
        return own
    others = like.evidence.units.get(BY_INPUT.get(metric.name, ""))
    if others is None:
        return own
    constant = array("d", (metric.value_for_baseline * weight for weight in others.weights))
    return Units(others.places, constant, others.weights)


def _possible(effect: Effect, metric: Metric) -> Effect:
    """Return an effect whose interval contains only possible differences."""
    widest = metric.within_range(math.inf) - metric.floor
    if effect.interval is None:
        return effect
    low, high = max(effect.interval.low, -widest), min(effect.interval.high, widest)
    return replace(effect, interval=replace(effect.interval, low=low, high=high))


def _exponential(effect: Effect) -> Effect:
    """Return the effect on the exponential of a metric: a ratio."""
    one = effect.interval
    interval = one and Interval(math.exp(one.low), math.exp(one.high), one.confidence, one.method, one.units)
    return Effect(math.exp(effect.value), "ratio", interval, effect.p, effect.why, effect.spread)
