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
from hforch.runs.energy import Energy
from hforch.runs.job_context import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.resuming import PreviousRun
from hforch.runs.watcher import StageLog, Watcher

# Fields of a sample that stay in memory, for totals and metrics; all others are only on disk.
KEPT_FIELDS = ("error", "repeat", "finish_reason", "prompt_tokens", "output_tokens", "timings", "absent", "checks")


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
    kept: int = 0  # number of samples from before the run was resumed
    energy: Energy | None = None

    def __post_init__(self) -> None:
        self.log = StageLog(self.watcher)
        self.record = self.job_context.record(self.job)

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

    def whole(self) -> dict[str, Any]:
        """Return the complete record, as written to disk."""
        return {**self.stored, **self.record.dump()}


def warn(run: Run, remarks: Sequence[Mistake]) -> None:
    """Record and show warnings."""
    warnings = [str(remark) for remark in run.job_context.locate(remarks)]
    run.note(warnings=[*(run.record.warnings or ()), *warnings])
    for warning in warnings:
        run.watcher.note(f"warning: {warning}")
