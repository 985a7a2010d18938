"""Check that the jobs of a resumed run have not changed, and that their samples are readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hforch.auto_prompt import is_open, settled_as
from hforch.errors import ConfigError, Mistake
from hforch.records.record_files import RECORD, known_record, read_record
from hforch.records.sample_lines import refuse_damaged
from hforch.records.sweep_file import read_sweep
from hforch.runs.mode import RunMode
from hforch.runs.planned_job import PlannedJob
from hforch.runs.resuming import ANEW, changes


def begun_before(mode: RunMode, directory: Path) -> dict[int, Mapping[str, Any]]:
    """Return the recorded jobs of a directory by number: from sweep.json, or from the record of a single run.

    Raises:
        ConfigError: a record cannot be read.
    """
    if not mode.has_summary:
        return {0: known_record(directory)}
    return {one["number"]: one for one in read_sweep(directory)["jobs"]}


def changed(
    jobs: Sequence[PlannedJob], before: Mapping[int, Mapping[str, Any]], skip_damaged: bool
) -> Iterator[Mistake]:
    """Yield errors for jobs that differ from the recorded ones, and for damaged records and samples.

    Args:
        before: the recorded jobs, by job number.
        skip_damaged: treat damaged samples as missing.
    """
    if before.keys() != {one.number for one in jobs}:
        problem = f"the sweep started with {len(before)} jobs and now has {len(jobs)}"
        yield Mistake("", problem, None, ANEW)
        return
    for one in jobs:
        found = one.job_context.locate(changes(_as_settled(before[one.number], one), one.record()))
        yield from found
        if not (one.directory / RECORD).exists():
            continue
        try:
            record = known_record(one.directory)
            if not skip_damaged:
                refuse_damaged(one.directory, record)
            if not found and record.get("job_id") not in (None, one.id):
                problem = "contains a job of an earlier sweep with another configuration"
                hint = "delete that directory and resume, or run the sweep again in another directory"
                yield Mistake("", f"{one.directory} {problem}", None, hint)
        except ConfigError as error:
            yield from error.mistakes


def _as_settled(before: Mapping[str, Any], one: PlannedJob) -> Mapping[str, Any]:
    """Return a recorded job with its prompt settled; it was not if the model had to be downloaded first."""
    recorded = before.get("job")
    if not recorded or is_open(one.job) or (settled := settled_as(recorded, one.job)) == recorded:
        return before
    return {**before, "job": settled, "job_id": None}  # the job id was that of the open prompt


def with_fingerprints(jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """Yield the jobs, with the fingerprint of the weights from an earlier record with the same load key, if any."""
    known: dict[str, str] = {}
    for one in jobs:
        if one.key not in known:
            with suppress(OSError, ValueError, KeyError, TypeError):
                known[one.key] = read_record(one.directory)["model"]["fingerprint"]
    for one in jobs:
        found = known.get(one.key)
        yield replace(one, job_context=replace(one.job_context, fingerprint=found)) if found else one
