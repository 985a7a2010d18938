"""Collect the data of the report: the comparison, the jobs, and as many inputs as a report can show."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from hforch.comparison.decision import Criteria, Decision
from hforch.comparison.divergent_tokens import all_divergent_tokens
from hforch.comparison.entries import samples_of
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.comparison.word_diff import alignment, split_words
from hforch.metrics.aggregation import percentiles
from hforch.metrics.registry import ALL
from hforch.records.sample_lines import was_interrupted
from hforch.report.page.charts import charts
from hforch.report.page.first_pass import MOST_FAILED, FirstPass
from hforch.report.page.metrics import described, ordered
from hforch.report.page.rerun import of_job
from hforch.report.page.roles import PARETO, is_tied, role_of, unshown
from hforch.report.page.summary import about
from hforch.report.wording import columns_of, item_line
from hforch.statistics.estimates import METHODS, Estimate
from hforch.utils.redaction import without_known

MOST_CELLS = 24_000  # maximum number of answers in a report
MOST_BYTES = 150_000_000  # maximum size of the samples in a report
LONGEST = 2_000_000  # maximum number of characters of a text
AT_ONCE = 100  # number of inputs in each part of the data
RESIDUES = 1 << 32


class ShownSamples:
    """The set of inputs to show: all, or a deterministic sample (by a hash of the ids) and inputs that failed.

    Args:
        most: the approximate number of inputs; None for as many as a report can show.
    """

    def __init__(self, seen: FirstPass, jobs: int, most: int | None) -> None:
        self.of = len(seen.inputs)
        self.most = max(1, MOST_CELLS // max(jobs, 1)) if most is None else most
        fits = min(1.0, MOST_BYTES / max(seen.size, 1)) if most is None else 1.0
        self.share = min(fits, self.most / max(self.of, 1))
        self.failed = frozenset(list(seen.failed)[:MOST_FAILED]) if self.share < 1.0 else frozenset()

    def __contains__(self, input_id: str) -> bool:
        return self.share >= 1.0 or crc32(input_id.encode()) < self.share * RESIDUES or input_id in self.failed


@dataclass
class Input:
    """An input with its answers by job index."""

    index: int
    text: str
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Page:
    """The data of the report.

    Attributes:
        summary: everything except the answers.
        inputs: the inputs, in their original order.
        baselines: the index of each job's baseline.
        damaged: the number of jobs with damaged or unreadable samples, which are skipped.
    """

    summary: dict[str, Any]
    inputs: list[Input]
    baselines: list[int | None]
    damaged: int = 0

    def parts(self) -> Iterator[dict[str, Any]]:
        """Yield the answers in parts, which the report unpacks one at a time."""
        for start in range(0, len(self.inputs), AT_ONCE):
            yield _part(self.inputs[start : start + AT_ONCE], self.baselines)


def collect(
    comparison: Comparison,
    seen: FirstPass,
    missing: Sequence[str],
    decision: Decision | None,
    criteria: Criteria,
    most: int | None,
) -> Page:
    """Return the data of the report.

    Args:
        missing: messages about data that cannot be shown.
        most: the approximate number of inputs to show; None for as many as a report can show.
    """
    rows = comparison.rows
    shown = ShownSamples(seen, len(rows), most)
    inputs: dict[str, Input] = {}
    told = [*missing]
    for place, row in enumerate(rows):
        broken: list[int] = []
        apart = {one.input_id: one for one in all_divergent_tokens(row.entry, 1, broken) if one.input_id in shown}
        if broken:
            told.append(f"job {row.entry.name}: invalid lines in scores.jsonl: {len(broken)}")
        columns = columns_of(row.entry.get("prompt"))
        for sample in samples_of(row.entry):
            if sample["repeat"] == 0 and sample["input_id"] in shown:
                text = item_line(sample.get("input"), None, columns)[:LONGEST]
                one = inputs.setdefault(sample["input_id"], Input(sample["index"], text))
                one.cells[place] = _cell(sample)
                if token := apart.get(sample["input_id"]):
                    one.cells[place]["apart"] = _divergent_token(token)
    in_order = [inputs[name] for name in sorted(inputs, key=lambda name: (inputs[name].index, name))]
    names = {row.entry.name: place for place, row in enumerate(rows)}
    baselines = [names.get(row.baseline) if row.baseline else None for row in rows]
    asked = criteria.asked
    known = {one: {row.metrics.get(one.name) for row in rows} - {None} for one in ordered(asked)}
    metrics = [described(one) for one, values in known.items() if values and (one.kind != "failure" or values != {0.0})]
    sites = list(dict.fromkeys(row.measured_on for row in rows))
    cells = [cell for one in in_order for cell in one.cells.values()]
    summary = {
        "about": about(comparison, seen, told, decision, criteria.bounds),
        "rows": {"shown": len(in_order), "of": shown.of, "failed": len(shown.failed)},
        "metrics": metrics,
        "methods": METHODS,
        "timings": {one.timing: one.title for one in ALL if one.timing == one.name},
        "axes": comparison.axes,
        "jobs": [
            _job(row, decision)
            | {"baseline": base, "site": sites.index(row.measured_on), "is_shared": row.shared is not None}
            for row, base in zip(rows, baselines, strict=True)
        ],
        "finishes": sorted({cell["finish"] for cell in cells if cell.get("finish")}),
        "checks": sorted({check[0] for cell in cells for check in cell.get("checks", ())}),
        "charts": charts(comparison, asked, decision),
        "pareto": PARETO,
        "typical": round(percentiles([len(cell["text"]) for cell in cells], [90])[0]) if cells else 0,
        "parts": -(-len(in_order) // AT_ONCE),
    }
    return Page(summary, in_order, baselines, seen.damaged)


# ---------------------------------------------------------------- answers
def _cell(sample: Mapping[str, Any]) -> dict[str, Any]:
    text = without_known(sample["text"] or "")
    cell: dict[str, Any] = {
        "text": text[:LONGEST],
        "prompt": without_known(sample.get("prompt") or "")[:LONGEST],
        "tokens": [sample.get("prompt_tokens"), sample.get("output_tokens")],
        "ids": array("q", sample.get("output_ids") or []),
        "times": dict(sample["timings"]),
    }
    if len(text) > LONGEST:
        cell |= {"cut": len(text), "whole": hash(text)}
    if sample.get("error") is not None:
        cell["error"] = str(sample["error"].get("message") or sample["error"].get("type") or "failed")[:LONGEST]
        if was_interrupted(sample):
            cell["interrupted"] = True
    else:
        cell["finish"] = str(sample.get("finish_reason") or "")
    if sample.get("checks"):
        cell["checks"] = [[one["name"], one["passed"], one.get("why") or ""] for one in sample["checks"]]
    return cell


def _divergent_token(one: Any) -> dict[str, Any]:
    own = {"position": one.position, "kl": one.kl, "before": one.before, "read": one.read["text"]}
    return own | {"baseline": _tokens(one.baseline), "job": _tokens(one.job)}


def _tokens(tokens: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    return [[one["text"], one["log_probability"]] for one in tokens]


def _part(inputs: Sequence[Input], baselines: Sequence[int | None]) -> dict[str, Any]:
    """Return a part of the data: inputs and answers, and their distinct texts, which they refer to by index."""
    strings: dict[str, int] = {}

    def place(text: str) -> int:
        return strings.setdefault(text, len(strings))

    told = []
    for one in inputs:
        row: list[dict[str, Any] | None] = []
        for job, base in enumerate(baselines):
            cell = one.cells.get(job)
            if cell is None:
                row.append(None)
                continue
            other = one.cells.get(base) if base is not None else None
            own = {name: value for name, value in cell.items() if name != "whole"}
            if other is not None and other.get("whole") != cell.get("whole"):
                own["beyond"] = True
            own |= {"text": place(cell["text"]), "prompt": place(cell["prompt"]), "ids": list(cell["ids"])}
            if other is not None and not (cell.get("error") or other.get("error")) and other["text"] != cell["text"]:
                own["diff"] = difference(other["text"], cell["text"])
            row.append(own)
        told.append([one.index, place(one.text), row])
    return {"inputs": told, "strings": list(strings)}


def difference(base: str, text: str) -> list[int]:
    """Return the edits from one text to the other as a sequence of counts: equal, deleted, inserted, equal, ...

    The counts are in UTF-16 code units, as in JavaScript.
    """
    one, other = split_words(base), split_words(text)
    found: list[int] = []
    a = b = 0
    for same, gone, new in alignment(one, other):
        found += (_units(one[a : a + same]), _units(one[a + same : a + same + gone]))
        found.append(_units(other[b + same : b + same + new]))
        a, b = a + same + gone, b + same + new
    return found


def _units(some: Sequence[str]) -> int:
    return sum(len(one.encode("utf-16-le", "surrogatepass")) for one in some) // 2


# ---------------------------------------------------------------- jobs
def _job(row: Row, decision: Decision | None) -> dict[str, Any]:
    entry = row.entry
    refused = {} if decision is None else {one.entry.name: why for one, why in decision.refused}
    doubted = {} if decision is None else {one.entry.name: unshown(why) for one, why in decision.unconfirmed}
    return {
        "name": entry.name,
        "label": row.label,
        "axes": row.axes,
        "status": str(entry.record.get("status")),
        "why": entry.unfinished,
        "is_baseline": "baseline" in row.notes,
        "metrics": {name: value for name, value in row.metrics.items() if value is not None},
        "intervals": {name: _interval(one) for name, one in row.estimates.items()},
        "spread": row.spread,
        "notes": [note for note in row.notes if note not in ("baseline", entry.unfinished)],
        "pareto": decision is not None and any(row is one for one in decision.pareto),
        "role": role_of(row, decision),
        "tied": is_tied(row, decision),
        "refused": refused.get(entry.name),
        "doubts": doubted.get(entry.name),
        "again": of_job(entry),
    }


def _interval(estimate: Estimate) -> list[Any] | str:
    """Return the ends of an interval (None: infinite) and its method, or the reason why it is missing."""
    one = estimate.interval
    if one is None:
        return estimate.why
    low, high = (end if math.isfinite(end) else None for end in (one.low, one.high))
    return [low, high, one.method, one.units]
