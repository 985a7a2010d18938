"""A planned job: its directory, identity and expected memory use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
"""A function that runs a job with a configuration for `logging.config.dictConfig` and returns its exit code."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep, before it is run.

    Attributes:
        number: Hydra's job number.
        directory: the directory for its record.
        job: its configuration.
        job_context: the origin of its configuration.
        key: its load key.
        id: its job id.
        label: the overrides that differ from the other jobs.
        samples: the number of samples.
        expected: estimated memory and disk use, from file headers.
        same_as: the number of an equal earlier job, whose results are copied instead of running this one.
        baseline: the number of the job that it is scored against, its own if it is a baseline; None without scoring.
        begin: creates the job's directory, sets its environment, and calls a function with the job's logging
            configuration.
        env_set: the environment variables that `begin` sets, with unresolved interpolations.
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
    env_set: Mapping[str, str] = field(default_factory=dict)

    def record(self, sweep: Path | None = None) -> dict[str, Any]:
        """Return the job's entry in sweep.json.

        Args:
            sweep: the directory of the sweep; the job's directory is recorded relative to it.
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
        """Return whether its record, samples, scores and the distributions for other jobs are complete."""
        with suppress(OSError, ValueError, HforchError):
            record = known_record(self.directory)
            has_rounds = len(record.get("rounds") or [None]) >= self.job.runtime.rounds  # older records have one
            if record.get("status") == "ok" and record.get("job_id") == self.id and has_rounds:
                expected = (record.get("totals") or {}).get("samples")
                scored = is_scored(record, self.job, self.directory, self.job_context.baseline)
                samples = Samples(self.directory, record)
                return scored and expected == sum(1 for _ in samples) and not (samples.left_out or samples.is_torn)
        return False


def equal_ones(jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """Yield the jobs, with `same_as` set for each that is equal to an earlier one.

    Jobs are equal if all settings that affect outputs and measurements are, and their environment. Settings that a
    backend ignores do not count, such as ov_config on pytorch.
    """
    seen: dict[tuple[Any, ...], int] = {}
    for one in jobs:
        key = (*equivalence_key(one.job, one.id), *sorted(one.env_set.items()))
        earlier = seen.setdefault(key, one.number)
        yield one if earlier == one.number else replace(one, same_as=earlier)


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return a label for each job: its overrides that not all jobs share."""
    common = set(overrides[0]).intersection(*map(set, overrides)) if overrides else set()
    return [" ".join(one for one in own if one not in common) for own in overrides]
