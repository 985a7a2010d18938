"""Describe metrics for the scripts of the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, COMPARED


def described(metric: Metric) -> dict[str, Any]:
    """Return the data of a metric that the scripts use."""
    return {
        "name": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "digits": metric.digits,
        "says": metric.meaning,
        "better": 1 if metric.is_higher_better else -1,
        "against": metric.needs_baseline,
        "speed": metric.kind == "speed",
        "alone": metric.is_lost_on_shared_gpu,
    }


def ordered(asked: Iterable[str]) -> list[Metric]:
    """Return all metrics, with those that the decision uses first."""
    return list(dict.fromkeys([*(BY_NAME[name] for name in asked), *COMPARED]))
