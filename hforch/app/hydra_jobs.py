"""Run jobs as Hydra runs them, with the same directories, files, environment, logging and callbacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.hydra_redaction import save_config
from hforch.app.hydra_task import job_logging
from hforch.config.compose import Composed
from hforch.config.copying import copied
from hforch.config.hydra_adapter.jobs import (
    as_job_of_sweep,
    as_single_run,
    context_of,
    make_launcher,
    set_up_logging,
)
from hforch.config.hydra_adapter.session import register_resolvers, visible_to_resolvers
from hforch.launchers.base import Launcher
from hforch.launchers.registry import launcher_named, launcher_of
from hforch.runs.mode import RunMode
from hforch.runs.planned_job import JobRunner

if TYPE_CHECKING:
    from omegaconf import DictConfig

BY_NUMBER = "${hydra.job.num}"  # the default of hydra.sweep.subdir


@dataclass(frozen=True)
class HydraJobs:
    """Hydra's view of the jobs of a command line.

    Attributes:
        mode: single run or multirun.
        master: the configuration of the sweep as a whole; for a single run, that of its job.
        context: Hydra's context object, with the config loader and the callbacks.
        config_name: the name of the primary config.
    """

    mode: RunMode
    master: DictConfig
    context: Any
    config_name: str

    @cached_property
    def directory(self) -> Path:
        """The directory of the sweep or run. That of a run may be relative."""
        from omegaconf import OmegaConf

        directory = Path(str(OmegaConf.select(self.master, self.mode.directory)))
        return directory.absolute() if self.mode.has_summary else directory

    def directory_of(self, composed: Composed, number: int) -> Path:
        """Return the directory of a job."""
        if self.mode.has_summary and composed.subdir == BY_NUMBER:  # the default
            return self.directory / str(number)
        return Path(self._config_of(composed, number).hydra.runtime.output_dir)

    def begin(self, composed: Composed, number: int) -> Callable[[JobRunner], int]:
        """Return a function that runs its argument as a Hydra job, with its directory, files and environment set up."""
        return lambda work: self._as_job(self._config_of(composed, number), work)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Set the variables of hydra.job.env_set while the block runs, so that the machine is checked as in the jobs.

        Variables whose value cannot be resolved without a job are skipped.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        names = OmegaConf.to_container(self.master.hydra.job.env_set)
        wanted = {}
        if isinstance(names, dict) and names:
            config = copied(self.master)  # Hydra makes master read-only
            with visible_to_resolvers(config):
                for name in names:
                    with suppress(OmegaConfBaseException):
                        wanted[str(name)] = str(config.hydra.job.env_set[name])
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    @contextmanager
    def callbacks(self) -> Iterator[None]:
        """Call Hydra's callbacks at the start and end of a sweep. A single run has only those of its job."""
        if not self.mode.has_summary:
            yield
            return
        told = {"config": self.master, "config_name": self.config_name}
        self.context.callbacks.on_multirun_start(**told)
        save_config(self.master, "multirun.yaml", self.directory)
        yield
        self.context.callbacks.on_multirun_end(**told)

    # ---------------------------------------------------------------- launchers
    @cached_property
    def launcher(self) -> Launcher:
        """The adapter for the configured launcher; for a single run, the one for `basic`."""
        return launcher_of(self.launcher_settings.get("_target_")) if self.mode.has_summary else launcher_named("basic")

    @property
    def launcher_settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.master.hydra.launcher
        return settings

    @property
    def launcher_name(self) -> str:
        return str(self.master.hydra.runtime.choices.get("hydra/launcher") or "basic")

    def batch_size(self, jobs: int) -> int:
        """Return the number of jobs that the launcher receives at a time (hydra.sweeper.max_batch_size)."""
        size = self.master.hydra.sweeper.get("max_batch_size") if self.mode.has_summary else None
        return jobs if size is None else min(jobs, int(size))

    def make_launcher(self, task: Callable[[DictConfig], Any]) -> Any:
        """Return Hydra's launcher, which calls the task for each job."""
        return make_launcher(self.context, task, self.master)

    # ---------------------------------------------------------------- one job
    def _config_of(self, composed: Composed, number: int) -> DictConfig:
        """Return the configuration of one job, as Hydra would pass it to a launcher."""
        from omegaconf import OmegaConf, open_dict, read_write

        if not self.mode.has_summary:
            with read_write(self.master), open_dict(self.master):
                self.master.hydra.runtime.output_dir = str(self.directory.absolute())
            return self.master
        cfg = composed.whole()
        OmegaConf.copy_cache(from_config=self.master, to_config=cfg)  # ${now:} is the same in all jobs
        with read_write(cfg), open_dict(cfg):
            cfg.hydra.mode = self.master.hydra.mode
            cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
            cfg.hydra.sweep.dir = str(self.directory)
        with visible_to_resolvers(cfg):
            subdir = str(OmegaConf.select(cfg, "hydra.sweep.subdir"))
        with read_write(cfg), open_dict(cfg):
            cfg.hydra.runtime.output_dir = str(self.directory / subdir)
        return cfg

    def _as_job(self, cfg: DictConfig, work: JobRunner) -> int:
        raised: list[Exception] = []
        logging = job_logging(cfg.hydra)

        def task(_: DictConfig) -> int | None:
            try:
                return work(logging)
            except Exception as error:  # raised below, as Hydra would print a traceback
                raised.append(error)
                return None

        try:
            if self.mode.has_summary:
                code = as_job_of_sweep(task, cfg, self.context)
            else:
                code = as_single_run(task, cfg, self.context, self.config_name)
        finally:
            set_up_logging(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        if raised:
            raise raised[0]
        return int(code)


def open_jobs(hydra: Any, mode: RunMode, config_name: str, overrides: Sequence[str]) -> HydraJobs:
    """Compose the jobs that the overrides describe, and set up Hydra's logging.

    Args:
        hydra: the Hydra that `open_hydra` yields.
    """
    from hydra.types import RunMode as HydraRunMode

    register_resolvers()
    kind = HydraRunMode[mode.hydra_mode]
    master = hydra.compose_config(config_name, list(overrides), kind, with_log_configuration=True)
    return HydraJobs(mode, master, context_of(hydra.config_loader, master), config_name)
