"""Metrics that are computed from a job when it has been measured."""

from __future__ import annotations

import math
from typing import Any

from hforch.metrics.metric import Absent, Measured
from hforch.metrics.registry import ALL


def computed(measured: Measured) -> dict[str, Any]:
    """Return the values of all metrics with `compute`; those without a value are under `absent` with the reason."""
    found: dict[str, Any] = {}
    absent = {}
    for metric in ALL:
        if metric.compute is None:
            continue
        try:
            value = metric.compute(measured)
            if not math.isfinite(value):
                raise Absent(f"its value is {value}")
            found[metric.name] = value
        except Absent as reason:
            absent[metric.name] = str(reason)
        except Exception as error:  # a metric is never worth a job
            absent[metric.name] = f"it could not be computed: {type(error).__name__}: {error}"
    return found | {"absent": absent}
