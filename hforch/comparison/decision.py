"""Recommend a job: requirements, a metric to optimize, and the Pareto set over speed, memory and quality."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.errors import ConfigError, Mistake
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, COMPARED, alike, find

BOUND = re.compile(r"\s*([A-Za-z][^<>=!]*?)\s*(<=|>=|==|<|>)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(%?)\s*")
LISTED = "hforch compare --help lists the metrics, such as tokens_per_s, ttft_ms, peak_rss_mb, kl_mean and checks"
MEMORY = ("peak_accelerator_mb", "peak_rss_mb")  # the Pareto set uses the first that a job has
WORST = float("-inf")
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


@dataclass(frozen=True)
class Decision:
    """The result of applying requirements to all jobs.

    Attributes:
        qualified: rows that meet all requirements.
        refused: the other rows, each with the reasons.
        pareto: the qualified rows that no other row dominates in speed, memory and quality.
        winner: the recommended row; None if no row qualifies or no metric is optimized.
        reason: the recommendation, or why no job is recommended; empty if jobs qualify and no metric is optimized.
    """

    qualified: list[Row]
    refused: list[tuple[Row, list[str]]]
    pareto: list[Row]
    winner: Row | None
    reason: str


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


def read_optimize(name: str | None) -> str | None:
    """Return the current name of the metric in `--optimize`; None if the option is not set.

    Raises:
        ConfigError: the metric does not exist.
    """
    if not name:
        return None
    metric = find(name)
    if metric is None:
        raise ConfigError([unknown(name, f"--optimize {name}")])
    return metric.name


def renamed(texts: Sequence[str], optimize: str | None) -> list[str]:
    """Return a note for each former metric name in `--require` and `--optimize`."""
    matches = [match for text in texts if (match := BOUND.fullmatch(text))]
    asked = dict.fromkeys([*(match[1] for match in matches), *([optimize] if optimize else [])])
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


def decide(comparison: Comparison, bounds: Sequence[Bound], optimize: str | None) -> Decision:
    """Check each job against the requirements, and recommend the one with the best value of the optimized metric."""
    refused = [(row, reasons) for row in comparison.rows if (reasons := _reasons(row, bounds))]
    out = {row.entry.name for row, _ in refused}
    qualified = [row for row in comparison.rows if row.entry.name not in out]
    if not qualified:
        return Decision([], refused, [], None, _nearest_miss(comparison.rows, bounds))
    pareto = pareto_set(qualified)
    if optimize is None:
        return Decision(qualified, refused, pareto, None, "")
    winner, reason = _winner(qualified, optimize)
    return Decision(qualified, refused, pareto, winner, reason)


def _reasons(row: Row, bounds: Sequence[Bound]) -> list[str]:
    if row.entry.unfinished is not None:
        return [row.entry.unfinished]
    return [bound.why(row) for bound in bounds if not bound.is_met(row)]


def _nearest_miss(rows: Sequence[Row], bounds: Sequence[Bound]) -> str:
    if not bounds:
        return "no job finished"
    misses = {row.entry.name: [(bound.miss(row), bound) for bound in bounds if not bound.is_met(row)] for row in rows}
    by_row = [(max(miss for miss, _ in found), row) for row in rows if (found := misses[row.entry.name])]
    known = [(worst, row) for worst, row in by_row if worst != float("inf")]
    if not known:
        return f"no job qualifies: {_why_no_values(rows, bounds)}"
    _, row = min(known, key=lambda one: one[0])
    told = "; ".join(bound.why(row) for _, bound in misses[row.entry.name])
    return f"no job qualifies; the closest is job {row.title}: {told}"


def _why_no_values(rows: Sequence[Row], bounds: Sequence[Bound]) -> str:
    needed = dict.fromkeys(bound.metric for bound in bounds)
    missing = [name for name in needed if all(row.metrics.get(name) is None for row in rows)]
    if missing:
        return f"no job has a value for {' or '.join(missing)}"
    return f"no job has a usable value for {' and '.join(needed)}"


def pareto_set(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no other row dominates.

    A row dominates another from the same machine if it is at least as good in speed, memory and quality, and better in
    one of them. A missing value is worse than any other. If a backend cannot provide a metric, its jobs neither
    dominate jobs that have it nor are dominated by them.
    """
    return [row for row in rows if not any(_dominates(other, row) for other in rows if other is not row)]


