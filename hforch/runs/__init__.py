"""One Job to one record: `run` is the door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hforch.runs.given import Given

if TYPE_CHECKING:  # so that a worker can be started before anything else is imported
    from hforch.config.schema import Job
    from hforch.runs.held import Held
    from hforch.runs.watch import Watcher
    from hforch.runs.workers import Workers

__all__ = ["Given", "run"]


def run(
    job: Job,
    directory: Path,
    given: Given,
    watcher: Watcher,
    workers: Workers | None = None,
    key: str = "",
    held: Held | None = None,
) -> int:
    """Run a job in a process of its own, or in this one with `runtime.isolation=inline`.

    Args:
        directory: where its record goes.
        given: what the job was made from.
        watcher: whom to tell what happens.
        workers: processes that may hold its model already, and are kept for the jobs after it.
        key: its load key, if there may be more jobs with the same one.
        held: what this process holds for jobs that run in it.

    Returns:
        the exit code.

    Raises:
        ConfigError: this machine cannot run the configuration.
    """
    if job.runtime.isolation == "inline":
        from hforch.runs.runner import run_job

        return run_job(job, directory, given, watcher, held)
    if workers is not None:
        return workers.run(job, directory, given, watcher, key)
    from hforch.runs.workers import Workers

    with Workers() as own:
        return own.run(job, directory, given, watcher)
