"""Requirements on metrics, such as `--require 'peak_rss_mb<=900'`, and the metrics of `--optimize`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hforch.comparison.effect_text import about, interval_text
from hforch.comparison.effects import BY_INPUT, has_effects
from hforch.comparison.rows import Row
from hforch.errors import ConfigError, Mistake
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, alike, find
from hforch.records.intervals import OF_BASELINE
from hforch.statistics.estimates import Estimate
from hforch.statistics.power import inputs_for
from hforch.statistics.proportions import normal_quantile

BOUND = re.compile(r"\s*([A-Za-z][^<>=!]*?)\s*(<=|>=|==|<|>)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(%?)\s*")
LISTED = "hforch compare --help lists the metrics, such as tokens_per_s, ttft_ms, peak_rss_mb, kl_mean and checks"
MEETS = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    ">": lambda value, bound: value > bound,
    "==": lambda value, bound: value == bound,
}


@dataclass(frozen=True)
class Bound:
    """A requirement such as `metric <= value`; the metric has its current name."""

    metric: str
    relation: str
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.value:g}"

    def is_met(self, row: Row) -> bool:
        """Return whether a row meets the requirement.

        A missing metric does not, except for `>` and `>=` if the metric is infinite because all outputs match exactly.
        """
        value = row.metrics.get(self.metric)
        if not row.can_rank(self.metric):
            return False
        if value is None and BY_NAME[self.metric].infinite_if_exact and row.metrics.get("exact_match") == 1.0:
            return self.relation in (">", ">=")
        return value is not None and MEETS[self.relation](value, self.value)

    def doubt(self, row: Row) -> str | None:
        """Return why a requirement that a row meets is not confirmed; None if it is."""
        value, estimate = row.metrics.get(self.metric), row.estimates.get(self.metric)
        if value is None or estimate is None:  # infinite, because all outputs match
            return None
        metric = BY_NAME[self.metric]
        given = f"{self.metric} is {metric.shown(value)}"
        if estimate.interval is None:
            return f"{given}, {estimate.why}" if has_effects(metric) and estimate.why != OF_BASELINE else None
        if all(MEETS[self.relation](end, self.value) for end in (estimate.interval.low, estimate.interval.high)):
            return None
        low_high = interval_text(estimate.interval, metric)
        return f"{given}, with a {estimate.interval.confidence:.0%} interval of {low_high}{self._more(value, estimate)}"

    def _more(self, value: float, estimate: Estimate) -> str:
        """Return how many more inputs would probably show that the requirement is met; nothing for other units."""
        interval = estimate.interval
        if interval is None or self.metric not in BY_INPUT or interval.units < 2:
            return ""
        deviation = (
            (interval.high - interval.low) / 2 / normal_quantile(interval.confidence) * math.sqrt(interval.units)
        )
        needed = inputs_for(value - self.value, deviation, interval.confidence)
        if needed is None:
            return "; the value is too close to the requirement to be confirmed by more inputs"
        more = about(max(1, needed - interval.units))
        return f"; about {more} more inputs would confirm it, if they give the same value"

    def miss(self, row: Row) -> float:
        """Return how far a row is from meeting the requirement, as a fraction of the required value.

        Infinite if the metric is not available or was measured on a shared GPU.
        """
        value = row.metrics.get(self.metric)
        if value is None or not row.can_rank(self.metric):
            return float("inf")
        return 0.0 if self.is_met(row) else abs(value - self.value) / (abs(self.value) or 1.0)

    def why(self, row: Row) -> str:
        """Return why a row does not meet the requirement."""
        value = row.metrics.get(self.metric)
        if value is not None and not row.can_rank(self.metric):
            return f"{self.metric} was measured on a shared GPU: {row.shared}"
        if value is not None:
            return f"{self.metric}={value:g}, required: {self.relation}{self.value:g}"
        reason = _why_missing(self.metric, row)
        return f"{self.metric} is not available{f': {reason}' if reason else ''}"


def _why_missing(metric: str, row: Row) -> str | None:
    """Return why a row has no value for a metric, if known."""
    if metric == "checks":
        return "the job has no checks"
    if reason := row.lacks(metric):
        return reason
    if BY_NAME[metric].needs_baseline and row.baseline is None and "baseline" not in row.notes:
        return "no other completed job has the same settings apart from how the model is loaded"
    return None


def read_bounds(texts: Sequence[str]) -> list[Bound]:
    """Parse the values of `--require`.

    Raises:
        ConfigError: formats are invalid, metrics are unknown, or fractions are not between 0 and 1.
    """
    mistakes, bounds = [], []
    for text in texts:
        match = BOUND.fullmatch(text)
        if match is None:
            hint = "use METRIC>=NUMBER or METRIC<=NUMBER, in quotes, such as 'peak_rss_mb<=900'"
            mistakes.append(Mistake("", f"'{text}' is not a valid requirement", f"--require {text}", hint))
            continue
        name, relation, number, percent = match.groups()
        metric = find(name)
        if metric is None:
            mistakes.append(unknown(name, f"--require {text}", (relation, number, percent)))
            continue
        bound = Bound(metric.name, relation, _value(number, percent))
        if not _in_range(metric, bound.value):
            hint = f"use '{name}{relation}0.9' or '{name}{relation}90%'"
            mistakes.append(Mistake("", f"{name} is a fraction; must be between 0 and 1", f"--require {text}", hint))
            continue
        bounds.append(bound)
    if mistakes:
        raise ConfigError(mistakes)
    return bounds


def read_optimize(text: str | Sequence[str] | None) -> list[str]:
    """Return the current names of the metrics in `--optimize A,B`; an empty list if the option is not set.

    Raises:
        ConfigError: metrics do not exist.
    """
    if not text:
        return []
    asked = [text] if isinstance(text, str) and find(text) else text.split(",") if isinstance(text, str) else text
    found = [(name.strip(), find(name.strip())) for name in asked]
    if mistakes := [unknown(name, f"--optimize {name}") for name, metric in found if metric is None]:
        raise ConfigError(mistakes)
    return list(dict.fromkeys(metric.name for _, metric in found if metric is not None))


def renamed(texts: Sequence[str], optimize: str | Sequence[str] | None) -> list[str]:
    """Return a note for each former metric name in `--require` and `--optimize`."""
    matches = [match for text in texts if (match := BOUND.fullmatch(text))]
    listed = optimize.split(",") if isinstance(optimize, str) else optimize or ()
    asked = dict.fromkeys([*(match[1] for match in matches), *(name.strip() for name in listed)])
    found = {name: metric for name in asked if (metric := find(name)) is not None}
    return [f"metric {was} was renamed to {now.name}" for was, now in found.items() if was in now.aliases]


def unknown(name: str, where: str, bound: tuple[str, str, str] | None = None) -> Mistake:
    """Return the error for an unknown metric.

    Args:
        bound: the relation, the number and `%` or nothing, of a requirement, which the hint repeats.
    """
    meant = [metric.name for metric in alike(name)]
    if bound is not None:
        value = _value(*bound[1:])
        meant = [f"'{metric.name}{''.join(bound)}'" for metric in alike(name) if _in_range(metric, value)]
    return Mistake("", f"unknown metric '{name}'", where, f"did you mean {' or '.join(meant)}?" if meant else LISTED)


def _value(number: str, percent: str) -> float:
    return float(number) / (100 if percent else 1)


def _in_range(metric: Metric, value: float) -> bool:
    return not metric.is_share or 0 <= value <= 1
