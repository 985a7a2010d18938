"""One Job to one record: `run` is the door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hforch.config.schema import Job
from hforch.runs.watch import Watcher


def run(job: Job, directory: Path, overrides: Sequence[str], watcher: Watcher, recipe: str | None = None) -> int:
    """Run a job in a process of its own, or in this one with `runtime.isolation=inline`.

    Args:
        directory: where its record goes.
        overrides: as given, for the record.
        watcher: whom to tell what happens.
        recipe: the recipe file it came from, for the record.

    Returns:
        the exit code.

    Raises:
        ConfigError: this machine cannot run the configuration.
    """
    if job.runtime.isolation == "inline":
        from hforch.runs.runner import run_job

        return run_job(job, directory, overrides, watcher, recipe)
    from hforch.runs.worker import run_apart

    return run_apart(job, directory, overrides, watcher, recipe)