def _dominates(one: Row, other: Row) -> bool:
    if one.measured_on != other.measured_on:
        return False
    is_better = False
    for mine, theirs in zip(_goods(one), _goods(other), strict=True):
        if mine is None or theirs is None:
            if {mine, theirs} - {None, WORST}:
                return False
            continue
        if mine < theirs:
            return False
        is_better |= mine > theirs
    return is_better


def _goods(row: Row) -> tuple[float | None, ...]:
    """Return speed, memory and quality, signed so that higher is better; None if the backend cannot provide it."""

    def good(metric: Metric) -> float | None:
        value = row.metrics.get(metric.name)
        if value is None and row.lacks(metric.name):
            return None
        return WORST if value is None or not row.can_rank(metric.name) else metric.goodness(value)

    memory = next((name for name in MEMORY if row.metrics.get(name)), MEMORY[-1])
    others = (metric for metric in COMPARED if metric.in_pareto and metric.kind != "memory")
    return (good(BY_NAME[memory]), *map(good, others))


def _winner(rows: Sequence[Row], metric: str) -> tuple[Row | None, str]:
    kind, high = BY_NAME[metric].kind, BY_NAME[metric].is_higher_better
    known = [row for row in rows if row.metrics.get(metric) is not None]
    if not known:
        return None, f"{_qualify(rows)}, but none has a value for {metric}"
    left_out = ""
    if shared := [row for row in known if not row.can_rank(metric)]:
        known = [row for row in known if row.can_rank(metric)]
        left_out = f"; not ranked: {len(shared)} measured on a shared GPU"
        if not known:
            shared_gpu = f"{metric} was measured on a shared GPU in all of them"
            return None, f"{_qualify(rows)}, but {shared_gpu}; run them one at a time"
    if kind == "speed":
        known, others = _largest_group(known, lambda row: row.measured_on)
        if others:
            left_out += f"; not ranked: {others} measured on another machine or in parallel with other jobs"
    elif kind == "energy":
        known, others = _largest_group(known, lambda row: row.counts_packages)
        if others:
            left_out += f"; not ranked: {others} whose energy covers different devices"
    ordered = sorted(known, key=lambda row: row.metrics[metric] or 0.0, reverse=high)
    best = ordered[0]
    value = best.metrics[metric]
    ranked = "qualified" if len(known) == len(rows) else "ranked"
    reason = f"recommended: job {best.title}, "
    if len(ordered) == 1:
        reason += f"the only {ranked} job ({metric} {value:g})"
    else:
        second = ordered[1]
        rank = "highest" if high else "lowest"
        reason += f"with the {rank} {metric} of {len(known)} {ranked} jobs: {value:g}"
        reason += f" (runner-up: job {second.entry.name}, {second.metrics[metric]:g})"
        if best.spread and second.spread and metric == "tokens_per_s" and best.spread[0] <= second.spread[1]:
            reason += "; their repeats overlap, so the difference may be noise"
    reason += left_out
    if kind == "speed" and any(row.is_noisy for row in ordered[:2]):
        reason += ". The machine's speed changed during these runs; repeat the measurement."
    return best, reason


def _qualify(rows: Sequence[Row]) -> str:
    return "1 job qualifies" if len(rows) == 1 else f"{len(rows)} jobs qualify"


def _largest_group(rows: Sequence[Row], key: Callable[[Row], Hashable]) -> tuple[list[Row], int]:
    """Return the largest group of rows with the same key, and the number of other rows."""
    keys = [key(row) for row in rows]
    most = max(dict.fromkeys(keys), key=keys.count)
    kept = [row for row, one in zip(rows, keys, strict=True) if one == most]
    return kept, len(rows) - len(kept)
