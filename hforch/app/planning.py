"""Plan jobs before they run: determine directories, ids and inputs, and find errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from os.path import normpath
from pathlib import Path

from hforch.app.hydra_jobs import HydraJobs
from hforch.app.hydra_redaction import refuse_credentials_in_path
from hforch.app.hydra_task import Invocation
from hforch.app.launcher_parent import with_share_of_threads
from hforch.app.measuring import measure_mistakes
from hforch.app.resumed_jobs import begun_before, changed, with_fingerprints
from hforch.app.standard_input import read_stdin, reads_stdin, resumed, with_stored_inputs
from hforch.auto_prompt import Settled, is_open, settle, settle_all
from hforch.backends.load_key import load_key
from hforch.config import checks
from hforch.config.compose import Composed
from hforch.config.config_dirs import ConfigDirs
from hforch.config.locator import Locator
from hforch.config.schema import FileInputs, Job
from hforch.config.sweeps import Plan
from hforch.errors import ConfigError, Mistake
from hforch.input_files.read import is_stdin
from hforch.inputs import LoadedInputs, read_inputs
from hforch.models.estimate import Estimate
from hforch.prompts import check_inputs, column_note
from hforch.records.record_files import RECORD, known_record
from hforch.runs.identity import job_id
from hforch.runs.job_context import JobContext
from hforch.runs.memory_check import estimate_before, estimate_job
from hforch.runs.mode import RunMode
from hforch.runs.output_dirs import mistakes_if_used
from hforch.runs.planned_job import JobRunner, PlannedJob, equal_ones, labels
from hforch.scoring import preflight
from hforch.trackers.registry import mistakes as tracker_mistakes
from hforch.utils.in_fork import run_in_fork


@dataclass(frozen=True)
class InputSummary:
    """What a job's inputs determine.

    Attributes:
        settled: the job with its prompt settled.
        job: the same job; inputs read from standard input are stored in it.
        number: the number of inputs.
        job_id: its job id, which depends on the inputs.
        expected: an estimate of its memory.
        notes: what was detected from the inputs, for the user.
    """

    settled: Settled
    job: Job
    number: int
    job_id: str
    expected: Estimate
    notes: tuple[str, ...] = ()


def summarize_inputs(
    jobs: Sequence[Job], directories: Sequence[Path | None], closely: bool, stdin: bytes | None = None
) -> list[InputSummary | ConfigError]:
    """Settle the prompts of jobs, read their inputs, each file once, and check the variables of prompts and checks.

    Args:
        directories: the directories of the jobs; None for jobs that are not resumed.
        closely: estimate the memory of all jobs from their longest prompts, not only of jobs that might not fit.
        stdin: the contents of standard input, for jobs that read it.
    """
    estimated = estimate_job if closely else estimate_before

    @cache
    def inputs_of(kind: type, text: str) -> LoadedInputs:
        declared = kind.model_validate_json(text)  # type: ignore[attr-defined]
        of_stdin = isinstance(declared, FileInputs) and is_stdin(declared)
        return read_inputs(declared, stdin if of_stdin else None)

    def look(settled: Settled, directory: Path | None) -> InputSummary | ConfigError:
        try:
            if is_open(settled.job) and directory and (directory / RECORD).exists():
                settled = settle(settled.job, known_record(directory))
            job = settled.job
            loaded = inputs_of(type(job.inputs), job.inputs.model_dump_json())
            inputs = loaded.inputs
            check_inputs(job.prompt, inputs, job.inputs)
            checks.check_inputs(job.checks, inputs, job.inputs)
            if job.scoring.text:
                preflight.load_text(job.scoring.text)
        except ConfigError as error:
            return error
        notes = (*loaded.notes, *column_note(job.prompt, inputs, job.inputs))
        if reads_stdin(job):
            job = with_stored_inputs(job, loaded)
        return InputSummary(settled, job, len(inputs), job_id(job, inputs), estimated(job, inputs), notes)

    return [look(*one) for one in zip(settle_all(jobs), directories, strict=True)]


def job_context_of(composed: Composed, invocation: Invocation, config_dirs: ConfigDirs) -> JobContext:
    """Return the context of a composed job."""
    locate = Locator(composed.overrides, config_dirs)
    return invocation.job_context(
        composed.task_overrides,
        locate,
        from_env=composed.from_env,
        fingerprint=invocation.fingerprint,
        given_paths=config_dirs.given_paths,
    )


def planned_job(
    number: int,
    directory: Path,
    job: Job,
    job_context: JobContext,
    seen: InputSummary,
    label: str,
    begin: Callable[[JobRunner], int],
) -> PlannedJob:
    """Return a job with its ids and its memory estimate."""
    return PlannedJob(
        number=number,
        directory=directory,
        job=job,
        job_context=job_context,
        key=load_key(job),
        id=seen.job_id,
        label=label,
        samples=seen.number * job.runtime.repeat * job.runtime.rounds,
        expected=seen.expected,
        same_as=None,
        baseline=None,
        begin=begin,
    )


def plan_jobs(plan: Plan, hydra_jobs: HydraJobs, invocation: Invocation, config_dirs: ConfigDirs) -> list[PlannedJob]:
    """Return the jobs of a command line, with directories and ids, without writing anything.

    Raises:
        ConfigError: with all errors: invalid inputs, two jobs with the same directory, an earlier run in the directory,
            a resumed job that has changed, no baseline.
    """
    mode, launcher, number = hydra_jobs.mode, hydra_jobs.launcher, len(plan.jobs)
    if not mode.has_summary:
        refuse_baseline(plan.jobs[0])
    together = hydra_jobs.batch_size(number)
    own = [with_share_of_threads(one.job, launcher, hydra_jobs.launcher_settings, together) for one in plan.jobs]
    inline = any(job.runtime.isolation == "inline" for job in own)
    refuse_credentials_in_path(hydra_jobs.directory, mode.directory)
    closely = invocation.dry_run
    before = begun_before(mode, hydra_jobs.directory) if invocation.resume else {}
    if invocation.resume:
        numbered = zip(plan.numbers, own, strict=True)
        own = [resumed(job, before.get(number)) if reads_stdin(job) else job for number, job in numbered]
    stdin = read_stdin(own)
    directories = [hydra_jobs.directory_of(*one) for one in zip(plan.jobs, plan.numbers, strict=True)]
    for directory in directories:
        refuse_credentials_in_path(directory, mode.job_directory)
    begun = directories if invocation.resume else [None] * len(own)

    def look() -> list[InputSummary | ConfigError]:
        return summarize_inputs(own, begun, closely, stdin)

    seen = look() if inline else run_in_fork(look)
    tell_notes(seen)
    jobs, mistakes = [], []
    all_of_them = zip(plan.numbers, plan.jobs, own, directories, _labels(plan), seen, strict=True)
    for number, composed, job, directory, label, inputs in all_of_them:
        job_context = job_context_of(composed, invocation, config_dirs)
        mistakes += job_context.locate(tracker_mistakes(job.tracker))
        if isinstance(inputs, ConfigError):
            mistakes += job_context.locate(inputs.mistakes)
            continue
        begin = hydra_jobs.begin(composed, number)
        if reads_stdin(job):
            job_context = without_source_of_inputs(job_context)
        settled = inputs.settled
        job_context = replace(job_context, auto_prompt=settled.option, remarks=tuple(settled.remarks))
        made = planned_job(number, directory, inputs.job, job_context, inputs, label, begin)
        jobs.append(replace(made, env_set=composed.env_set))
    locators = [job_context_of(composed, invocation, config_dirs).locate for composed in plan.jobs]
    mistakes += measure_mistakes(own, locators, mode, launcher)
    mistakes += shared_directories(jobs, mode.job_directory)
    if mode.has_summary:
        mistakes += outside(jobs, hydra_jobs.directory, mode.job_directory)
    if invocation.resume:
        mistakes += changed(jobs, before, invocation.skip_damaged)
        jobs = list(with_fingerprints(jobs))
    elif not invocation.force:
        mistakes += earlier_runs(hydra_jobs.directory, jobs, mode)
    if mistakes:
        raise ConfigError(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.path))
    found = list(equal_ones(jobs))
    if all(one.job.scoring.baseline is None for one in found):
        return found
    from hforch.app.scoring_baselines import with_baselines

    return with_baselines(found)


def tell_notes(seen: Sequence[InputSummary | ConfigError]) -> None:
    """Print what was detected from the inputs, once per command."""
    for note in dict.fromkeys(note for one in seen if isinstance(one, InputSummary) for note in one.notes):
        print(f"note: {note}", file=sys.stderr)


def without_source_of_inputs(job_context: JobContext) -> JobContext:
    """Return the context of a job whose inputs are stored in it, without the interpolations of their source."""
    return replace(job_context, from_env={at: text for at, text in job_context.from_env.items() if at[0] != "inputs"})


def _labels(plan: Plan) -> list[str]:
    if not plan.multirun:
        return [" ".join(plan.jobs[0].overrides) or "the defaults"]
    named = labels([list(one.task_overrides) for one in plan.jobs])
    return [label or f"job {number}" for number, label in zip(plan.numbers, named, strict=True)]


def refuse_baseline(composed: Composed) -> None:
    """Raise ConfigError if a single run sets scoring.baseline."""
    if composed.job.scoring.baseline is not None:
        hint = "run a sweep (-m), or use scoring=text"
        problem = "a single run has no baseline to compare with"
        raise ConfigError([Mistake("scoring.baseline", problem, composed.where("scoring.baseline"), hint)])


def earlier_runs(directory: Path, jobs: Sequence[PlannedJob], mode: RunMode) -> list[Mistake]:
    """Return an error if the directories of the jobs contain an earlier run."""
    own = mistakes_if_used(directory, mode.directory)
    if own or not mode.has_summary:
        return own
    return [mistake for one in jobs for mistake in mistakes_if_used(one.directory, mode.job_directory)][:1]


def outside(jobs: Sequence[PlannedJob], directory: Path, key: str) -> list[Mistake]:
    """Return an error if the directory of a job is not in that of the sweep, where all commands look for it.

    Args:
        key: the config key that sets the directories of jobs.
    """
    for one in jobs:
        if not Path(normpath(one.directory)).is_relative_to(normpath(directory)):
            problem = f"the directory of job {one.number} would be {one.directory}, outside that of the sweep"
            return [Mistake(key, problem, None, "use a relative path without ..")]
    return []


def shared_directories(jobs: Sequence[PlannedJob], key: str) -> list[Mistake]:
    """Return an error if two jobs would share a directory.

    Args:
        key: the config key that sets the directory.
    """
    first: dict[Path, int] = {}
    hint = f"use the default {key}, or include ${{hydra.job.num}} in it"
    return [
        Mistake(key, f"jobs {first[one.directory]} and {one.number} would share a directory", None, hint)
        for one in jobs
        if first.setdefault(one.directory, one.number) != one.number
    ][:1]
