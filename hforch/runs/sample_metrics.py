"""Compute the metrics and totals of a job from its samples; docs/metrics.md defines them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from hforch.checks.judging import totals
from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import ALL
from hforch.records.measured import CheckTotals, Metrics, Totals
from hforch.records.sample_lines import has_failed, was_interrupted


def summarize(
    samples: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]], walls: Mapping[int, float]
) -> Metrics:
    """Return the metrics of a job, computed from its samples.

    Args:
        samples: sample records, including failed ones.
        measured: the samples that count for speed: in a resumed job only those from after it was resumed.
        walls: the wall time of `measured` by repeat, in seconds.

    Returns:
        `measured_s`, `tokens_per_s` (the median over repeats, with each value in `tokens_per_s_each`), and the metrics
        that aggregate a timing (milliseconds). Metrics that cannot be computed are under `absent` with the reason.
    """
    good = [sample for sample in samples if sample["error"] is None]
    metrics: dict[str, Any] = {"measured_s": round(sum(walls.values()), 6)}
    absent = {}
    each = list(_speeds(measured, walls))
    if each:
        metrics["tokens_per_s"] = round(median(each), 3)
        if len(each) > 1:
            metrics["tokens_per_s_each"] = [round(speed, 3) for speed in each]
    else:
        absent["tokens_per_s"] = _no_speed(good, walls)
    timings = Timings()
    for sample in good:
        timings.add(sample)
    for metric in (one for one in ALL if one.timing):
        value = timings.aggregate(metric)
        if value is not None:
            metrics[metric.name] = value
        else:
            reasons = (sample["absent"][metric.timing] for sample in good if metric.timing in sample["absent"])
            absent[metric.name] = next(reasons, "no sample succeeded")
    return Metrics(**metrics, absent=absent)


def _speeds(measured: Sequence[Mapping[str, Any]], walls: Mapping[int, float]) -> Iterator[float]:
    for repeat, wall in sorted(walls.items()):
        here = [sample for sample in measured if sample["repeat"] == repeat and sample["error"] is None]
        if _uncounted(here):
            continue
        tokens = sum(sample["output_tokens"] for sample in here)
        if tokens and wall > 0:
            yield tokens / wall


def _no_speed(good: Sequence[Mapping[str, Any]], walls: Mapping[int, float]) -> str:
    if not good:
        return "no sample succeeded"
    if _uncounted(good):
        return "the number of output tokens is unknown"
    return "no output tokens" if walls else "no samples were left to measure when the job was resumed"


def _uncounted(samples: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether any of these samples has an unknown number of output tokens."""
    return any(sample["output_tokens"] is None for sample in samples)


def count(samples: Sequence[Mapping[str, Any]], planned: int | None = None) -> Totals:
    """Count samples, finish reasons, prompt and output tokens, and check results."""
    reasons = [sample["finish_reason"] for sample in samples]
    checks = totals(samples)
    return Totals(
        planned=planned,
        samples=len(samples),
        failed=sum(map(has_failed, samples)),
        interrupted=sum(map(was_interrupted, samples)),
        prompt_tokens=sum(sample["prompt_tokens"] or 0 for sample in samples),
        output_tokens=sum(sample["output_tokens"] or 0 for sample in samples),
        finish_reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        checks=CheckTotals(**checks) if checks else None,
    )
