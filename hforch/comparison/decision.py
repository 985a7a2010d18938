"""Recommend a job: those that meet the requirements, ranked by metrics, as far as the measurements show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hforch.comparison.bounds import Bound
from hforch.comparison.choosing import MARGIN, Outcome, Ranking, Rules, break_tie, judged, rank
from hforch.comparison.decision_text import recommendation
from hforch.comparison.effects import effect_of, has_effects
from hforch.comparison.machine_notes import little_data_note
from hforch.comparison.pareto import Judge, pareto_set
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.comparison.variation import variation_line
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME
from hforch.records.intervals import CONFIDENCE
from hforch.statistics.verdicts import Verdict

Doubts = list[tuple[Row, list[str]]]


@dataclass(frozen=True)
class Decision:
    """The result of applying requirements to all jobs.

    Attributes:
        qualified: rows that meet all requirements.
        refused: the other rows, each with the reasons.
        pareto: the qualified rows that no other row is shown to dominate in speed, memory and quality.
        winner: the recommended row; None if no row qualifies, no metric is optimized, or the outcome is undecided.
        reason: the recommendation, or why no job is recommended; empty if jobs qualify and no metric is optimized.
        outcome: whether the recommended job is shown to be the best (`winner`) or one of several that are as good
            (`tie`), or more measurements are needed (`undecided`); `none` if nothing is optimized or no job qualifies.
        ranking: the jobs ranked by the first optimized metric.
        unconfirmed: qualified rows whose requirements are met but not confirmed, each with the reasons.
        remark: a warning about few inputs or rounds; None if there are enough, or the outcome is undecided.
        variation: how much the speeds vary, if they are ranked; None if they were measured once.
    """

    qualified: list[Row]
    refused: list[tuple[Row, list[str]]]
    pareto: list[Row]
    winner: Row | None
    reason: str
    outcome: Outcome = "none"
    ranking: Ranking | None = None
    unconfirmed: Doubts = field(default_factory=list)
    remark: str | None = None
    variation: str | None = None

    @property
    def tied(self) -> list[Row]:
        """The jobs that are as good as the best one, with it; empty if only one is."""
        return self.ranking.tied if self.ranking and len(self.ranking.tied) > 1 else []


@dataclass(frozen=True)
class Criteria:
    """How to compare and choose jobs.

    Attributes:
        bounds: the requirements.
        optimize: the metrics to optimize, most important first; the later ones decide between jobs that tie.
        confidence: the confidence level of intervals and tests.
        margin: the largest relative difference that counts as a tie.
        strict: whether jobs qualify only if it is shown that they meet the requirements.
    """

    bounds: Sequence[Bound] = ()
    optimize: Sequence[str] = ()
    confidence: float = CONFIDENCE
    margin: float = MARGIN
    strict: bool = False

    @property
    def asked(self) -> list[str]:
        """The metrics that the decision uses."""
        return [*(bound.metric for bound in self.bounds), *self.optimize]

    def decide(self, comparison: Comparison) -> Decision | None:
        """Return the decision on a comparison; None without requirements and metrics to optimize."""
        if not self.asked:
            return None
        return decide(comparison, self.bounds, self.optimize, self.margin, self.strict)


def decide(
    comparison: Comparison,
    bounds: Sequence[Bound],
    optimize: Sequence[str] = (),
    margin: float = MARGIN,
    strict: bool = False,
) -> Decision:
    """Check each job against the requirements, and recommend one by the optimized metrics.

    Args:
        bounds: the requirements.
        optimize: the metrics, most important first; the later ones decide between jobs that tie.
        margin: the largest relative difference that counts as a tie.
        strict: whether jobs with an unconfirmed requirement are refused.
    """
    doubts = [(row, found) for row in comparison.rows if (found := _doubts(row, bounds))]
    doubted = {row.entry.name: found for row, found in doubts} if strict else {}
    refused = [
        (row, reasons)
        for row in comparison.rows
        if (reasons := _reasons(row, bounds) or [f"not confirmed: {one}" for one in doubted.get(row.entry.name, [])])
    ]
    out = {row.entry.name for row, _ in refused}
    qualified = [row for row in comparison.rows if row.entry.name not in out]
    doubts = [(row, found) for row, found in doubts if row.entry.name not in out]
    if not qualified:
        return Decision([], refused, [], None, _nearest_miss(comparison.rows, bounds, doubted))
    rules = Rules(comparison.confidence, margin, comparison.drifts, bool(refused))
    pareto = pareto_set(qualified, _judge(rules))
    if not optimize:
        return Decision(qualified, refused, pareto, None, "", unconfirmed=doubts)
    ranking = rank(qualified, BY_NAME[optimize[0]], rules)
    if isinstance(ranking, str):
        return Decision(qualified, refused, pareto, None, ranking, unconfirmed=doubts)
    winner, tie_break = (ranking.best, None) if ranking.outcome != "tie" else break_tie(ranking.tied, optimize, rules)
    reason = recommendation(ranking, winner, tie_break, len(qualified), rules)
    recommended = None if ranking.outcome == "undecided" else winner
    remark = None if recommended is None else _remark(qualified, [*(one.metric for one in bounds), *optimize])
    variation = variation_line(qualified) if ranking.metric.is_throughput else None
    return Decision(
        qualified, refused, pareto, recommended, reason, ranking.outcome, ranking, doubts, remark, variation
    )


def _remark(rows: Sequence[Row], asked: Sequence[str]) -> str | None:
    kinds = {BY_NAME[name].kind for name in asked if has_effects(BY_NAME[name])}
    return little_data_note(rows, "speed" in kinds, "quality" in kinds)


def _judge(rules: Rules) -> Judge:
    """Return a function that judges the difference of two jobs, without resampling, which would take too long."""

    def judge(row: Row, other: Row, metric: Metric) -> Verdict:
        if other.metrics.get(metric.name) is None:
            return "better"
        effect = effect_of(row, other, metric, rules.drifts, rules.confidence, resample=False)
        return judged(effect, other, metric, 0.0, rules)

    return judge


def _doubts(row: Row, bounds: Sequence[Bound]) -> list[str]:
    return [f"{bound}: {doubt}" for bound in bounds if bound.is_met(row) and (doubt := bound.doubt(row))]


def _reasons(row: Row, bounds: Sequence[Bound]) -> list[str]:
    if row.entry.unfinished is not None:
        return [row.entry.unfinished]
    return [bound.why(row) for bound in bounds if not bound.is_met(row)]


def _nearest_miss(rows: Sequence[Row], bounds: Sequence[Bound], doubted: dict[str, list[str]]) -> str:
    if doubted:
        name, doubts = next(iter(doubted.items()))
        return f"no job is confirmed to qualify; job {name} meets the requirements, but {'; '.join(doubts)}"
    if not bounds:
        return "no job finished"
    misses = {row.entry.name: [(bound.miss(row), bound) for bound in bounds if not bound.is_met(row)] for row in rows}
    by_row = [(max(miss for miss, _ in found), row) for row in rows if (found := misses[row.entry.name])]
    known = [(worst, row) for worst, row in by_row if worst != float("inf")]
    if not known:
        return f"no job qualifies: {_why_no_values(rows, bounds)}"
    least, row = min(known, key=lambda one: one[0])
    told = "; ".join(bound.why(row) for _, bound in misses[row.entry.name])
    others = [other.entry.name for worst, other in known if worst == least and other is not row]
    also = f" (job{'s' * (len(others) > 1)} {', '.join(others)} {'are' if len(others) > 1 else 'is'} as close)"
    return f"no job qualifies; the closest is job {row.title}: {told}{also if others else ''}"


def _why_no_values(rows: Sequence[Row], bounds: Sequence[Bound]) -> str:
    needed = dict.fromkeys(bound.metric for bound in bounds)
    missing = [name for name in needed if all(row.metrics.get(name) is None for row in rows)]
    if missing:
        return f"no job has a value for {' or '.join(missing)}"
    return f"no job has a usable value for {' and '.join(needed)}"
