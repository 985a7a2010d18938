"""Values, intervals, effects and p-values as text."""

from __future__ import annotations

import math

from hforch.metrics.metric import Metric
from hforch.statistics.estimates import Effect, Interval


def interval_text(interval: Interval, metric: Metric) -> str:
    """Return an interval of a metric, as tables show it: `[44.0, 48.3]`."""
    return f"[{_value(interval.low, metric)}, {_value(interval.high, metric)}]"


def effect_text(effect: Effect, metric: Metric) -> str:
    """Return an effect with its interval: `+18% [+15%, +21%]`, or in the unit of the metric if it is a difference."""
    value, unit = _of_effect(effect.value, effect, metric), _unit(effect, metric)
    if effect.interval is None:
        return f"{value}{unit}"
    low, high = (_of_effect(end, effect, metric) for end in (effect.interval.low, effect.interval.high))
    return f"{value} [{low}, {high}]{unit}"


def p_text(p: float) -> str:
    """Return a p-value: `p < 0.001`, `p = 0.012`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"


def _of_effect(value: float, effect: Effect, metric: Metric) -> str:
    if math.isinf(value):
        return "+∞" if value > 0 else "-∞"
    if effect.scale == "ratio":
        percent = (value - 1) * 100
        return f"{percent:+.{1 if abs(percent) < 9.95 else 0}f}%"
    if metric.unit == "%":
        return f"{value * 100:+.{max(1, metric.digits)}f}"
    return f"{value:+.{metric.digits}f}"


def _unit(effect: Effect, metric: Metric) -> str:
    """Return the unit of an effect, which follows its interval."""
    if effect.scale == "ratio" or not metric.unit:
        return ""
    return " percentage points" if metric.unit == "%" else f" {metric.unit}"


def _value(value: float, metric: Metric) -> str:
    return "∞" if math.isinf(value) else metric.shown(value)


def about(number: int) -> str:
    """Return an estimated number, rounded up to two significant digits."""
    digits = max(0, len(str(number)) - 2)
    return f"{-(-number // 10**digits) * 10**digits:,}"
