"""Run the jobs of a sweep with a launcher plugin and report their progress; its processes run `launcher_child.py`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hforch.config.hydra_adapter.jobs import returned_by
from hforch.config.hydra_adapter.parsing import quoted
from hforch.config.schema import Job
from hforch.errors import EXIT_FAILED, HforchError
from hforch.launchers.base import Launcher
from hforch.records.record_files import read_record
from hforch.records.sample_lines import Samples
from hforch.runs.planned_job import PlannedJob
from hforch.runs.sweep_view import SweepView
from hforch.utils.system_limits import limit_reached

LOOK_S = 0.5


def with_share_of_threads(job: Job, launcher: Launcher, settings: Mapping[str, Any], jobs: int) -> Job:
    """Return the job with its share of the CPU threads; unchanged if it sets runtime.threads.

    Args:
        settings: the settings of the launcher.
        jobs: the number of jobs that the launcher runs.
    """
    number = launcher.concurrent_jobs(settings, jobs) if launcher.divides_threads else None
    if number is None or job.runtime.threads is not None:
        return job
    threads = max(1, len(os.sched_getaffinity(0)) // number)
    return job.model_copy(update={"runtime": job.runtime.model_copy(update={"threads": threads})})


def launch(
    launcher: Any, left: Sequence[PlannedJob], directory: Path, view: SweepView, adapter: Launcher
) -> dict[int, int]:
    """Run jobs with a launcher, in the order of `left`.

    Args:
        launcher: Hydra's launcher object.
        directory: the directory of the sweep.
        adapter: hforch's adapter for this launcher.

    Returns:
        exit codes by job number.

    Raises:
        HforchError: a process of the launcher died or could not be started.
    """
    overrides = [
        [*one.job_context.overrides, f"hydra.sweep.subdir={quoted(str(one.directory.relative_to(directory)))}"]
        for one in left
    ]
    adapter.configure(launcher)
    with followed(left, view, while_running=adapter.shares_files):
        try:
            returned = launcher.launch(job_overrides=overrides, initial_job_idx=0)
        except (HforchError, OSError):
            raise
        except Exception as error:
            reason = (
                limit_reached(error)
                or f"the launcher failed: {next(iter(str(error).splitlines()), type(error).__name__)}"
            )
            raise HforchError(f"{reason}\n    to continue the sweep: hforch resume {directory}") from error
    return {one.number: _code(result) for one, result in zip(left, returned, strict=True)}


def _code(result: Any) -> int:
    value = returned_by(result)
    return value if isinstance(value, int) else EXIT_FAILED


@contextmanager
def followed(jobs: Sequence[PlannedJob], view: SweepView, while_running: bool = True) -> Iterator[None]:
    """Report each job to the view once its record shows that it has ended.

    Args:
        while_running: report jobs while others still run, not only at the end of the block.
    """
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

    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    thread = threading.Thread(target=watch, name="hforch-follow", daemon=True)
    if while_running:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if while_running:
            thread.join()
        look()
