"""What is known of jobs before they are run, of a single run as of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hforch.app.hydra_task import Invocation
from hforch.config import checks
from hforch.config.compose import Composed, Locator
from hforch.config.config_dirs import ConfigDirs
from hforch.config.schema import Job
from hforch.errors import ConfigError
from hforch.inputs import Input, load_inputs
from hforch.models.estimate import Estimate
from hforch.prompts import check_inputs
from hforch.records.record_files import known_record
from hforch.runs.identity import job_id, load_key
from hforch.runs.job_context import JobContext
from hforch.runs.memory_check import estimate_job
from hforch.runs.resuming import changes
from hforch.runs.sweep import PlannedJob, RunJob
from hforch.scoring import preflight


@dataclass(frozen=True)
class InputSummary:
    """What has to be known of a job's inputs before it is run: how many they are, and what they make of the job."""

    number: int
    job_id: str
    expected: Estimate


def summarize_inputs(jobs: Sequence[Job]) -> list[InputSummary | ConfigError]:
    """Read the inputs of jobs, each file once, and make sure that they have what prompts and checks name."""

    @cache
    def inputs_of(kind: type, text: str) -> list[Input]:
        return load_inputs(kind.model_validate_json(text))  # type: ignore[attr-defined]

    def look(job: Job) -> InputSummary | ConfigError:
        try:
            inputs = inputs_of(type(job.inputs), job.inputs.model_dump_json())
            check_inputs(job.prompt, inputs, job.inputs)
            checks.check_inputs(job.checks, inputs, job.inputs)
            if job.scoring.text:
                preflight.load_text(job.scoring.text)
        except ConfigError as error:
            return error
        return InputSummary(len(inputs), job_id(job, inputs), estimate_job(job, inputs))

    return [look(job) for job in jobs]


def job_context_of(composed: Composed, invocation: Invocation, config_dirs: ConfigDirs) -> JobContext:
    """Return what a composed job was made from."""
    locate = Locator(composed.overrides, config_dirs)
    return invocation.job_context(composed.task_overrides, locate, from_env=composed.from_env)


def planned_job(
    number: int,
    directory: Path,
    job: Job,
    job_context: JobContext,
    seen: InputSummary,
    label: str,
    begin: Callable[[RunJob], int],
) -> PlannedJob:
    """Return a job with its identity and what it will take."""
    return PlannedJob(
        number=number,
        directory=directory,
        job=job,
        job_context=job_context,
        key=load_key(job),
        id=seen.job_id,
        label=label,
        samples=seen.number * job.runtime.repeat,
        expected=seen.expected,
        same_as=None,
        baseline=None,
        begin=begin,
    )


def single_run(composed: Composed, directory: Path, invocation: Invocation, config_dirs: ConfigDirs) -> PlannedJob:
    """Plan a single run: it is a sweep's one job, with a directory of its own.

    Raises:
        ConfigError: its inputs cannot be used.
    """
    job_context = job_context_of(composed, invocation, config_dirs)
    (seen,) = summarize_inputs([composed.job])
    if isinstance(seen, ConfigError):
        raise ConfigError(job_context.locate(seen.mistakes)) from seen
    label = " ".join(composed.overrides) or "the defaults"
    return planned_job(0, directory, composed.job, job_context, seen, label, lambda work: work(None))


def fingerprint_of_resumed(planned: PlannedJob) -> str | None:
    """Return the fingerprint of the weights of a run that is resumed, if it had got so far.

    Raises:
        ConfigError: the job is not what it was.
    """
    before = known_record(planned.directory)
    if found := planned.job_context.locate(changes(before, planned.record())):
        raise ConfigError(found)
    fingerprint: str | None = (before.get("model") or {}).get("fingerprint")
    return fingerprint
