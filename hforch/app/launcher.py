"""Sweeps under another of Hydra's launchers: what each of its processes does with a job, and what the parent sees.

A process keeps the worker with the loaded model from one job to the next, and jobs are handed out ordered by load key:
so each process loads a model once. The records are the same as under the basic launcher, and say that other jobs ran
at the same time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.hydra_files import redact_what_hydra_writes, refuse_credentials_in_path
from hforch.app.hydra_task import Invocation, job_logging, unresolved
from hforch.config.compose import Locator
from hforch.config.config_dirs import ConfigDirs
from hforch.config.credentials import FromEnv
from hforch.config.diagnose.overrides import quoted
from hforch.config.hydra_adapter.jobs import returned_by
from hforch.config.hydra_adapter.session import settings_of_job
from hforch.config.schema import Job
from hforch.errors import EXIT_FAILED, HforchError, message_of
from hforch.records.record_files import read_record
from hforch.records.sample_lines import Samples
from hforch.runs import run
from hforch.runs.job_context import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.sweep import PlannedJob, SweepView, read_sweep
from hforch.runs.watcher import NullWatcher
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.redaction import remembered
from hforch.utils.system_limits import limit_reached

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOOK_S = 0.5

redact_what_hydra_writes()  # a launcher's process imports this before Hydra writes there

# Of a launcher's process; Hydra's own launchers import this module, so it outlives a job.
_kept: list[tuple[WorkerPool, ModelSlot]] = []


def at_once(launcher: Mapping[str, Any], jobs: int) -> int | None:
    """How many jobs a launcher runs at the same time; None if it does not say."""
    number = launcher.get("n_jobs")
    if not isinstance(number, int) or number == 0:
        return None
    cores = len(os.sched_getaffinity(0))
    return max(1, min(jobs, number if number > 0 else cores + 1 + number))


def with_threads(job: Job, number: int | None) -> Job:
    """The job with its share of the processor's threads, if it does not ask for a number of its own."""
    if number is None or job.runtime.threads is not None:
        return job
    threads = max(1, len(os.sched_getaffinity(0)) // number)
    return job.model_copy(update={"runtime": job.runtime.model_copy(update={"threads": threads})})


@dataclass(frozen=True)
class InLauncher:
    """What a launcher's process calls for each job; the job itself it takes from sweep.json."""

    directory: Path
    config_dirs: ConfigDirs
    invocation: Invocation
    parallel: bool
    fingerprints: Mapping[str, str]

    def __call__(self, cfg: DictConfig) -> int:
        settings = settings_of_job()
        output = Path(settings.runtime.output_dir)
        name = str(output.relative_to(self.directory))
        jobs = read_sweep(self.directory)["jobs"]
        entry = next(one for one in jobs if one["directory"] == name)
        baseline = next((one["directory"] for one in jobs if one["number"] == entry["baseline"]), None)
        overrides = unresolved(settings.overrides.task)
        job_context = self.invocation.job_context(
            overrides,
            Locator(overrides, self.config_dirs),
            logging=job_logging(settings),
            parallel=self.parallel,
            fingerprint=self.fingerprints.get(entry["load_key"]),
            baseline=None if baseline is None else self.directory / baseline,
        )
        try:
            job, from_env = _job(cfg, entry)
            refuse_credentials_in_path(output, "hydra.sweep.subdir")
            job_context = replace(job_context, from_env=from_env, credentials=remembered())
            if not _kept:
                _kept.append((WorkerPool(), ModelSlot()))
            workers, model_slot = _kept[0]
            return run(job, output, job_context, NullWatcher(), workers, entry["load_key"], model_slot)
        except HforchError as error:
            return failed_before(output, job_context, error)


def _job(cfg: DictConfig, entry: Mapping[str, Any]) -> tuple[Job, FromEnv]:
    """The job as it was planned; one that sweep.json does not say in full is taken from what Hydra has composed."""
    if not (entry.get("from_env") or entry.get("redacted")):
        return Job.model_validate(entry["job"]), {}
    from hforch.config.compose import job_from_config

    job, from_env = job_from_config(cfg)
    threads = entry["job"]["runtime"]["threads"]
    if isinstance(threads, str):  # itself from the environment
        return job, from_env
    return job.model_copy(update={"runtime": job.runtime.model_copy(update={"threads": threads})}), from_env


def failed_before(directory: Path, job_context: JobContext, error: HforchError) -> int:
    """Make sure that a job that could not be run has a record that says why."""
    from hforch.records.fields import Error
    from hforch.records.record_writer import write_failure

    failure = Error(type=type(error).__name__, message=message_of(error))
    with suppress(OSError):
        write_failure(directory, failure, error.exit_code, begun=job_context.record())
    return error.exit_code


def launch(launcher: Any, left: Sequence[PlannedJob], directory: Path, view: SweepView) -> dict[int, int]:
    """Let a launcher run jobs, in this order.

    Returns:
        exit codes by job number.

    Raises:
        HforchError: one of its processes died, or could not be started.
    """
    overrides = [
        [*one.job_context.overrides, f"hydra.sweep.subdir={quoted(str(one.directory.relative_to(directory)))}"]
        for one in left
    ]
    if isinstance(settings := getattr(launcher, "joblib", None), dict):  # arguments of joblib.Parallel
        settings.update(initializer=exit_with_parent, initargs=(os.getpid(),))
    with followed(left, view):
        try:
            returned = launcher.launch(job_overrides=overrides, initial_job_idx=0)
        except (HforchError, OSError):
            raise
        except Exception as error:
            reason = (
                limit_reached(error)
                or f"the launcher failed: {next(iter(str(error).splitlines()), type(error).__name__)}"
            )
            raise HforchError(f"{reason}\n    hforch resume {directory} continues the sweep") from error
    return {one.number: _code(result) for one, result in zip(left, returned, strict=True)}


def _code(result: Any) -> int:
    value = returned_by(result)
    return value if isinstance(value, int) else EXIT_FAILED


@contextmanager
def followed(jobs: Sequence[PlannedJob], view: SweepView) -> Iterator[None]:
    """Tell of each job when its record says that it has ended."""
    over = threading.Event()
    waiting = {one.number: one for one in jobs}

    def look() -> None:
        for one in list(waiting.values()):
            with suppress(OSError, ValueError):
                record = read_record(one.directory)
                if record.get("status") != "partial" and (record.get("finished") or "") >= started:
                    del waiting[one.number]
                    watcher = view.job(one)
                    for sample in Samples(one.directory, record):
                        watcher.sample(sample)
                    watcher.finished(record, str(one.directory))
                    view.ended(one, int(record.get("exit_code") or 0))

    def watch() -> None:
        while not over.wait(LOOK_S):
            look()

    from datetime import UTC, datetime

    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    thread = threading.Thread(target=watch, name="hforch-follow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()
