"""Check that this machine can run the jobs, before anything is written and any weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from hforch.app.emulated_jobs import emulation_warnings
from hforch.backends.base import check
from hforch.config.affects import LOAD_KEY
from hforch.config.keys import affects
from hforch.errors import ConfigError, Mistake
from hforch.machine.accelerators import Accelerator
from hforch.runs.memory_check import devices_for, needs_devices, spread, too_large
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.crash import WorkerDied
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import Watcher
from hforch.scoring import preflight


def check_machine(jobs: Sequence[PlannedJob], workers: WorkerPool, watcher: Watcher | None = None) -> list[str]:
    """Check that this machine can run the jobs.

    Args:
        watcher: receives the import of libraries as a stage.

    Returns:
        warnings about jobs that may run out of memory, and about emulated ones.

    Raises:
        ConfigError: jobs cannot run; with the errors of all jobs.
    """
    several = len(jobs) > 1
    mistakes: list[Mistake] = []
    for one, found in _checked(jobs, workers, watcher):
        named = [
            replace(mistake, problem=f"{mistake.problem}{_with(one)}") if several else mistake for mistake in found
        ]
        mistakes += one.job_context.locate(named)
    warnings = emulation_warnings(jobs)
    devices = {} if mistakes else devices_of(jobs, workers)
    for one in jobs:
        mistakes += one.job_context.locate(list(preflight.mistakes(one.job, one.expected.vocabulary)))
        there = devices.get(one.job.backend.name, [])
        mistake = too_large(one.job, one.expected, there)
        label = f"{one.label}: " if several else ""
        if mistake and one.job.runtime.memory_check == "refuse":
            mistakes += one.job_context.locate([replace(mistake, problem=f"{label}{mistake.problem}")])
        elif told := mistake or spread(one.job, one.expected, there):
            warnings.append(f"warning: {label}{told.problem}")
    if mistakes:
        raise ConfigError(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.path))
    return warnings


def _checked(
    jobs: Sequence[PlannedJob], workers: WorkerPool, watcher: Watcher | None
) -> Iterator[tuple[PlannedJob, list[Mistake]]]:
    """Yield the first job of each load key with the errors its backend reports."""
    first: dict[str, PlannedJob] = {}
    for one in jobs:
        first.setdefault(one.key, one)
    by_backend: dict[str, list[PlannedJob]] = {}
    for one in first.values():
        by_backend.setdefault(one.job.backend.name, []).append(one)
    for backend, some in by_backend.items():
        if all(one.job.runtime.isolation == "inline" for one in some):
            yield from ((one, check(one.job)) for one in some)
            continue
        kept_for = some[0].key if len(first) == 1 else ""
        with suppress(WorkerDied):  # the job will report it
            found = workers.check(backend, [one.job for one in some], kept_for, watcher)
            yield from zip(some, found, strict=True)


def devices_of(jobs: Sequence[PlannedJob], workers: WorkerPool) -> dict[str, list[Accelerator]]:
    """Return the accelerators of the jobs by backend, with the memory that is free before any job runs."""
    found: dict[str, list[Accelerator]] = {}
    for backend in dict.fromkeys(one.job.backend.name for one in jobs):
        some = [one.job for one in jobs if one.job.backend.name == backend]
        if not needs_devices(some):
            continue
        if all(job.runtime.isolation == "inline" for job in some):
            found[backend] = devices_for(some)
            continue
        with suppress(WorkerDied):  # the job will report it
            found[backend] = workers.devices(backend, some)
    return found


def _with(one: PlannedJob) -> str:
    """Return the overrides of a job that affect its loaded model, such as ` (with device=npu)`."""
    axes = [part for part in one.label.split() if affects(part.lstrip("+~").partition("=")[0], LOAD_KEY)]
    return f" (with {' '.join(axes)})" if axes else ""
