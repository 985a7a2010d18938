"""A job before it is run: where its record goes, what makes it what it is, and what it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hforch.config.schema import Job
from hforch.errors import HforchError
from hforch.models.estimate import Estimate
from hforch.records.record_files import known_record
from hforch.records.sample_lines import Samples
from hforch.records.sweep import SweepJob
from hforch.runs.identity import equivalence_key
from hforch.runs.job_context import JobContext
from hforch.scoring.preflight import is_scored
from hforch.utils.redaction import redacted, redacted_override

JobRunner = Callable[[Mapping[str, Any] | None], int]
"""What a job does, given its logging for `logging.config.dictConfig`; returns its exit code."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep, before it is run.

    Attributes:
        number: Hydra's.
        directory: where its record goes.
        key: its load key.
        id: its job id.
        label: the overrides in which it differs from the other jobs.
        samples: how many it will have.
        expected: what it will take, as far as that can be told without its weights.
        same_as: the number of an earlier job with the same outputs, which is run in its stead.
        baseline: the number of the job whose answers it scores, its own if it is one; None if nothing is scored.
        begin: does work as this job: with its directory made, and its environment set; hands it the job's logging.
    """

    number: int
    directory: Path
    job: Job
    job_context: JobContext
    key: str
    id: str
    label: str
    samples: int
    expected: Estimate
    same_as: int | None
    baseline: int | None
    begin: Callable[[JobRunner], int]

    def record(self, sweep: Path | None = None) -> dict[str, Any]:
        """Return what sweep.json says of it.

        Args:
            sweep: the directory of the sweep, from which that of the job is told.
        """
        planned = SweepJob(
            **self.job_context.configuration(self.job).dump(),
            number=self.number,
            directory=str(self.directory.relative_to(sweep) if sweep else self.directory),
            label=redacted(self.label),
            samples=self.samples,
            same_as=self.same_as,
            baseline=self.baseline,
            load_key=self.key,
            job_id=self.id,
            overrides=[redacted_override(one) for one in self.job_context.overrides],
        )
        return planned.dump()

    def is_done(self) -> bool:
        """Whether its record is there, and lacks nothing; nor do its scores, nor the distributions that others need."""
        with suppress(OSError, ValueError, HforchError):
            record = known_record(self.directory)
            if record.get("status") == "ok" and record.get("job_id") == self.id:
                told = (record.get("totals") or {}).get("samples")
                scored = is_scored(record, self.job, self.directory, self.job_context.baseline)
                samples = Samples(self.directory, record)
                return scored and told == sum(1 for _ in samples) and not (samples.left_out or samples.is_torn)
        return False


def equal_ones(jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """The jobs, each that would only repeat an earlier one marked as such.

    Jobs are equal when all that decides outputs and measurements is: what a backend ignores, such as ov_config on
    pytorch, makes no difference.
    """
    seen: dict[tuple[str, str], int] = {}
    for one in jobs:
        earlier = seen.setdefault(equivalence_key(one.job, one.id), one.number)
        yield one if earlier == one.number else replace(one, same_as=earlier)


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """For each job the overrides that not all jobs have."""
    common = set(overrides[0]).intersection(*map(set, overrides)) if overrides else set()
    return [" ".join(one for one in own if one not in common) for own in overrides]
