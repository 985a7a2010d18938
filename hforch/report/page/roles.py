"""The roles of jobs in a decision, and the words and marks that show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from hforch.comparison.choosing import Rival
from hforch.comparison.decision import Decision
from hforch.comparison.effect_text import effect_text, p_text
from hforch.comparison.rows import Row

Role = Literal["recommended", "tie", "undecided"]
MARKS: dict[Role | None, str] = {"recommended": "★ ", "tie": "≈ ", "undecided": "? ", None: ""}
"""The mark before the name of a job in charts."""

PARETO = (
    "no other qualified job is confirmed to be at least as good in speed, memory and quality, and better in one of them"
)
MOST_RIVALS = 8  # maximum number of jobs in the table of evidence
MOST_DOUBTS = 6  # maximum number of jobs at the top whose requirements are not confirmed


def role_of(row: Row, decision: Decision | None) -> Role | None:
    """Return whether a job is recommended, as good as the recommended one, or one of those that cannot be ranked."""
    if decision is None:
        return None
    if row is decision.winner:
        return "recommended"
    if decision.outcome == "tie" and any(row is one for one in decision.tied):
        return "tie"
    return "undecided" if any(row is one for one in _candidates(decision)) else None


def is_tied(row: Row, decision: Decision | None) -> bool:
    """Return whether a job is in a tie for the best one."""
    return decision is not None and decision.outcome == "tie" and any(row is one for one in decision.tied)


def evidence(decision: Decision | None) -> dict[str, Any] | None:
    """Return the comparison of the best job with the others, as a table; None if no jobs were compared."""
    ranking = decision.ranking if decision else None
    if ranking is None or not ranking.rivals:
        return None
    best = ranking.best.entry.name
    verdicts = {"better": f"job {best} is better", "tie": "tie", "undecided": "undecided"}

    def line(one: Rival) -> dict[str, Any]:
        effect = effect_text(one.effect, ranking.metric)
        p = None if one.effect.p is None else p_text(one.effect.p).removeprefix("p ").removeprefix("= ")
        why = one.effect.why if one.effect.interval is None else ""
        return {"job": one.row.entry.name, "label": one.row.label, "effect": effect, "p": p, "why": why} | {
            "verdict": one.verdict,
            "says": verdicts[one.verdict],
        }

    return {
        "metric": ranking.metric.title,
        "best": best,
        "is_by_value": ranking.is_by_value,
        "floor": f"{ranking.floor:.1%}" if ranking.floor else None,
        "rivals": [line(one) for one in ranking.rivals[:MOST_RIVALS]],
        "of": len(ranking.rivals),
    }


def doubts(decision: Decision | None) -> dict[str, Any]:
    """Return the unconfirmed requirements of qualified jobs; those with a role come first."""
    found = decision.unconfirmed if decision else []
    ordered = sorted(found, key=lambda one: role_of(one[0], decision) is None)
    return {"jobs": [[row.title, *some] for row, some in ordered[:MOST_DOUBTS]], "of": len(found)}


def unshown(doubts: Sequence[str]) -> list[str]:
    """Return the requirements in the reasons why they are not confirmed."""
    return [doubt.partition(": ")[0] for doubt in doubts]


def _candidates(decision: Decision) -> Sequence[Row]:
    """Return the jobs of which any may be the best."""
    if decision.outcome != "undecided" or decision.ranking is None:
        return ()
    rivals = decision.ranking.rivals
    return [decision.ranking.best, *(one.row for one in rivals if one.verdict != "better")]
