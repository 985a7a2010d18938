"""One Job to one record: `run` is the door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hforch.runs.job_context import JobContext

if TYPE_CHECKING:  # so that a worker can be started before anything else is imported
    from hforch.config.schema import Job
    from hforch.runs.model_slot import ModelSlot
    from hforch.runs.processes.worker_pool import WorkerPool
    from hforch.runs.watcher import Watcher

__all__ = ["JobContext", "run"]


def run(
    job: Job,
    directory: Path,
    job_context: JobContext,
    watcher: Watcher,
    workers: WorkerPool | None = None,
    key: str = "",
    model_slot: ModelSlot | None = None,
) -> int:
    """Run a job in a process of its own, or in this one with `runtime.isolation=inline`.

    Args:
        directory: where its record goes.
        job_context: what the job was made from.
        watcher: whom to tell what happens.
        workers: processes that may hold its model already, and are kept for the jobs after it.
        key: its load key, if there may be more jobs with the same one.
        model_slot: what this process holds for jobs that run in it.

    Returns:
        the exit code.

    Raises:
        ConfigError: this machine cannot run the configuration.
    """
    if job.runtime.isolation == "inline":
        from hforch.runs.runner import run_job

        return run_job(job, directory, job_context, watcher, model_slot)
    if workers is not None:
        return workers.run(job, directory, job_context, watcher, key)
    from hforch.runs.processes.worker_pool import WorkerPool

    with WorkerPool() as own:
        return own.run(job, directory, job_context, watcher)
