"""Choose the best of the qualified jobs: a winner, a tie, or undecided, with the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from hforch.comparison.effects import effect_of, has_effects, noise_floor
from hforch.comparison.pareto import MEMORY
from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME
from hforch.statistics.estimates import Effect
from hforch.statistics.multiple import holm
from hforch.statistics.verdicts import Verdict, distance, largest, verdict

MARGIN = 0.02  # the largest relative difference that counts as a tie
Outcome = Literal["winner", "tie", "undecided", "none"]


@dataclass(frozen=True)
class Rival:
    """A job that was compared with the best one.

    Attributes:
        effect: the effect of the best job against this one; its p-value is adjusted for the number of rivals.
        verdict: whether the best job is shown to be better.
    """

    row: Row
    effect: Effect
    verdict: Verdict


@dataclass(frozen=True)
class Ranking:
    """The jobs ranked by one metric.

    Attributes:
        metric: the metric.
        best: the job with the best value.
        rivals: the other jobs, from the best to the worst.
        floor: how far two measurements of the same job lie apart, as a fraction.
        left_out: why jobs are not ranked; empty if all are.
        is_by_value: whether the values are compared as they are, because the metric has no intervals.
    """

    metric: Metric
    best: Row
    rivals: Sequence[Rival]
    floor: float
    left_out: str = ""
    is_by_value: bool = False

    def with_verdict(self, kind: Verdict) -> list[Rival]:
        return [one for one in self.rivals if one.verdict == kind]

    @property
    def tied(self) -> list[Row]:
        """The best job and those that are as good."""
        return [self.best, *(one.row for one in self.with_verdict("tie"))]

    @property
    def outcome(self) -> Outcome:
        if self.with_verdict("undecided"):
            return "undecided"
        return "tie" if self.with_verdict("tie") else "winner"


@dataclass(frozen=True)
class Rules:
    """How jobs are compared.

    Attributes:
        confidence: the confidence level.
        margin: the largest relative difference that counts as a tie.
        drifts: ln(second / first duration) of the first batch of each loaded model.
        has_refused: whether jobs are left out because they do not meet the requirements.
    """

    confidence: float
    margin: float
    drifts: Sequence[float]
    has_refused: bool = False


def rank(rows: Sequence[Row], metric: Metric, rules: Rules) -> Ranking | str:
    """Rank jobs by a metric; return why that is impossible if no job has a value that may be ranked."""
    known = [row for row in rows if row.metrics.get(metric.name) is not None]
    if not known:
        return f"{_qualify(rows)}, but none has a value for {metric.name}"
    known, left_out = _comparable(known, metric)
    if not known:
        shared_gpu = f"{metric.name} was measured on a shared GPU in all of them"
        return f"{_qualify(rows)}, but {shared_gpu}; run them one at a time"
    ordered = sorted(known, key=lambda row: metric.goodness(row.metrics[metric.name] or 0.0), reverse=True)
    floor = noise_floor(ordered, metric) if metric.kind == "speed" else 0.0
    for best in ordered:
        rivals = _rivals(best, [row for row in ordered if row is not best], metric, floor, rules)
        if not any(one.verdict == "better" and _is_worse(one.effect, metric) for one in rivals):
            break
    return Ranking(metric, best, rivals, floor, left_out, not has_effects(metric))


def tie_breakers(rows: Sequence[Row], optimize: Sequence[str]) -> list[Metric]:
    """Return the metrics that decide between jobs that tie: those asked for, then memory, then disk."""
    memory = next((name for name in MEMORY if all(row.metrics.get(name) for row in rows)), None)
    wanted = [*optimize[1:], *([memory] if memory else []), "disk_mb"]
    return [BY_NAME[name] for name in dict.fromkeys(wanted) if name != optimize[0]]


def break_tie(tied: Sequence[Row], optimize: Sequence[str], rules: Rules) -> tuple[Row, Ranking | None]:
    """Return the job to recommend of several that tie, and the ranking that decided; None if none did."""
    left = list(tied)
    for metric in tie_breakers(left, optimize):
        found = rank(left, metric, rules)
        if isinstance(found, str) or len(found.rivals) + 1 < len(left):
            continue
        kept = [found.best, *(one.row for one in found.rivals if one.verdict != "better")]
        if len(kept) == 1:
            return found.best, found
        left = [row for row in left if row in kept]
    return left[0], None


def _rivals(best: Row, others: Sequence[Row], metric: Metric, floor: float, rules: Rules) -> list[Rival]:
    effects = [effect_of(best, row, metric, rules.drifts, rules.confidence) for row in others]
    tested = [at for at, one in enumerate(effects) if one.p is not None]
    for at, p in zip(tested, holm([effects[at].p or 0.0 for at in tested]), strict=True):
        effects[at] = effects[at].adjusted(p)
    return [
        Rival(row, effect, judged(effect, row, metric, floor, rules))
        for row, effect in zip(others, effects, strict=True)
    ]


def judged(effect: Effect, other: Row, metric: Metric, floor: float, rules: Rules) -> Verdict:
    """Return the verdict on an effect. Metrics without intervals are judged by their values."""
    margin = margin_of(effect, other, metric, rules.margin)
    if has_effects(metric):
        return verdict(effect, 1 - rules.confidence, margin, floor)
    return "tie" if distance(effect) <= largest(effect, margin) else "better"


def margin_of(effect: Effect, other: Row, metric: Metric, margin: float) -> float:
    """Return the largest effect that counts as a tie: relative to the other job, but absolute for fractions."""
    if metric.without_interval == "exact":
        return 0.0
    if effect.scale == "ratio" or metric.is_share:
        return margin
    return margin * abs(other.metrics.get(metric.name) or 0.0)


def _is_worse(effect: Effect, metric: Metric) -> bool:
    """Return whether an effect means that the first job is worse."""
    size = math.log(effect.value) if effect.scale == "ratio" else effect.value
    return metric.goodness(size) < 0


def _comparable(rows: Sequence[Row], metric: Metric) -> tuple[list[Row], str]:
    """Return the jobs whose values of a metric may be compared, and which are not ranked."""
    left_out, known = "", [row for row in rows if row.can_rank(metric.name)]
    if metric.needs_baseline and any("baseline" not in row.notes for row in known):
        jobs = [row for row in known if "baseline" not in row.notes]
        left_out = "; not ranked: the baseline" if len(jobs) < len(known) else ""
        rows = known = jobs
    if len(known) < len(rows):
        left_out += f"; not ranked: {len(rows) - len(known)} measured on a shared GPU"
    if known and metric.kind == "speed":
        known, others = _largest_group(known, lambda row: row.measured_on)
        if others:
            left_out += f"; not ranked: {others} measured on another machine or in parallel with other jobs"
    elif known and metric.kind == "energy":
        known, others = _largest_group(known, lambda row: row.counts_packages)
        if others:
            left_out += f"; not ranked: {others} whose energy covers different devices"
    return known, left_out


def _qualify(rows: Sequence[Row]) -> str:
    return "1 job qualifies" if len(rows) == 1 else f"{len(rows)} jobs qualify"


def _largest_group(rows: Sequence[Row], key: Callable[[Row], Hashable]) -> tuple[list[Row], int]:
    """Return the largest group of rows with the same key, and the number of other rows."""
    keys = [key(row) for row in rows]
    most = max(dict.fromkeys(keys), key=keys.count)
    kept = [row for row, one in zip(rows, keys, strict=True) if one == most]
    return kept, len(rows) - len(kept)
