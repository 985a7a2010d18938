"""Begin a job, or continue it in a later part or after it was stopped: what its record keeps, and what is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hforch.config.added_keys import with_added_keys
from hforch.config.schema import Job
from hforch.inputs import Input
from hforch.load_profiles.base import Batch
from hforch.load_profiles.registry import profile_of
from hforch.records.machine import Memory, Process
from hforch.records.record import Stage
from hforch.runs.memory_meter import merged_peaks
from hforch.runs.resuming import PreviousRun
from hforch.runs.rounds import in_rounds
from hforch.runs.run_state import KEPT_FIELDS, Run
from hforch.runs.sample_metrics import count, summarize
from hforch.scoring import preflight

# Fields that a resumed job writes itself instead of copying them from its earlier record.
NEW_IN_A_RESUMED = (
    "status",
    "finished",
    "totals",
    "exit_code",
    "error",
    "resumed",
    "stages",
    "job",
    "job_id",
    "from_env",
)

# Fields that the next part of a job writes itself instead of copying them.
NEW_IN_A_PART = ("status", "finished", "exit_code", "error", "stages", "warnings")

# Measurements of the first load of the model, which later rounds do not replace.
OF_THE_FIRST_LOAD = ("timings", "warmup", "shared_load", "process")

# Measurements of the generation phase, which a resumed job keeps if it only computes scores.
MEASURED = ("memory", "timings", "warmup", "shared_load", "accelerators", "shared_accelerator")

# Fields that map samples to batches and rounds when a job is resumed.
PLANNED = ("plan", "planned", "rounds", "interleaved", "extended", "looked_early")


def now() -> str:
    """Return the current time for records, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def begin(run: Run) -> None:
    """Write the record of a job that begins, or is continued or resumed."""
    before, part = run.before, run.job_context.part
    in_turns, more = part is not None, {}
    resumed = 0
    if before and run.continues:
        run.keep_previous([name for name in before.record if name not in NEW_IN_A_PART and not run.has(name)])
        run.record.warnings = before.record.get("warnings")
        run.log.stages += [Stage(**one) for one in before.record.get("stages") or ()]
        resumed = before.record.get("resumed") or 0
    elif before:  # keeps finished samples usable if the run stops before it has a new plan
        run.keep_previous(PLANNED)
        resumed = (before.record.get("resumed") or 0) + 1
        in_turns = in_turns and (before.record.get("interleaved") is not False or not before.record.get("rounds"))
        if before.record.get("extended") or _has_more_rounds(run.job, before.record):
            more["extended"] = True
    if run.job.runtime.rounds > 1 or part is not None:
        more["interleaved"] = in_turns
    if part is not None and part.looked_early:
        more["looked_early"] = True
    started = before.record.get("started") if before else None
    process = Process(**run.model_slot.process)
    run.note(status="partial", started=started or now(), resumed=resumed, process=process, **more)


def _has_more_rounds(job: Job, record: Mapping[str, Any]) -> bool:
    """Return whether a job measures more rounds than its record was to have."""
    return job.runtime.rounds > (with_added_keys(record.get("job") or {}).get("runtime") or {}).get("rounds", 1)


def pause(run: Run) -> None:
    """Write the record between two parts of the job."""
    run.note(status="partial", totals=count(run.samples, run.whole().get("planned")))


def batches_of(run: Run, inputs: Sequence[Input]) -> list[Batch]:
    """Return the batches of the rounds that are complete after this part of the job."""
    return in_rounds(profile_of(run.job).plan(run.job, inputs), run.job.runtime.repeat, run.rounds_end)


def keep_measurements(run: Run, inputs: Sequence[Input]) -> None:
    """Restore the measurements of earlier parts of a job that later ones do not replace."""
    before = run.before
    if before and before.answered and before.has_all(batches_of(run, inputs)):  # nothing was measured now
        run.keep_previous(MEASURED)
    elif before and _has_first_round(run, before):
        _keep_first_load(run)


def _has_first_round(run: Run, before: PreviousRun) -> bool:
    """Return whether the first round was complete before this part of the job."""
    recorded = next(iter(before.record.get("rounds") or ()), None)
    first = run.rounds[0] if run.rounds else None
    if recorded is None or first is None or first.seconds is None:
        return False
    return bool(first.started == recorded.get("started"))  # else it was measured in this part


def _keep_first_load(run: Run) -> None:
    """Keep the measurements of the first load; its memory peaks include those of later rounds on the same model."""
    assert run.before is not None
    run.keep_previous(OF_THE_FIRST_LOAD)
    earlier = run.before.record.get("memory")
    if earlier and run.record.memory and run.rounds[0].load == run.model_slot.loads.get(run.writer.directory):
        run.record.memory = Memory(**merged_peaks(run.record.memory.dump(), earlier))
    else:
        run.keep_previous(["memory"])


def is_whole(run: Run, before: PreviousRun, inputs: Sequence[Input]) -> bool:
    """Return whether a part of a job is already complete; if so, restore its samples and results."""
    if not before.has_all(batches_of(run, inputs)) or "effective" not in before.record:
        return False
    if run.is_last_part and not preflight.is_scored(
        before.record, run.job, run.writer.directory, run.job_context.baseline
    ):
        return False
    run.samples = run.writer.keep(before.samples, lambda sample: True, KEPT_FIELDS)
    run.keep_previous(name for name in before.record if name not in NEW_IN_A_RESUMED)
    if "metrics" not in before.record:
        run.record.metrics = summarize(run.samples, [])
    run.record.planned = len(inputs) * run.job.runtime.repeat * run.all_rounds
    return True
