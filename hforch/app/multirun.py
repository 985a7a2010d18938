"""A sweep, between Hydra and the runs: jobs are planned and checked, and run with Hydra's files, numbers, callbacks.

Hydra's own launchers run jobs in the order of their numbers. Under its basic one, hforch runs them itself, those that
share a model after each other. Under another launcher each of its processes does so with the jobs it gets; see
`launcher.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.hydra_files import refuse_credentials_in_path, save_config
from hforch.app.hydra_task import Invocation, job_logging
from hforch.app.launcher import InLauncher
from hforch.app.launching import launch, with_share_of_threads
from hforch.app.planning import job_context_of, planned_job, summarize_inputs
from hforch.config.affects import LOAD_KEY
from hforch.config.compose import Composed
from hforch.config.config_dirs import ConfigDirs
from hforch.config.hydra_adapter.jobs import as_job_of_sweep, make_launcher, set_up_logging
from hforch.config.hydra_adapter.loader import parsing_once
from hforch.config.keys import affecting
from hforch.config.sweeps import Plan
from hforch.errors import EXIT_OK, ConfigError, Mistake
from hforch.launchers.base import Launcher
from hforch.launchers.registry import launcher_of
from hforch.machine.accelerators import Accelerator
from hforch.records.record_files import RECORD, known_record, locked, read_record
from hforch.records.sample_lines import refuse_damaged
from hforch.runs.memory_check import devices_for, needs_devices, spread, too_large
from hforch.runs.output_dirs import clear, refuse_links, refuse_used
from hforch.runs.processes.crash import WorkerDied
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.resuming import ANEW, changes
from hforch.runs.sweep import PlannedJob, RunJob, Sweep, SweepView, equal_ones, labels, read_sweep
from hforch.scoring import preflight
from hforch.trackers.registry import mistakes as tracker_mistakes
from hforch.utils.in_fork import run_in_fork

if TYPE_CHECKING:
    from omegaconf import DictConfig

BY_NUMBER = "${hydra.job.num}"  # hydra.sweep.subdir, unless somebody sets it


@dataclass(frozen=True)
class Multirun:
    """A sweep as Hydra sees it.

    Attributes:
        master: the configuration of the sweep as a whole.
        context: what Hydra's parts hand to each other.
    """

    plan: Plan
    config_dirs: ConfigDirs
    invocation: Invocation
    master: DictConfig
    context: Any

    @cached_property
    def directory(self) -> Path:
        return Path(str(self.master.hydra.sweep.dir)).absolute()

    def run(self, workers: WorkerPool, view: SweepView) -> list[int]:
        """Check the jobs against this machine, and run them.

        Returns:
            their exit codes.

        Raises:
            ConfigError: with the mistakes of all jobs; nothing was run or written then.
        """
        for backend in dict.fromkeys(one.job.backend.name for one in self.plan.jobs):
            if any(one.job.runtime.isolation == "process" for one in self.plan.jobs):
                workers.start(backend)
        with parsing_once():
            jobs = self.planned()
        warnings = check_machine(jobs, workers)
        if self.invocation.dry_run:
            from hforch.report.dry_run import show_plan

            show_plan(jobs, self.plan.left_out, self.invocation.resume, warnings)
            return [EXIT_OK]
        for label in self.plan.left_out:
            view.note(f"left out by the recipe: {label}")
        for warning in warnings:
            view.note(warning)
        return self.launch(jobs, workers, view)

    def launch(self, jobs: Sequence[PlannedJob], workers: WorkerPool, view: SweepView) -> list[int]:
        callbacks = self.context.callbacks
        with locked(self.directory):
            if not self.invocation.resume:
                if mistakes := self._in_the_way(jobs):  # asked before, when another sweep may have been at it
                    raise ConfigError(mistakes)
                refuse_links(one.directory for one in jobs)
                for folder in (self.directory, *(one.directory for one in jobs)):
                    clear(folder)
            callbacks.on_multirun_start(config=self.master, config_name=self.config_dirs.config_name)
            save_config(self.master, "multirun.yaml", self.directory)
            sweep = Sweep(self.directory, jobs, {**self.invocation.record(), "launcher": self._launcher_name})
            if self.is_basic:
                codes = sweep.run(workers, view, self.invocation.resume)
            else:
                codes = sweep.run_by(lambda left: self._elsewhere(left, view), view, self.invocation.resume)
            callbacks.on_multirun_end(config=self.master, config_name=self.config_dirs.config_name)
        return list(codes.values())

    @property
    def is_basic(self) -> bool:
        """Whether hforch runs the jobs itself, in the stead of Hydra's basic launcher."""
        return self.launcher.is_replaced

    @cached_property
    def launcher(self) -> Launcher:
        """What is known of the launcher that was chosen."""
        return launcher_of(self.master.hydra.launcher.get("_target_"))

    @property
    def _launcher_name(self) -> str:
        return str(self.master.hydra.runtime.choices.get("hydra/launcher") or "basic")

    def _elsewhere(self, left: Sequence[PlannedJob], view: SweepView) -> dict[int, int]:
        fingerprints = {one.key: one.job_context.fingerprint for one in left if one.job_context.fingerprint}
        settings = self.master.hydra.launcher
        beside = self.launcher.at_once(settings, len(self.plan.jobs)) != 1 and len(left) > 1
        kept = self.launcher.keeps_processes
        task = InLauncher(self.directory, self.config_dirs, self.invocation, beside, kept, fingerprints)
        made = make_launcher(self.context, task, self.master)
        wanted = {one.baseline for one in left}
        first = [one for one in left if one.number in wanted]  # what others score has to be there before them
        others = [one for one in left if one.number not in wanted]
        codes: dict[int, int] = {}
        for some in filter(None, (first, others)):
            codes |= launch(made, some, self.directory, view, self.launcher)
        return codes

    def planned(self) -> list[PlannedJob]:
        """The jobs, each with its directory and its identity.

        Raises:
            ConfigError: some inputs cannot be used, or two jobs would share a directory.
        """
        mistakes: list[Mistake] = []
        named = labels([list(one.task_overrides) for one in self.plan.jobs])
        jobs = []
        settings, number = self.master.hydra.launcher, len(self.plan.jobs)
        own = [with_share_of_threads(one.job, self.launcher, settings, number) for one in self.plan.jobs]
        inline = any(job.runtime.isolation == "inline" for job in own)
        seen = summarize_inputs(own) if inline else run_in_fork(lambda: summarize_inputs(own))
        refuse_credentials_in_path(self.directory, "hydra.sweep.dir")
        for number, composed, job, label, inputs in zip(
            self.plan.numbers, self.plan.jobs, own, named, seen, strict=True
        ):
            directory = self._directory_of(composed, number)
            refuse_credentials_in_path(directory, "hydra.sweep.subdir")
            given = job_context_of(composed, self.invocation, self.config_dirs)
            mistakes += given.locate(tracker_mistakes(job.tracker))
            if isinstance(inputs, ConfigError):
                mistakes += given.locate(inputs.mistakes)
                continue
            jobs.append(
                planned_job(
                    number, directory, job, given, inputs, label or f"job {number}", self._begin(composed, number)
                )
            )
        mistakes += _shared_directories(jobs)
        if not self.invocation.resume:
            mistakes += self._in_the_way(jobs)
        else:
            mistakes += self._changes(jobs)
            jobs = list(self._with_fingerprints(jobs))
        if mistakes:
            raise ConfigError(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.path))
        found = list(equal_ones(jobs))
        if all(one.job.scoring.baseline is None for one in found):
            return found
        from hforch.app.scoring_baselines import with_baselines

        return with_baselines(found)

    def _in_the_way(self, jobs: Sequence[PlannedJob]) -> list[Mistake]:
        """What earlier runs have left where the jobs are to write."""
        if self.invocation.force:
            return []
        own = refuse_used(self.directory, "hydra.sweep.dir")
        return own or [mistake for one in jobs for mistake in refuse_used(one.directory, "hydra.sweep.subdir")][:1]

    def _changes(self, jobs: Sequence[PlannedJob]) -> Iterator[Mistake]:
        """In what the jobs are not those that were begun."""
        before = {one["number"]: one for one in read_sweep(self.directory)["jobs"]}
        if before.keys() != {one.number for one in jobs}:
            yield Mistake(
                "", f"the sweep had {len(before)} jobs when it was begun, and has {len(jobs)} now", None, ANEW
            )
            return
        for one in jobs:
            yield from one.job_context.locate(changes(before[one.number], one.record()))
            if not (one.directory / RECORD).exists():
                continue
            try:
                record = known_record(one.directory)
                if not self.invocation.skip_damaged:
                    refuse_damaged(one.directory, record)
                if record.get("job_id") not in (None, one.id):
                    problem = "holds what an earlier sweep left in this directory, of another configuration"
                    hint = "remove that folder, then resume; or run the sweep anew, in another directory"
                    yield Mistake("", f"{one.directory} {problem}", None, hint)
            except ConfigError as error:
                yield from error.mistakes

    def _with_fingerprints(self, jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
        """The jobs, each with the fingerprint that the weights had for those that were run with the same ones."""
        known: dict[str, str] = {}
        for one in jobs:
            if one.key not in known:
                with suppress(OSError, ValueError, KeyError, TypeError):
                    known[one.key] = read_record(one.directory)["model"]["fingerprint"]
        for one in jobs:
            found = known.get(one.key)
            yield replace(one, job_context=replace(one.job_context, fingerprint=found)) if found else one

    def _directory_of(self, composed: Composed, number: int) -> Path:
        if composed.subdir == BY_NUMBER:  # as it is but for those who set it
            return self.directory / str(number)
        return Path(self._numbered(composed, number).hydra.runtime.output_dir)

    def _numbered(self, composed: Composed, number: int) -> DictConfig:
        """The configuration of one job as Hydra would hand it to a launcher."""
        from omegaconf import OmegaConf, open_dict, read_write

        cfg = composed.whole()
        OmegaConf.copy_cache(from_config=self.master, to_config=cfg)  # so that all jobs have the sweep's time
        with read_write(cfg), open_dict(cfg):
            cfg.hydra.mode = self.master.hydra.mode
            cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
            cfg.hydra.sweep.dir = str(self.directory)
            subdir = str(OmegaConf.select(cfg, "hydra.sweep.subdir"))
            cfg.hydra.runtime.output_dir = str(self.directory / subdir)
        return cfg

    def _begin(self, composed: Composed, number: int) -> Callable[[RunJob], int]:
        return lambda work: self._as_job(self._numbered(composed, number), work)

    def _as_job(self, cfg: DictConfig, work: RunJob) -> int:
        """Do work where Hydra has made a job's directory, its files and its environment."""
        raised: list[Exception] = []
        logging = job_logging(cfg.hydra)

        def task(_: DictConfig) -> int | None:
            try:
                return work(logging)
            except Exception as error:  # Hydra would print it
                raised.append(error)
                return None

        try:
            code = as_job_of_sweep(task, cfg, self.context)
        finally:
            set_up_logging(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        if raised:
            raise raised[0]
        return int(code)


def check_machine(jobs: Sequence[PlannedJob], workers: WorkerPool) -> list[str]:
    """Look for what this machine cannot do, before the first weight is touched.

    Returns:
        warnings about what it may not be able to do.

    Raises:
        ConfigError: with the mistakes of all jobs.
    """
    mistakes: list[Mistake] = []
    for one, found in _checked(jobs, workers):
        named = [replace(mistake, problem=f"{mistake.problem}{_with(one)}") for mistake in found]
        mistakes += one.job_context.locate(named)
    warnings = []
    devices = {} if mistakes else _devices(jobs, workers)
    for one in jobs:
        mistakes += one.job_context.locate(list(preflight.mistakes(one.job, one.expected.vocabulary)))
        there = devices.get(one.job.backend.name, [])
        mistake = too_large(one.job, one.expected, there)
        if mistake and one.job.runtime.memory_check == "refuse":
            mistakes += one.job_context.locate([replace(mistake, problem=f"{one.label}: {mistake.problem}")])
        elif told := mistake or spread(one.job, one.expected, there):
            warnings.append(f"warning: {one.label}: {told.problem}")
    if mistakes:
        raise ConfigError(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.path))
    return warnings


def _devices(jobs: Sequence[PlannedJob], workers: WorkerPool) -> dict[str, list[Accelerator]]:
    """By backend, the accelerators that the jobs are for, with what is free of them before any of them runs."""
    found: dict[str, list[Accelerator]] = {}
    for backend in dict.fromkeys(one.job.backend.name for one in jobs):
        some = [one.job for one in jobs if one.job.backend.name == backend]
        if not needs_devices(some):
            continue
        if all(job.runtime.isolation == "inline" for job in some):
            found[backend] = devices_for(some)
            continue
        with suppress(WorkerDied):  # the job itself will tell
            found[backend] = workers.devices(backend, some)
    return found


def _with(one: PlannedJob) -> str:
    """Which combination of a sweep it is that this machine cannot load."""
    loaded = {path.partition(".")[0] for path in affecting(LOAD_KEY)}
    axes = [part for part in one.label.split() if part.lstrip("+~").partition("=")[0].partition(".")[0] in loaded]
    return f" (with {' '.join(axes)})" if axes else ""


def _checked(jobs: Sequence[PlannedJob], workers: WorkerPool) -> Iterator[tuple[PlannedJob, list[Mistake]]]:
    by_backend: dict[str, list[PlannedJob]] = {}
    seen = set()
    for one in jobs:
        if one.key not in seen:
            by_backend.setdefault(one.job.backend.name, []).append(one)
        seen.add(one.key)
    for backend, some in by_backend.items():
        if all(one.job.runtime.isolation == "inline" for one in some):
            from hforch.backends.base import check

            yield from ((one, check(one.job)) for one in some)
            continue
        try:
            yield from zip(some, workers.check(backend, [one.job for one in some]), strict=True)
        except WorkerDied:
            continue  # the job itself will tell


def _shared_directories(jobs: Sequence[PlannedJob]) -> list[Mistake]:
    first: dict[Path, int] = {}
    hint = "leave hydra.sweep.subdir as it is, or let it hold ${hydra.job.num}"
    return [
        Mistake(
            "hydra.sweep.subdir", f"jobs {first[one.directory]} and {one.number} would share a directory", None, hint
        )
        for one in jobs
        if first.setdefault(one.directory, one.number) != one.number
    ][:1]
