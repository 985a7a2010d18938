"""The Pareto set of jobs over speed, memory and quality: those that are not confirmed to be dominated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, COMPARED
from hforch.statistics.verdicts import Verdict

MEMORY = ("peak_accelerator_mb", "peak_rss_mb")  # the first that a job has is used
WORST = float("-inf")
Judge = Callable[[Row, Row, Metric], Verdict]
"""Returns whether the first row is shown to be better than the second; both have a value."""


def pareto_set(rows: Sequence[Row], judge: Judge) -> list[Row]:
    """Return the rows that no other row is shown to dominate.

    A row dominates another from the same machine if it is at least as good in speed, memory and quality, and better in
    one of them. It is shown to dominate it if, in each of them, the difference is shown, or shown to be small. A
    missing value is worse than any other. If a backend cannot provide a metric, its jobs neither dominate jobs that
    have it nor are dominated by them.
    """
    return [row for row in rows if not any(_dominates(other, row, judge) for other in rows if other is not row)]


def _dominates(one: Row, other: Row, judge: Judge) -> bool:
    if one.measured_on != other.measured_on:
        return False
    to_show = []
    for (metric, mine), (_, theirs) in zip(_goods(one), _goods(other), strict=True):
        if mine is None or theirs is None:
            if {mine, theirs} - {None, WORST}:
                return False
            continue
        if mine < theirs:
            return False
        if mine != theirs or theirs != WORST:
            to_show.append((metric, theirs == WORST))
    verdicts: list[Verdict] = ["better" if is_missing else judge(one, other, metric) for metric, is_missing in to_show]
    return "better" in verdicts and "undecided" not in verdicts


def _goods(row: Row) -> tuple[tuple[Metric, float | None], ...]:
    """Return speed, memory and quality, signed so that higher is better; None if the backend cannot provide it."""

    def good(metric: Metric) -> tuple[Metric, float | None]:
        value = row.metrics.get(metric.name)
        if value is None and row.lacks(metric.name):
            return metric, None
        return metric, WORST if value is None or not row.can_rank(metric.name) else metric.goodness(value)

    memory = next((name for name in MEMORY if row.metrics.get(name)), MEMORY[-1])
    others = (metric for metric in COMPARED if metric.in_pareto and metric.kind != "memory")
    return (good(BY_NAME[memory]), *map(good, others))
