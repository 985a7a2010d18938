"""Plan, check, run, compare and report the jobs of a command line, for single runs and sweeps.

Hydra's launchers run jobs in the order of their numbers. hforch replaces the basic launcher, and runs jobs that share a
model consecutively. With another launcher, each of its processes runs its jobs; see `app/launcher_child.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hforch.app.emulated_jobs import without_emulated
from hforch.app.finish import QUIET, compare_all, print_unmet, worst_exit_code, write_report
from hforch.app.hydra_jobs import HydraJobs
from hforch.app.hydra_task import Invocation
from hforch.app.launcher_child import LauncherTask
from hforch.app.launcher_parent import launch
from hforch.app.machine_check import check_machine
from hforch.app.measuring import why_decided
from hforch.app.planning import earlier_runs, plan_jobs
from hforch.app.rounds import kept_loaded, round_notes
from hforch.config.config_dirs import ConfigDirs
from hforch.config.hydra_adapter.loader import parsing_once
from hforch.config.sweeps import Plan
from hforch.errors import EXIT_INTERRUPTED, EXIT_OK, ConfigError
from hforch.records.directory_lock import locked
from hforch.report.display import open_watcher
from hforch.report.sweep_view import SingleRunView, open_view
from hforch.runs.mode import RunMode
from hforch.runs.output_dirs import clear, refuse_links
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.side_by_side import KeptLoaded
from hforch.runs.sweep import OUTSIDE_A_JOB, Sweep
from hforch.runs.sweep_view import SweepView
from hforch.runs.tracking import tracked_view
from hforch.utils.std_streams import going_on

Listener = Callable[[SweepView, RunMode, Path], SweepView]
"""Wraps the view of a run or sweep to receive its events; also gets the mode and the absolute directory."""


def run_jobs(
    plan: Plan,
    hydra_jobs: HydraJobs,
    config_dirs: ConfigDirs,
    invocation: Invocation,
    report: bool,
    listener: Listener | None = None,
) -> int:
    """Plan, check and run jobs, and write the comparison and the report.

    Args:
        plan: the composed jobs.
        hydra_jobs: Hydra's view of them.
        report: whether to write report.html.
        listener: receives the events of the jobs, in addition to the display.

    Returns:
        the exit code.

    Raises:
        ConfigError: jobs have errors (all are included); nothing was run or written.
        KeyboardInterrupt: the user pressed Ctrl-C; an argument means that the message was already printed.
    """
    plan, emulated = without_emulated(plan, hydra_jobs.launcher)
    mode, display = hydra_jobs.mode, plan.jobs[0].job.runtime.display
    going = f"the reader of stdout has disconnected; the {mode.name} continues (Ctrl-C stops it)"
    with WorkerPool() as workers, going_on(going), hydra_jobs.environment():
        for backend in dict.fromkeys(one.job.backend.name for one in plan.jobs):
            if any(one.job.runtime.isolation == "process" for one in plan.jobs):
                workers.start(backend)
        with parsing_once():
            jobs = plan_jobs(plan, hydra_jobs, invocation, config_dirs)
        if invocation.dry_run:
            from hforch.report.dry_run import show_plan

            warnings = [*emulated, *check_machine(jobs, workers)]
            notes = round_notes(jobs, kept_loaded(jobs, hydra_jobs.launcher, workers), mode, hydra_jobs.launcher)
            show_plan(jobs, plan.left_out, invocation.resume, [*warnings, *notes])
            return EXIT_OK
        if mode.has_summary:
            warnings, view = check_machine(jobs, workers), open_view(display, hydra_jobs.directory)
            for note in (*(f"excluded by the recipe: {label}" for label in plan.left_out), *emulated, *warnings):
                view.note(note)
        else:
            watcher = open_watcher(display)
            check_machine(jobs, workers, watcher)  # the job prints its warnings again
            view = SingleRunView(watcher)
        kept = kept_loaded(jobs, hydra_jobs.launcher, workers)
        for note in round_notes(jobs, kept, mode, hydra_jobs.launcher):
            view.note(note)
        view = tracked_view(view, hydra_jobs.directory.absolute(), [one.job for one in jobs])
        if listener is not None:
            view = listener(view, mode, hydra_jobs.directory.absolute())
        codes = _run(jobs, hydra_jobs, workers, view, config_dirs, invocation, kept)
    if mode.has_summary:
        compare_all(hydra_jobs.directory, None if display in QUIET else sys.stdout)
    print_unmet(jobs, codes)
    code = write_report(report, hydra_jobs.directory, display, worst_exit_code(codes.values()))
    if code == EXIT_INTERRUPTED:
        was_shown = mode.has_summary or OUTSIDE_A_JOB not in codes
        raise KeyboardInterrupt(*(["shown"] if was_shown else []))
    return code


def _run(
    jobs: Sequence[PlannedJob],
    hydra_jobs: HydraJobs,
    workers: WorkerPool,
    view: SweepView,
    config_dirs: ConfigDirs,
    invocation: Invocation,
    kept: KeptLoaded | None,
) -> Mapping[int, int]:
    """Run jobs with the directory locked; return their exit codes by number."""
    directory, mode = hydra_jobs.directory, hydra_jobs.mode
    with locked(directory):
        if not invocation.resume:
            # Check again: another process may have written here before the lock was acquired.
            if not invocation.force and (mistakes := earlier_runs(directory, jobs, mode)):
                raise ConfigError(mistakes)
            folders = [one.directory for one in jobs if one.directory != directory.absolute()]
            refuse_links(folders)
            for folder in (directory, *folders):
                clear(folder)
        about = {**invocation.record(), "launcher": hydra_jobs.launcher_name}
        measure = jobs[0].job.runtime.measure
        decided = None if measure.until is None else lambda folder: why_decided(folder, measure)
        sweep = Sweep(directory, jobs, about, mode, kept_loaded=kept, decided=decided)
        if invocation.resume:
            sweep.restore()
        with hydra_jobs.callbacks():
            if hydra_jobs.launcher.run_by_hforch:
                return sweep.run(workers, view, invocation.resume)
            return sweep.run_by(
                lambda left: _elsewhere(left, hydra_jobs, view, config_dirs, invocation), view, invocation.resume
            )


def _elsewhere(
    left: Sequence[PlannedJob], hydra_jobs: HydraJobs, view: SweepView, config_dirs: ConfigDirs, invocation: Invocation
) -> dict[int, int]:
    """Run jobs with the configured launcher plugin; return their exit codes by number."""
    fingerprints = {one.key: one.job_context.fingerprint for one in left if one.job_context.fingerprint}
    directory, adapter = hydra_jobs.directory, hydra_jobs.launcher
    size = hydra_jobs.batch_size(len(left))
    beside = size > 1 and adapter.concurrent_jobs(hydra_jobs.launcher_settings, size) != 1
    task = LauncherTask(directory, config_dirs, invocation, beside, adapter.keeps_processes, fingerprints)
    launcher = hydra_jobs.make_launcher(task)
    wanted = {one.baseline for one in left}
    first = [one for one in left if one.number in wanted]  # run baselines before the jobs that are scored against them
    others = [one for one in left if one.number not in wanted]
    codes: dict[int, int] = {}
    for some in (first, others):
        for start in range(0, len(some), size):
            codes |= launch(launcher, some[start : start + size], directory, view, adapter)
    return codes
