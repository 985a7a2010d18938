"""Export a comparison as CSV, JSON and JUnit XML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any
from xml.etree import ElementTree

from hforch.comparison.decision import Decision
from hforch.comparison.entries import samples_of
from hforch.comparison.rows import Row
from hforch.comparison.table import ERRORS, Comparison
from hforch.metrics.registry import names
from hforch.records.record import SCHEMA_VERSION
from hforch.utils.json_text import to_json
from hforch.utils.sanitize import for_csv, for_json, for_xml


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


def to_junit(comparison: Comparison) -> str:
    """Return JUnit XML with a test suite for each job and a test case for each check of a sample.

    Failed samples and unfinished jobs are errors.
    """
    root = ElementTree.Element("testsuites", name="hforch")
    for row in comparison.rows:
        suite = ElementTree.SubElement(root, "testsuite", name=for_xml(row.label))
        counts = {"tests": 0, "failures": 0, "errors": 0}
        cases = chain.from_iterable(map(_cases, samples_of(row.entry)))
        for case in chain(cases, _case_of_job(row)):
            suite.append(case)
            counts["tests"] += 1
            counts["failures"] += case.find("failure") is not None
            counts["errors"] += case.find("error") is not None
        suite.attrib |= {name: str(number) for name, number in counts.items()}
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(sample: dict[str, Any]) -> Iterator[ElementTree.Element]:
    where = f"input {sample['index'] + 1}" + (f", repeat {sample['repeat'] + 1}" if sample["repeat"] else "")
    if sample["error"] is not None:
        case = ElementTree.Element("testcase", classname="answer", name=where)
        ElementTree.SubElement(case, "error", message=for_xml(sample["error"]["message"]))
        yield case
        return
    for check in sample.get("checks") or []:
        case = ElementTree.Element("testcase", classname=for_xml(check["name"]), name=where)
        if not check["passed"]:
            failure = ElementTree.SubElement(case, "failure", message=for_xml(str(check.get("why") or "check failed")))
            failure.text = for_xml(str(sample["text"]))
        yield case


def _case_of_job(row: Row) -> Iterator[ElementTree.Element]:
    """Yield an error case if the job did not finish."""
    why = row.entry.unfinished
    if why is not None:
        case = ElementTree.Element("testcase", classname="job", name=for_xml(row.entry.name))
        ElementTree.SubElement(case, "error", message=for_xml(why))
        yield case
