"""Run jobs and write their records; `run` is the entry point."""

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
    """Run a job in a worker process, or in this process if `runtime.isolation=inline`.

    Args:
        job: the job.
        directory: the directory for its record.
        job_context: the origin of the job's configuration.
        watcher: receives progress and results.
        workers: processes that may already hold the model and stay alive for later jobs.
        key: the job's load key, if other jobs may have the same one.
        model_slot: the model held by this process, for inline jobs.

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
