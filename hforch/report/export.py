"""Export a comparison as CSV and JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from hforch.comparison.decision import Decision
from hforch.comparison.table import ERRORS, Comparison
from hforch.metrics.registry import names
from hforch.records.record import SCHEMA_VERSION
from hforch.utils.json_text import to_json
from hforch.utils.sanitize import for_csv, for_json


def to_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each job, all with the same columns: settings, metrics, baseline, status, notes."""
    columns = ["job", "directory", *comparison.axes, *names(), *ERRORS, "unit", "baseline", "status", "notes"]
    rows = []
    for row in comparison.rows:
        own = {"job": row.entry.name, "directory": str(row.entry.directory), "unit": row.unit, "baseline": row.baseline}
        status = row.entry.record.get("status")
        cells = own | row.axes | row.metrics | {"status": status, "notes": "; ".join(row.notes)}
        rows.append({name: cells.get(name) for name in columns})
    return rows


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
            "reason": decision.reason,
        }
    return {"schema_version": SCHEMA_VERSION, "rows": rows, "notes": comparison.notes, "decision": decided}


def to_json_text(comparison: Comparison, decision: Decision | None = None) -> str:
    return for_json(to_json(to_data(comparison, decision), indent=2)) + "\n"
