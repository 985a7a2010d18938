"""Which job to take: bounds that must be met, a metric to optimise, and the Pareto set over speed, memory, quality."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from hforch.comparison.table import Comparison, Row
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.errors import ConfigError, Mistake
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, COMPARED, find, names

BOUND = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|==|<|>)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(%?)\s*")
MEMORY = ("peak_accelerator_mb", "peak_rss_mb")  # the Pareto set is over the first one that a job has
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
    """`metric <= value`; the metric by its name today."""

    metric: str
    relation: str
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.value:g}"

    def is_met(self, row: Row) -> bool:
        """A metric that is not known meets no bound; outputs that match exactly differ nowhere."""
        value = row.metrics.get(self.metric)
        if not row.can_rank(self.metric):
            return False
        if value is None and BY_NAME[self.metric].infinite_if_exact and row.metrics.get("exact_match") == 1.0:
            return self.relation in (">", ">=")
        return value is not None and MEETS[self.relation](value, self.value)

    def miss(self, row: Row) -> float:
        """How far a row is from meeting it, as a share of the bound; infinite where the metric is unknown, or was
        measured on a shared GPU."""
        value = row.metrics.get(self.metric)
        if value is None or not row.can_rank(self.metric):
            return float("inf")
        return 0.0 if self.is_met(row) else abs(value - self.value) / (abs(self.value) or 1.0)

    def why(self, row: Row) -> str:
        value = row.metrics.get(self.metric)
        if value is not None and not row.can_rank(self.metric):
            return f"{self.metric} was measured on a shared GPU: {row.shared}"
        reason = row.lacks(self.metric)
        return (
            f"{self.metric} is not known{f': {reason}' if reason else ''}"
            if value is None
            else f"{self.metric} is {value:g}, not {self.relation} {self.value:g}"
        )


@dataclass(frozen=True)
class Decision:
    """What follows from the bounds.

    Attributes:
        qualified: rows that meet all bounds.
        refused: the others, each with its reasons.
        pareto: the qualified rows that no other one beats in speed, memory and quality at once.
        winner: the row to take; None when nothing qualifies, or nothing was to be optimised.
        reason: one sentence.
    """

    qualified: list[Row]
    refused: list[tuple[Row, list[str]]]
    pareto: list[Row]
    winner: Row | None
    reason: str


def read_bounds(texts: Sequence[str]) -> list[Bound]:
    """`--require` as typed.

    Raises:
        ConfigError: with a mistake for each that is no bound, names no metric, or asks for a share beyond 0 to 1.
    """
    mistakes, bounds = [], []
    for text in texts:
        match = BOUND.fullmatch(text)
        if match is None:
            hint = "write METRIC<=NUMBER, such as 'peak_rss_mb<=900', in quotes"
            mistakes.append(Mistake("", f"'{text}' is no bound", f"--require {text}", hint))
            continue
        name, relation, number, percent = match.groups()
        metric = find(name)
        if metric is None:
            mistakes.append(unknown(name, f"--require {text}"))
            continue
        bound = Bound(metric.name, relation, float(number) / (100 if percent else 1))
        if metric.is_share and not 0 <= bound.value <= 1:
            hint = f"write {name}{relation}0.9, or {name}{relation}90%"
            mistakes.append(Mistake("", f"{name} is a share, 0 to 1", f"--require {text}", hint))
            continue
        bounds.append(bound)
    if mistakes:
        raise ConfigError(mistakes)
    return bounds


def read_optimize(name: str | None) -> str | None:
    """Return the metric of `--optimize` by its name today; None if nothing is to be optimized.

    Raises:
        ConfigError: there is no such metric.
    """
    if not name:
        return None
    metric = find(name)
    if metric is None:
        raise ConfigError([unknown(name, f"--optimize {name}")])
    return metric.name


def renamed(texts: Sequence[str], optimize: str | None) -> list[str]:
    """Return a sentence for each earlier name of a metric in `--require` and `--optimize`, once for each name."""
    matches = [match for text in texts if (match := BOUND.fullmatch(text))]
    asked = dict.fromkeys([*(match[1] for match in matches), *([optimize] if optimize else [])])
    found = {name: metric.name for name in asked if (metric := find(name)) is not None}
    return [f"metric {was} is called {now} now" for was, now in found.items() if was != now]


def unknown(name: str, where: str) -> Mistake:
    """Return the mistake of naming a metric that there is not."""
    hint = did_you_mean(name, names()) or f"there are: {', '.join(names())}"
    return Mistake("", f"there is no metric {name}", where, hint)


def decide(comparison: Comparison, bounds: Sequence[Bound], optimize: str | None) -> Decision:
    """Judge every job."""
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
        return "no job has come to its end"
    misses = {row.entry.name: [(bound.miss(row), bound) for bound in bounds if not bound.is_met(row)] for row in rows}
    by_row = [(max(miss for miss, _ in found), row) for row in rows if (found := misses[row.entry.name])]
    known = [(worst, row) for worst, row in by_row if worst != float("inf")]
    if not known:
        return "no job qualifies, and for none of them all the metrics are known"
    _, row = min(known, key=lambda one: one[0])
    told = "; ".join(f"{bound.why(row)}, {miss:.1%} off" for miss, bound in misses[row.entry.name])
    return f"no job qualifies; the nearest miss is job {row.title}: {told}"


def pareto_set(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other one, measured at the same site, is as good as in all of speed, memory, quality and better
    in one. A metric that is not known is worse than any; one that a backend cannot have makes jobs incomparable where
    the other one has it."""
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
    """Return what is to be high: speed, freedom from memory, quality; None for what its backend cannot have."""

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
        return None, f"{len(rows)} jobs qualify, but {metric} is known of none"
    left_out = ""
    if shared := [row for row in known if not row.can_rank(metric)]:
        known = [row for row in known if row.can_rank(metric)]
        left_out = f"; {len(shared)} measured on a shared GPU {'is' if len(shared) == 1 else 'are'} not ranked"
        if not known:
            return None, f"{len(rows)} jobs qualify, but all measured {metric} on a shared GPU: run them one at a time"
    if kind == "speed":
        known, others = _largest_group(known, lambda row: row.measured_on)
        if others:
            left_out += f"; {others} measured elsewhere, or beside other jobs, are not ranked with it"
    elif kind == "energy":
        known, others = _largest_group(known, lambda row: row.counts_packages)
        if others:
            left_out += f"; {others} whose energy was measured of other devices are not ranked with it"
    ordered = sorted(known, key=lambda row: row.metrics[metric] or 0.0, reverse=high)
    best = ordered[0]
    value = best.metrics[metric]
    rank = "highest" if high else "lowest"
    reason = f"take job {best.title}: of {len(known)} that qualify it has the {rank} {metric}, {value:g}"
    if len(ordered) > 1:
        second = ordered[1]
        reason += f", before job {second.entry.name} with {second.metrics[metric]:g}"
        if best.spread and second.spread and metric == "tokens_per_s" and best.spread[0] <= second.spread[1]:
            reason += " (their repeats overlap: the difference may be noise)"
    if kind == "speed" and any(row.is_noisy for row in ordered[:2]):
        reason += "; the machine's speed changed while they ran: repeat it before relying on that"
    return best, reason + left_out


def _largest_group(rows: Sequence[Row], key: Callable[[Row], Hashable]) -> tuple[list[Row], int]:
    """Return the rows that can be ranked with most others, and how many are left out."""
    keys = [key(row) for row in rows]
    most = max(dict.fromkeys(keys), key=keys.count)
    kept = [row for row, one in zip(rows, keys, strict=True) if one == most]
    return kept, len(rows) - len(kept)
