"""What must hold of jobs that are resumed: they, their samples and their weights are what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hforch.errors import ConfigError, Mistake
from hforch.records.record_files import RECORD, known_record, read_record
from hforch.records.sample_lines import refuse_damaged
from hforch.records.sweep_file import read_sweep
from hforch.runs.mode import RunMode
from hforch.runs.planned_job import PlannedJob
from hforch.runs.resuming import ANEW, changes


def begun_before(mode: RunMode, directory: Path) -> dict[int, Mapping[str, Any]]:
    """Return what is recorded of the jobs that were begun in a directory, by their numbers.

    Raises:
        ConfigError: that cannot be read.
    """
    if not mode.has_summary:
        return {0: known_record(directory)}
    return {one["number"]: one for one in read_sweep(directory)["jobs"]}


def changed(
    jobs: Sequence[PlannedJob], before: Mapping[int, Mapping[str, Any]], skip_damaged: bool
) -> Iterator[Mistake]:
    """Yield mistakes for jobs that are not those that were begun, and for what they have left that is damaged.

    Args:
        before: what is recorded of them, by their numbers.
        skip_damaged: take damaged samples for missing.
    """
    if before.keys() != {one.number for one in jobs}:
        problem = f"the sweep had {len(before)} jobs when it was begun, and has {len(jobs)} now"
        yield Mistake("", problem, None, ANEW)
        return
    for one in jobs:
        found = one.job_context.locate(changes(before[one.number], one.record()))
        yield from found
        if not (one.directory / RECORD).exists():
            continue
        try:
            record = known_record(one.directory)
            if not skip_damaged:
                refuse_damaged(one.directory, record)
            if not found and record.get("job_id") not in (None, one.id):
                problem = "holds what an earlier sweep left in this directory, of another configuration"
                hint = "remove that folder, then resume; or run the sweep anew, in another directory"
                yield Mistake("", f"{one.directory} {problem}", None, hint)
        except ConfigError as error:
            yield from error.mistakes


def with_fingerprints(jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """Yield the jobs, each with the fingerprint that the weights had for those that were run with the same ones."""
    known: dict[str, str] = {}
    for one in jobs:
        if one.key not in known:
            with suppress(OSError, ValueError, KeyError, TypeError):
                known[one.key] = read_record(one.directory)["model"]["fingerprint"]
    for one in jobs:
        found = known.get(one.key)
        yield replace(one, job_context=replace(one.job_context, fingerprint=found)) if found else one
