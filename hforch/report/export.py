"""Export a comparison as CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from typing import Any

from hforch.comparison.choosing import Ranking
from hforch.comparison.decision import Decision
from hforch.comparison.intervals import reasons_without_interval
from hforch.comparison.rows import Row
from hforch.comparison.table import ERRORS, Comparison
from hforch.comparison.variation import variation_of
from hforch.metrics.registry import COMPARED, names
from hforch.records.record import SCHEMA_VERSION
from hforch.statistics.estimates import METHODS, Interval
from hforch.utils.json_text import to_json
from hforch.utils.sanitize import for_csv, for_json

ENDS = [f"{metric.name}_{end}" for metric in COMPARED if not metric.without_interval for end in ("low", "high")]
"""The columns with the ends of confidence intervals."""


def to_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each job, all with the same columns: settings, metrics, baseline, status, notes."""
    metrics = [*names(), *ERRORS, *ENDS, "without_interval"]
    columns = ["job", "directory", *comparison.axes, *metrics, "unit", "baseline", "status", "notes"]
    rows = []
    for row in comparison.rows:
        own = {"job": row.entry.name, "directory": str(row.entry.directory), "unit": row.unit, "baseline": row.baseline}
        status = row.entry.record.get("status")
        cells = own | row.axes | row.metrics | _ends(row) | {"status": status, "notes": "; ".join(row.notes)}
        rows.append({name: cells.get(name) for name in columns})
    return rows


def _ends(row: Row) -> dict[str, Any]:
    """Return the ends of the intervals of a row as columns, and why metrics have none."""
    ends: dict[str, Any] = {}
    for name, one in row.estimates.items():
        if one.interval is not None:
            ends |= {f"{name}_low": one.interval.low, f"{name}_high": one.interval.high}
    reasons = reasons_without_interval([row])
    ends["without_interval"] = "; ".join(f"{', '.join(some)}: {why}" for why, some in reasons.items())
    return ends


def to_csv(comparison: Comparison) -> str:
    text, rows = io.StringIO(), to_rows(comparison)
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writerow({name: for_csv(name) for name in rows[0]})
    for row in rows:
        writer.writerow({name: for_csv(value) for name, value in row.items()})
    return text.getvalue()


def to_data(comparison: Comparison, decision: Decision | None = None) -> dict[str, Any]:
    """Return the comparison as JSON-compatible data, with the names that records use."""
    rows = [
        {
            "job": row.entry.name,
            "directory": str(row.entry.directory),
            "status": row.entry.record.get("status"),
            "job_id": row.entry.record.get("job_id"),
            "load_key": row.entry.record.get("load_key"),
            "axes": row.axes,
            "metrics": row.metrics,
            "intervals": _intervals(row),
            "variation": asdict(variation_of(row.entry.record)),
            "tokens_per_s_each": (row.entry.record.get("metrics") or {}).get("tokens_per_s_each"),
            "checks": row.checks,
            "baseline": row.baseline,
            "unit": row.unit,
            "machine": row.measured_on[0],
            "parallel": row.measured_on[1],
            "shared_accelerator": row.shared,
            "notes": row.notes,
            "worst": [asdict(pair) for pair in row.worst],
            "partings": [asdict(token) for token in row.divergent_tokens],
        }
        for row in comparison.rows
    ]
    decided = None
    if decision:
        decided = {
            "qualified": [row.entry.name for row in decision.qualified],
            "refused": {row.entry.name: reasons for row, reasons in decision.refused},
            "pareto": [row.entry.name for row in decision.pareto],
            "winner": decision.winner.entry.name if decision.winner else None,
            "outcome": decision.outcome,
            "tied": [row.entry.name for row in decision.tied],
            "unconfirmed": {row.entry.name: doubts for row, doubts in decision.unconfirmed},
            "ranking": decision.ranking and _ranking(decision.ranking),
            "reason": decision.reason,
            "remark": decision.remark,
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "confidence": comparison.confidence,
        "methods": METHODS,
        "rows": rows,
        "notes": comparison.notes,
        "decision": decided,
    }


def _intervals(row: Row) -> dict[str, Any]:
    """Return, for each metric that has a value, its interval or the reason why it has none."""
    return {name: _interval(one.interval, one.why) for name, one in row.estimates.items()}


def _interval(interval: Interval | None, why: str) -> dict[str, Any]:
    if interval is None:
        return {"absent": why}
    ends = {"low": interval.low, "high": interval.high}
    return asdict(interval) | {name: end if math.isfinite(end) else None for name, end in ends.items()}


def _ranking(ranking: Ranking) -> dict[str, Any]:
    """Return the evidence of a recommendation: the effects of the best job against the others."""
    return {
        "metric": ranking.metric.name,
        "best": ranking.best.entry.name,
        "noise_floor": ranking.floor,
        "rivals": [
            {
                "job": one.row.entry.name,
                "effect": one.effect.value,
                "scale": one.effect.scale,
                "interval": _interval(one.effect.interval, one.effect.why),
                "p": one.effect.p,
                "verdict": one.verdict,
            }
            for one in ranking.rivals
        ],
    }


def to_json_text(comparison: Comparison, decision: Decision | None = None) -> str:
    return for_json(to_json(to_data(comparison, decision), indent=2)) + "\n"
