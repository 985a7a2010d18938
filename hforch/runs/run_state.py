"""The state of a run in progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hforch.config.schema import Job
from hforch.errors import Mistake
from hforch.records.machine import Effective
from hforch.records.record import Record
from hforch.records.record_writer import RecordWriter
from hforch.records.round_count import rounds_of
from hforch.records.rounds import Round
from hforch.runs.energy import Energy
from hforch.runs.job_context import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.resuming import PreviousRun
from hforch.runs.watcher import StageLog, Watcher

# Fields of a sample that stay in memory, for totals and metrics; all others are only on disk.
KEPT_FIELDS = (
    "input_id",
    "error",
    "repeat",
    "finish_reason",
    "prompt_tokens",
    "output_tokens",
    "timings",
    "absent",
    "checks",
)


def by_number(entry: Round) -> int:
    return entry.round


@dataclass
class Run:
    """The state of a run in progress, including its record so far."""

    job: Job
    job_context: JobContext
    watcher: Watcher
    writer: RecordWriter
    model_slot: ModelSlot = field(default_factory=ModelSlot)
    before: PreviousRun | None = None
    log: StageLog = field(init=False)
    record: Record = field(init=False)
    stored: dict[str, Any] = field(default_factory=dict)  # parts of the record from before the run was resumed
    effective: Effective = field(default_factory=Effective)
    samples: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)  # in the order of their indices
    kept: int = 0  # number of samples from before the run was resumed or continued
    energy: Energy | None = None

    def __post_init__(self) -> None:
        self.log = StageLog(self.watcher)
        self.record = self.job_context.record(self.job)

    @property
    def continues(self) -> bool:
        """Whether the same command has run an earlier part of the job."""
        return self.before is not None and self.job_context.continues

    @property
    def rounds_end(self) -> int:
        """The number of rounds that are complete after this part of the job."""
        part = self.job_context.part
        return self.all_rounds if part is None else part.rounds_end

    @property
    def all_rounds(self) -> int:
        """The number of rounds, as far as it is known."""
        recorded = rounds_of(self.before.record) if self.before else 1
        part = self.job_context.part
        return max(self.job.runtime.rounds, recorded, part.rounds_end if part else 1)

    @property
    def is_last_part(self) -> bool:
        return self.job_context.part is None or self.job_context.part.is_last

    def set_round(self, entry: Round) -> None:
        """Set the entry of a round, and write the record."""
        self.rounds = sorted([*(one for one in self.rounds if one.round != entry.round), entry], key=by_number)
        self.note(rounds=self.rounds)

    def note(self, **parts: Any) -> None:
        """Set fields of the record and write it."""
        for name, value in parts.items():
            setattr(self.record, name, value)
        self.record.stages = self.log.stages
        self.writer.write(self.record, self.stored)

    def keep_previous(self, names: Iterable[str]) -> None:
        """Restore fields of the record from before the run was resumed, replacing any new values."""
        assert self.before is not None
        for name in names:
            if name in self.before.record:
                self.stored[name] = self.before.record[name]
                self.record.unset(name)

    def has(self, name: str) -> bool:
        """Return whether a field of the new record is set."""
        return name in self.record.model_fields_set

    def whole(self) -> dict[str, Any]:
        """Return the complete record, as written to disk."""
        return {**self.stored, **self.record.dump()}


def warn(run: Run, remarks: Sequence[Mistake]) -> None:
    """Record and show warnings, except those that an earlier part of the job has shown."""
    known = set((run.record.warnings or ()) if run.continues else ())
    warnings = [text for remark in run.job_context.locate(remarks) if (text := str(remark)) not in known]
    run.note(warnings=[*(run.record.warnings or ()), *warnings])
    for warning in warnings:
        run.watcher.note(f"warning: {warning}")
