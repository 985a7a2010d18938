"""The top of the report: settings of the jobs, dates, machines, and the decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import hforch
from hforch.comparison.bounds import Bound
from hforch.comparison.decision import Decision
from hforch.comparison.entries import Entry
from hforch.comparison.intervals import reasons_without_interval
from hforch.comparison.table import Comparison
from hforch.metrics.registry import BY_NAME, COMPARED
from hforch.records.intervals import OF_BASELINE
from hforch.records.round_count import repeats_of, rounds_of
from hforch.report.comparison import decision_lines
from hforch.report.page.first_pass import FirstPass
from hforch.report.page.rerun import of_sweeps
from hforch.report.page.roles import doubts, evidence
from hforch.report.wording import job_list


def about(
    comparison: Comparison, seen: FirstPass, missing: Sequence[str], decision: Decision | None, bounds: Sequence[Bound]
) -> dict[str, Any]:
    records = [row.entry.record for row in comparison.rows]
    environments = [record["environment"] for record in records if record.get("environment")]
    versions: dict[str, list[str]] = {}
    for environment in environments:
        for name, version in (environment.get("packages") or {}).items():
            if version and str(version) not in versions.setdefault(name, []):
                versions[name].append(str(version))
    values: dict[str, list[str]] = {}
    for row in comparison.rows:
        for axis, value in row.axes.items():
            if value not in values.setdefault(axis, []):
                values[axis].append(value)
    started = sorted(str(record["started"]) for record in records if record.get("started"))
    repeats = [repeats_of(record) or 1 for record in records]
    recipes = {str(record.get("recipe") or "") for record in records} - {""}
    machines = dict.fromkeys(row.measured_on[0] for row in comparison.rows if row.entry.record.get("environment"))
    return {
        "hforch": hforch.__version__,
        "started": list(dict.fromkeys([*started[:1], *started[-1:]])),
        "machines": list(machines),
        "systems": list(dict.fromkeys(str(one.get("os")) for one in environments if one.get("os"))),
        "packages": {name: ", ".join(found) for name, found in sorted(versions.items())},
        "axes": values,
        "alike": _alike([row.entry for row in comparison.rows]),
        "recipe": PurePath(recipes.pop()).stem if len(recipes) == 1 else None,
        "qualified": decision is None or bool(decision.qualified),
        "samples": seen.samples,
        "failures": seen.samples - seen.answered - seen.interrupted,
        "interrupted": seen.interrupted,
        "unfinished": sum(row.entry.unfinished is not None and not row.entry.is_interrupted for row in comparison.rows),
        "interrupted_jobs": sum(row.entry.is_interrupted for row in comparison.rows),
        "repeats": max(repeats, default=1),
        "decision": None if decision is None else list(decision_lines(decision)),
        "reason": None if decision is None else _sentence(decision, bounds, len(comparison.rows)),
        "remark": None if decision is None else decision.remark,
        "outcome": None if decision is None else decision.outcome,
        "evidence": evidence(decision),
        "doubts": doubts(decision),
        "confidence": comparison.confidence,
        "without": list(_without_interval(comparison)),
        "notes": [*_input_files([row.entry for row in comparison.rows]), *(note.strip() for note in comparison.notes)],
        "missing": list(missing),
        "sweeps": list(of_sweeps(row.entry for row in comparison.rows)),
    }


def _without_interval(comparison: Comparison) -> Iterator[tuple[list[str], str]]:
    """Yield the titles of metrics without an interval, and the reason."""
    for why, some in reasons_without_interval(comparison.rows).items():
        if why == OF_BASELINE:  # the other jobs have intervals
            continue
        if titles := [BY_NAME[name].title for name in some if BY_NAME[name] in COMPARED and name != "failed"]:
            yield titles, why


def _sentence(decision: Decision, bounds: Sequence[Bound], jobs: int) -> str:
    if not bounds:
        return decision.reason
    asked = " and ".join(map(str, bounds))
    if not decision.qualified:
        return decision.reason.replace("no job qualifies", f"no job meets {asked}", 1)
    number = len(decision.qualified)
    verb = "meets" if number == 1 else "meet"
    meet = f"{number} of {jobs} jobs {verb} {asked}" if jobs > 1 else f"the job meets {asked}"
    return f"{meet}; {decision.reason}" if decision.reason else meet


def _alike(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the main settings that all jobs share."""
    told = [dict(_description(entry)) for entry in entries]
    first = told[0] if told else {}
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in told)}


def _description(entry: Entry) -> Iterator[tuple[str, str]]:
    model = entry.get("model")
    if isinstance(model, Mapping):
        named = model.get("id") or model.get("path") or model.get("file") or model.get("source")
        yield "model", PurePath(str(named)).name if not model.get("id") else str(named)
    paths = {"backend": "backend.name", "device": "device.kind", "precision": "precision.name", "prompt": "prompt.kind"}
    if file := _input_file(entry):
        yield "input file", file
    elif entry.get("inputs.kind") is not None:
        yield "input source", entry.overrides.get("inputs", str(entry.get("inputs.kind")))
    paths |= {"max_new_tokens": "generation.max_new_tokens", "do_sample": "generation.do_sample"}
    paths |= {"batch size": "runtime.batch_size", "repeats": "runtime.repeat", "rounds": "runtime.rounds"}
    for name, path in paths.items():
        value = entry.get(path)
        if value is not None:
            yield name, ("true" if value else "false") if isinstance(value, bool) else str(value)
    yield "rounds", str(rounds_of(entry.record))
    if planned := {one for batch in entry.record.get("plan") or [] for one in batch}:
        yield "inputs", str(len(planned))


def _input_file(entry: Entry) -> str | None:
    path = entry.get("inputs.path")
    return str(path) if path and entry.get("inputs.kind") == "file" else None


def _input_files(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a note for each file from which some of the jobs read their inputs."""
    files: dict[str | None, list[str]] = {}
    for entry in entries:
        files.setdefault(_input_file(entry), []).append(entry.name)
    for file, names in files.items():
        if file is not None and len(files) > 1:
            yield f"inputs of {job_list(names)}: {file}"
