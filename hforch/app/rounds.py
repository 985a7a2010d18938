"""Decide how the rounds of a sweep are measured, and describe it to the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hforch.app.machine_check import devices_of
from hforch.launchers.base import Launcher
from hforch.runs.mode import RunMode
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.side_by_side import KeptLoaded, side_by_side
from hforch.runs.turns import takes_turns


def kept_loaded(jobs: Sequence[PlannedJob], launcher: Launcher, workers: WorkerPool) -> KeptLoaded | None:
    """Decide whether the models of jobs that take turns stay loaded side by side; None if no jobs take turns."""
    own = [one for one in jobs if one.same_as is None]
    if not launcher.run_by_hforch or not takes_turns(own):
        return None
    return side_by_side(own, devices_of(own, workers))


def round_notes(
    jobs: Sequence[PlannedJob], kept: KeptLoaded | None, mode: RunMode, launcher: Launcher
) -> Iterator[str]:
    """Yield how the rounds of jobs are measured, for the user.

    Args:
        kept: whether models stay loaded side by side; None if no jobs take turns.
    """
    most = max(one.job.runtime.rounds for one in jobs)
    if kept is not None:
        number = f"at least {most}" if jobs[0].job.runtime.until_decided else str(most)
        models = "models stay loaded" if kept.value else "each model is loaded in each round"
        yield f"rounds: {number}, jobs take turns; {models}: {kept.because}"
    elif most > 1 and not launcher.run_by_hforch:
        yield f"rounds: {most}, one after another in each job: with this launcher, jobs do not take turns"
    elif most > 1 and not mode.has_summary:
        yield f"rounds: {most}, one after another: in a single run, there are no other jobs to take turns with"
