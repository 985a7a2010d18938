"""Jobs as Hydra runs them: each with the directory, files, environment, logging and callbacks that Hydra gives it."""

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

BY_NUMBER = "${hydra.job.num}"  # hydra.sweep.subdir, unless somebody sets it


@dataclass(frozen=True)
class HydraJobs:
    """What Hydra knows of the jobs of a command line.

    Attributes:
        master: the configuration of the sweep as a whole; of a single run, that of its job.
        context: what Hydra's parts hand to each other.
        config_name: of the primary config.
    """

    mode: RunMode
    master: DictConfig
    context: Any
    config_name: str

    @cached_property
    def directory(self) -> Path:
        """That of all jobs together; a single run's is as it was typed."""
        from omegaconf import OmegaConf

        directory = Path(str(OmegaConf.select(self.master, self.mode.directory)))
        return directory.absolute() if self.mode.has_summary else directory

    def directory_of(self, composed: Composed, number: int) -> Path:
        """Return the directory of a job."""
        if self.mode.has_summary and composed.subdir == BY_NUMBER:  # as it is but for those who set it
            return self.directory / str(number)
        return Path(self._config_of(composed, number).hydra.runtime.output_dir)

    def begin(self, composed: Composed, number: int) -> Callable[[JobRunner], int]:
        """Return what does work as a job: where Hydra has made its directory, its files and its environment."""
        return lambda work: self._as_job(self._config_of(composed, number), work)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Set what all jobs find in their environment, so that the machine is checked, and libraries read, as for them.

        A variable that depends on the job is left out.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        names = OmegaConf.to_container(self.master.hydra.job.env_set)
        wanted = {}
        if isinstance(names, dict) and names:
            config = copied(self.master)  # which Hydra makes read-only
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
        """Tell callbacks of the beginning and end of a sweep; those of a single run belong to its job."""
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
        """What is known of the launcher of the jobs; a single run needs none."""
        return launcher_of(self.launcher_settings.get("_target_")) if self.mode.has_summary else launcher_named("basic")

    @property
    def launcher_settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.master.hydra.launcher
        return settings

    @property
    def launcher_name(self) -> str:
        return str(self.master.hydra.runtime.choices.get("hydra/launcher") or "basic")

    def make_launcher(self, task: Callable[[DictConfig], Any]) -> Any:
        """Return Hydra's launcher; it calls the task for each job."""
        return make_launcher(self.context, task, self.master)

    # ---------------------------------------------------------------- one job
    def _config_of(self, composed: Composed, number: int) -> DictConfig:
        """The configuration of one job, as Hydra would hand it to a launcher."""
        from omegaconf import OmegaConf, open_dict, read_write

        if not self.mode.has_summary:
            with read_write(self.master), open_dict(self.master):
                self.master.hydra.runtime.output_dir = str(self.directory.absolute())
            return self.master
        cfg = composed.whole()
        OmegaConf.copy_cache(from_config=self.master, to_config=cfg)  # so that all jobs have the sweep's time
        with read_write(cfg), open_dict(cfg):
            cfg.hydra.mode = self.master.hydra.mode
            cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
            cfg.hydra.sweep.dir = str(self.directory)
            subdir = str(OmegaConf.select(cfg, "hydra.sweep.subdir"))
            cfg.hydra.runtime.output_dir = str(self.directory / subdir)
        return cfg

    def _as_job(self, cfg: DictConfig, work: JobRunner) -> int:
        raised: list[Exception] = []
        logging = job_logging(cfg.hydra)

        def task(_: DictConfig) -> int | None:
            try:
                return work(logging)
            except Exception as error:  # Hydra would print it
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
    """Return what a Hydra knows of the jobs that overrides describe; its logging is set up from here on.

    Args:
        hydra: as `hydra_of` gives it.
    """
    from hydra.types import RunMode as HydraRunMode

    register_resolvers()
    kind = HydraRunMode[mode.hydra_mode]
    master = hydra.compose_config(config_name, list(overrides), kind, with_log_configuration=True)
    return HydraJobs(mode, master, context_of(hydra.config_loader, master), config_name)
