"""The sentence that states a recommendation and the evidence for it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from hforch.comparison.choosing import Ranking, Rival, Rules
from hforch.comparison.effect_text import about, effect_text, p_text
from hforch.comparison.effects import BY_INPUT, are_interleaved, was_looked_at
from hforch.comparison.rows import Row
from hforch.metrics.metric import Metric
from hforch.records.intervals import ONCE
from hforch.statistics.power import inputs_for, rounds_for

MOST_NAMED = 4  # rivals that a sentence lists one by one
FEWEST_ROUNDS = 3


def recommendation(ranking: Ranking, winner: Row, tie_break: Ranking | None, qualified: int, rules: Rules) -> str:
    """Return the recommendation.

    Args:
        winner: the job to recommend if the ranking is decided.
        tie_break: the ranking that decided between jobs that tie; None if there was none, or none decided.
        qualified: the number of qualified jobs.
    """
    if not ranking.rivals:
        value = f"{ranking.metric.name} {_value(ranking.best, ranking.metric)}"
        ranked = "qualified" if qualified == 1 else "ranked"
        return f"recommended: job {ranking.best.title}, the only {ranked} job ({value}){ranking.left_out}"
    sentence = {"winner": _winner, "tie": _tie, "undecided": _undecided}[ranking.outcome]
    return f"{sentence(ranking, winner, tie_break, rules)}{ranking.left_out}"


def _winner(ranking: Ranking, winner: Row, tie_break: Ranking | None, rules: Rules) -> str:
    metric, (second, *others) = ranking.metric, ranking.rivals
    rank = "highest" if metric.is_higher_better else "lowest"
    among = " of the qualified jobs" if rules.has_refused else ""
    said = f"recommended: job {winner.title}, with the {rank} {metric.name}{among}: {_value(winner, metric)}"
    if ranking.is_by_value:
        why = metric.without_interval or ONCE
        return f"{said} (next: job {second.row.entry.name}, {_value(second.row, metric)}; no interval: {why})"
    said += f", {_against(second, ranking)}"
    if others:
        said += f"; also better than {_named(others, metric)}"
    return said


def _tie(ranking: Ranking, winner: Row, tie_break: Ranking | None, rules: Rules) -> str:
    metric, tied = ranking.metric, ranking.with_verdict("tie")
    names = ", ".join(row.entry.name for row in ranking.tied)
    said = f"tie in {metric.name}: jobs {names} ({'; '.join(_against(one, ranking) for one in tied[:MOST_NAMED])}"
    said += f"; {_counts_as_tie(ranking, rules)})"
    if tie_break is None:
        return (
            f"{said}. Recommended: job {winner.title}, the first of them; they do not differ in memory or disk either"
        )
    other = next(one.row for one in tie_break.rivals)
    least = "highest" if tie_break.metric.is_higher_better else "lowest"
    values = f"{_value(winner, tie_break.metric)}, next: {_value(other, tie_break.metric)}"
    said += f". Recommended: job {winner.title}, with the {least} {tie_break.metric.name} of them ({values})"
    return said


def _counts_as_tie(ranking: Ranking, rules: Rules) -> str:
    if ranking.is_by_value:
        return f"differences up to {rules.margin:.2g} of the value count as a tie"
    if ranking.floor > rules.margin:
        return f"two measurements of the same job differ by {ranking.floor:.1%}"
    return f"differences up to {rules.margin * 100:g}% count as a tie"


def _undecided(ranking: Ranking, winner: Row, tie_break: Ranking | None, rules: Rules) -> str:
    metric, open_ones = ranking.metric, ranking.with_verdict("undecided")
    rank = "highest" if metric.is_higher_better else "lowest"
    names = " or ".join(one.entry.name for one in (ranking.best, *(one.row for one in open_ones)))
    said = f"cannot determine which of jobs {names} has the {rank} {metric.name}: job {ranking.best.entry.name} has "
    said += f"{_value(ranking.best, metric)}, {'; '.join(_against(one, ranking) for one in open_ones[:MOST_NAMED])}"
    return f"{said}. {_what_would_show(ranking, open_ones, rules)}"


def _what_would_show(ranking: Ranking, open_ones: Sequence[Rival], rules: Rules) -> str:
    """Return what to measure to decide between the best job and those that are not confirmed to be worse."""
    if ranking.metric.kind != "speed":
        return _more_inputs(ranking, open_ones, rules)
    together = {one.row.entry.directory.parent for one in open_ones} == {ranking.best.entry.directory.parent}
    needed = [_rounds(ranking, one, rules) for one in open_ones]
    if None in needed:
        return "They are too similar to distinguish with a reasonable number of rounds; with a larger --margin they tie"
    total = max(FEWEST_ROUNDS, *(one or 0 for one in needed))
    measured = min(_number_of_rounds(one) for one in (ranking.best, *(one.row for one in open_ones)))
    if not together:
        return f"Measure them in turns: in one sweep, with runtime.rounds={total}"
    more = max(1, total - measured)
    command = shlex.join(
        ["hforch", "resume", str(ranking.best.entry.directory.parent), f"runtime.rounds={measured + more}"]
    )
    return f"About {about(more)} more round{'s' * (more > 1)} would probably decide it: {command}"


def _rounds(ranking: Ranking, one: Rival, rules: Rules) -> int | None:
    """Return how many rounds would probably decide between the best job and another."""
    if not one.effect.spread:
        return FEWEST_ROUNDS
    effect, margin = math.log(one.effect.value), math.log1p(rules.margin)
    looked = was_looked_at(ranking.best) or are_interleaved(ranking.best, one.row)  # adding rounds means having looked
    return rounds_for(effect, one.effect.spread, margin, rules.confidence, looked)


def _more_inputs(ranking: Ranking, open_ones: Sequence[Rival], rules: Rules) -> str:
    lacking = [one.effect.why for one in open_ones if one.effect.interval is None]
    if lacking:
        return f"There is no interval: {lacking[0]}"
    needed = []
    for one in open_ones:
        assert one.effect.interval is not None
        size = abs(math.log(one.effect.value)) if one.effect.scale == "ratio" else abs(one.effect.value)
        found = inputs_for(size, one.effect.spread or 0.0, rules.confidence)
        needed.append(None if found is None else max(1, found - one.effect.interval.units))
    if None in needed:
        return "They are too similar to distinguish with a reasonable number of inputs"
    most = max(one or 1 for one in needed)
    return f"About {about(most)} more input{'s' * (most > 1)} would probably decide it"


def _number_of_rounds(row: Row) -> int:
    return max(1, len(row.entry.record.get("rounds") or ()))


def _against(one: Rival, ranking: Ranking) -> str:
    """Return the effect of the best job against another: `+18% [+15%, +21%] vs. job 2, p < 0.001`."""
    effect = effect_text(one.effect, ranking.metric)
    if one.effect.interval is None:
        return f"{effect} vs. job {one.row.entry.name} (no interval: {one.effect.why})"
    p = f", {p_text(one.effect.p)}" if one.effect.p is not None else ""
    return f"{effect} vs. job {one.row.entry.name}{p}{_partly_paired(one, ranking)}"


def _partly_paired(one: Rival, ranking: Ranking) -> str:
    """Return how many inputs could be compared, if some were answered by only one of the jobs, or failed in one."""
    name = BY_INPUT.get(ranking.metric.name, "")
    units = (one.row.evidence.units.get(name), ranking.best.evidence.units.get(name))
    most = max((len(some) for some in units if some is not None), default=0)
    paired = one.effect.interval.units if one.effect.interval else most
    kind = "windows" if name in ("ppl", "bits_per_byte") else "inputs"
    return f" ({paired} of {most} {kind}: the others have a value in only one of the jobs)" if paired < most else ""


def _named(rivals: Sequence[Rival], metric: Metric) -> str:
    names = [f"{one.row.entry.name} ({effect_text(one.effect, metric)})" for one in rivals[:MOST_NAMED]]
    if len(rivals) > MOST_NAMED:
        names.append(f"{len(rivals) - MOST_NAMED} others")
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    worst = max((one.effect.p for one in rivals if one.effect.p is not None), default=None)
    said = f"job{'s' * (len(rivals) > 1)} {listed}"
    return said if worst is None else f"{said}, {p_text(worst)}"


def _value(row: Row, metric: Metric) -> str:
    value = row.metrics[metric.name] or 0.0
    return f"{metric.shown(value)}{f' {metric.unit}' if metric.unit not in ('', '%') else ''}"
