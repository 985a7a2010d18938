"""Medians and percentiles, compared with numpy's."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hforch.metrics.aggregation import Timings, percentiles
from hforch.metrics.registry import BY_NAME

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


def test_percentiles_interpolate_between_ranks() -> None:
    assert percentiles([1.0, 2.0, 3.0, 4.0], [50]) == [2.5]
    assert percentiles(list(map(float, range(1, 102))), [5, 95]) == [6.0, 96.0]
    assert percentiles([7.0], [5, 95]) == [7.0, 7.0]


@given(VALUES, st.integers(1, 99))
def test_percentiles_match_numpy(values: list[float], percent: int) -> None:
    assert percentiles(values, [percent])[0] == pytest.approx(numpy.percentile(values, percent), rel=1e-9, abs=1e-6)


def test_timings_of_samples_are_aggregated() -> None:
    timings = Timings()
    for value in (10.0, 20.0, 60.0):
        timings.add({"timings": {"ttft_ms": value, "unknown_ms": 1.0}})
    timings.add({"timings": {"latency_ms": 5.0}})
    assert timings.aggregate(BY_NAME["ttft_ms"]) == 20.0
    assert timings.aggregate(BY_NAME["ttft_p95_ms"]) == 56.0
    assert timings.aggregate(BY_NAME["tpot_ms"]) is None
    assert timings.quantiles((25, 50)) == {"ttft_ms": [15.0, 20.0], "latency_ms": [5.0, 5.0]}
