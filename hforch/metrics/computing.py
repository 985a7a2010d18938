"""Compute metrics from a measured job."""

from __future__ import annotations

import math
from typing import Any

from hforch.metrics.metric import Absent, Measured
from hforch.metrics.registry import ALL


def computed(measured: Measured) -> dict[str, Any]:
    """Return the values of all metrics with `compute`, with the reasons for missing values under `absent`."""
    found: dict[str, Any] = {}
    absent = {}
    for metric in ALL:
        if metric.compute is None:
            continue
        try:
            value = metric.compute(measured)
            if not math.isfinite(value):
                raise Absent(f"the value is {value}")
            found[metric.name] = value
        except Absent as reason:
            absent[metric.name] = str(reason)
        except Exception as error:  # a metric must not fail the job
            absent[metric.name] = f"computation failed: {type(error).__name__}: {error}"
    return found | {"absent": absent}
