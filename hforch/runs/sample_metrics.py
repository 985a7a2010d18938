"""Compute the metrics and totals of a job from its samples; docs/metrics.md defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from hforch.checks.judging import totals
from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import ALL
from hforch.records.measured import CheckTotals, Metrics, Totals
from hforch.records.rounds import Round
from hforch.records.sample_lines import has_failed, was_interrupted
from hforch.runs.rounds import counted, has_unknown_tokens, speeds_of


def summarize(samples: Sequence[Mapping[str, Any]], rounds: Sequence[Round]) -> Metrics:
    """Return the metrics of a job, computed from its samples.

    Args:
        samples: sample records, including failed ones.
        rounds: its rounds; those that are complete count for speed, or else the measured part of an incomplete one.

    Returns:
        `measured_s`, `tokens_per_s` (the median over repeats, with each value in `tokens_per_s_each`), and the metrics
        that aggregate a timing (milliseconds). Metrics that cannot be computed are under `absent` with the reason.
    """
    good = [sample for sample in samples if sample["error"] is None]
    found = counted(rounds)
    metrics: dict[str, Any] = {"measured_s": round(sum(one.seconds or 0.0 for one in found), 6)}
    absent = {}
    each = speeds_of(found)
    if each:
        metrics["tokens_per_s"] = round(median(each), 3)
        if len(each) > 1:
            metrics["tokens_per_s_each"] = each
    else:
        absent["tokens_per_s"] = _no_speed(good, is_measured=bool(found))
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


def _no_speed(good: Sequence[Mapping[str, Any]], is_measured: bool) -> str:
    if not good:
        return "no sample succeeded"
    if has_unknown_tokens(good):
        return "the number of output tokens is unknown"
    return "no output tokens" if is_measured else "no samples were left to measure when the job was resumed"


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
