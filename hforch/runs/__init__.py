"""One Job to one record: `run` is the door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hforch.runs.given import Given

if TYPE_CHECKING:  # so that a worker can be started before anything else is imported
    from hforch.config.schema import Job
    from hforch.runs.watch import Watcher

__all__ = ["Given", "run"]


def run(job: Job, directory: Path, given: Given, watcher: Watcher) -> int:
    """Run a job in a process of its own, or in this one with `runtime.isolation=inline`.

    Args:
        directory: where its record goes.
        given: what the job was made from.
        watcher: whom to tell what happens.

    Returns:
        the exit code.

    Raises:
        ConfigError: this machine cannot run the configuration.
    """
    if job.runtime.isolation == "inline":
        from hforch.runs.runner import run_job

        return run_job(job, directory, given, watcher)
    from hforch.runs.workers import Workers

    with Workers() as workers:
        return workers.run(job, directory, given, watcher)
