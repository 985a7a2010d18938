"""Notes on the rows of a comparison: what is missing, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.comparison.drift import PAIRS, Drift
from hforch.comparison.entries import Entry
from hforch.comparison.machine_notes import machine_notes
from hforch.comparison.rows import NOISE, Row, number_of_inputs
from hforch.records.evidence import scores_of
from hforch.runs import repeats
from hforch.scoring.choices import contradiction
from hforch.utils.rounding import percent, percent_apart

NOT_SCORED = {
    "against_baseline": "not scored against the baseline",
    "on_text": "no perplexity",
}


def notes_of_row(entry: Entry, is_base: bool, drift: Drift | None, seen: int) -> list[str]:
    record = entry.record
    notes = ["baseline"] if is_base else []
    if record.get("same_as"):
        notes.append(f"skipped: identical to job {str(record['same_as']).removeprefix('../')}")
    status = str(record.get("status"))
    if entry.unfinished:
        notes.append(entry.unfinished)
    notes += _why_not_scored(entry)
    if contradicted := scores_of(entry.record, "against_baseline").get("contradicted"):
        notes.append(contradiction(contradicted))
    notes += _lacks(record)
    if record.get("resumed"):
        notes += _incomplete_rounds(record)
    if record.get("shared_accelerator"):
        notes.append(f"not ranked by speed or energy: {record['shared_accelerator']}")
    if drift and drift.missing:
        have = "sample has" if drift.missing == 1 else "samples have"
        notes.append(f"{drift.missing} {have} no matching sample in the baseline")
    lacking = _lacking(record)
    if lacking and status not in ("interrupted", "partial"):
        notes.append(f"{lacking} {'sample is' if lacking == 1 else 'samples are'} missing")
    gone = int((record.get("totals") or {}).get("samples") or 0) - seen
    if gone > 0 and status in ("ok", "failed"):
        verb = "is" if gone == 1 else "are"
        notes.append(f"samples.jsonl is incomplete or was changed: {gone} of its samples {verb} missing")
    return notes


def _incomplete_rounds(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield which part of a resumed job its speed covers, unless it covers all of it."""
    rounds = record.get("rounds") or ()
    complete = sum(one.get("seconds") is not None and not one.get("incomplete") for one in rounds)
    if not complete:
        yield "resumed: tokens/s covers only the last part"
    elif complete < len(rounds):
        yield f"resumed: tokens/s covers {complete} of {len(rounds)} rounds"


def _lacks(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each reason why the backend lacks something, except logits, which only scoring requires."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in (record.get("absent") or {}).items():
        if name != "logits":
            by_reason.setdefault(reason, []).append(name.replace("_", " "))
    for reason, names in by_reason.items():
        yield f"no {', '.join(names)}: {reason}"


def _why_not_scored(entry: Entry) -> Iterator[str]:
    """Yield why a job lacks scores against its baseline or on a text."""
    for part, title in NOT_SCORED.items():
        for reason in dict.fromkeys((scores_of(entry.record, part).get("absent") or {}).values()):
            yield f"{title}: {reason}"


def _lacking(record: Mapping[str, Any]) -> int:
    totals = record.get("totals") or {}
    return int(totals.get("planned") or 0) - int(totals.get("samples") or 0)


def notes_of_rows(rows: Sequence[Row]) -> list[str]:
    notes = _not_run(rows)
    rows = [row for row in rows if row.entry.record.get("environment")]
    sites = list(dict.fromkeys(row.measured_on for row in rows))
    if len({machine for machine, _ in sites}) > 1:
        notes.append("the jobs ran on different machines, so their speeds are not comparable:")
        for machine in dict.fromkeys(machine for machine, _ in sites):
            notes.append(f"  {machine}: {', '.join(row.entry.name for row in rows if row.measured_on[0] == machine)}")
    beside = [row.entry.name for row in rows if row.measured_on[1]]
    if beside and len(beside) < len(rows):
        notes.append(
            "not comparable in speed with the remaining jobs, because they ran in parallel with others: "
            + ", ".join(beside)
        )
    elif beside:
        notes.append("all jobs ran in parallel with others; each would be faster alone")
    measured = [row for row in rows if row.metrics.get("power_w") is not None]
    on_gpu = [row.entry.name for row in measured if not row.counts_packages]
    if on_gpu and len(on_gpu) < len(measured):
        notes.append(
            f"energy covers only the GPUs in some jobs ({', '.join(on_gpu)}); it is not comparable with that of the "
            "other jobs, which includes the CPU packages"
        )
    notes += _noise_notes(rows)
    notes += machine_notes(rows)
    notes += _repeat_notes(rows)
    if any(row.unit == "characters" and row.baseline for row in rows):
        notes.append("first_diff is in tokens, or in characters where token ids are not comparable")
    most = max((number_of_inputs(row.entry.record) for row in rows), default=0)
    if most > PAIRS and any(row.baseline for row in rows):
        notes.append(f"chrF and edit similarity are computed on about {PAIRS} of {most} inputs, the same for all jobs")
    return notes


def _noise_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a warning for each loaded model whose first batch took more or less time at the end than at the start."""
    loads: dict[tuple[Path, Any], list[Row]] = {}
    for row in rows:
        if row.is_noisy and not row.took_turns:  # a drift of the machine affects all jobs that take turns
            loads.setdefault((row.entry.directory.parent, row.entry.record.get("load_key")), []).append(row)
    for some in loads.values():
        noise = some[0].entry.noise or 0.0
        names = f"job{'s' * (len(some) > 1)} {', '.join(row.entry.name for row in some)}"
        change = f"{percent_apart(abs(noise), NOISE)} {'more' if noise > 0 else 'less'} time"
        told = f"the same batch took {change} at the end than at the start (tolerance {percent(NOISE)})"
        yield f"timings of {names} are unreliable: {told}"


def _repeat_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a warning for each job whose first repeat differs significantly from the later ones.

    Jobs that were resumed, or measured in turns with others, are not checked.
    """
    for row in rows:
        metrics = row.entry.record.get("metrics") or {}
        each, seconds = metrics.get("tokens_per_s_each") or (), metrics.get("measured_s")
        record = row.entry.record
        if seconds and not record.get("resumed") and not record.get("interleaved"):
            share = repeats.first_differs(each, seconds)
            if share is not None:
                yield f"job {row.entry.name}: {repeats.remark(share)}"


def _not_run(rows: Sequence[Row]) -> list[str]:
    missing = [row.entry for row in rows if not row.entry.was_run]
    by_sweep: dict[Path, int] = {}
    for entry in missing:
        by_sweep[entry.directory.parent] = by_sweep.get(entry.directory.parent, 0) + 1
    return [
        f"{number} of {len(rows)} jobs {'was' if number == 1 else 'were'} not run; to run them: hforch resume {sweep}"
        for sweep, number in by_sweep.items()
    ]
