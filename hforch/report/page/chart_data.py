"""The data of a job in charts: its name, its mark, and its values with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hforch.comparison.decision import Decision
from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.report.page.chart_specs import OTHER
from hforch.report.page.roles import MARKS, role_of

BEYOND, BEYOND_LOGARITHMIC = 1.5, 10.0
"""How far an interval may extend an axis, relative to the largest value; longer lines are clipped."""


def named(row: Row, decision: Decision | None) -> dict[str, Any]:
    """Return the job's name, label and settings, and its `state`."""
    values = ", ".join(row.axes.values())
    short = f"{row.entry.name}: {values}" if values else row.entry.name
    role = role_of(row, decision)
    return {
        "job": row.entry.name,
        "name": f"{MARKS[role]}{row.entry.name}",
        "label": row.label,
        "short": f"{MARKS[role]}{short}",
        "state": role or OTHER,
    }


def limit(rows: Sequence[Row], metric: Metric) -> float:
    """Return the largest value up to which a chart shows the intervals of a metric."""
    if metric.is_share:
        return 1.0
    largest = max(row.metrics[metric.name] or 0.0 for row in rows)
    return largest * (BEYOND_LOGARITHMIC if metric.is_logarithmic else BEYOND)


def valued(row: Row, metric: Metric, axis: str, most: float) -> dict[str, Any]:
    """Return a value of a job for an axis, the ends of its interval up to `most`, and the interval as text."""
    found: dict[str, Any] = {axis: row.metrics[metric.name], **interval_text(row, metric, axis)}
    estimate = row.estimates.get(metric.name)
    if estimate is None or estimate.interval is None:
        return found
    low, high = max(metric.floor, estimate.interval.low), min(most, estimate.interval.high)
    return found | {f"{axis}_low": low, f"{axis}_high": high}


def interval_text(row: Row, metric: Metric, axis: str) -> dict[str, str]:
    """Return the interval of a job's metric for tooltips, or why it has none."""
    estimate = row.estimates.get(metric.name)
    if estimate is None:
        return {}
    one = estimate.interval
    text = f"none: {estimate.why}" if one is None else f"{_shown(one.low, metric)} to {_shown(one.high, metric)}"
    return {f"{axis}_interval": text}


def _shown(value: float, metric: Metric) -> str:
    return metric.shown(value) if math.isfinite(value) else "∞"
