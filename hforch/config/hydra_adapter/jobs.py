"""Run jobs with Hydra: flags, plugins, callbacks, the directory and files of a job, and its return value."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig


def flags_parser() -> argparse.ArgumentParser:
    """Return a parser for Hydra's own flags."""
    from hydra._internal.utils import get_args_parser

    parser: argparse.ArgumentParser = get_args_parser()
    return parser


def forms_of(parser: argparse.ArgumentParser) -> list[Sequence[str]]:
    """Return the forms of each flag of a parser, such as `--multirun` and `-m`."""
    return [action.option_strings for action in parser._actions]


def configuration_to_rerun(file: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that a Hydra callback pickled for --experimental-rerun."""
    from hydra.main import _get_rerun_conf

    config: DictConfig = _get_rerun_conf(file, list(overrides))
    return config


# ---------------------------------------------------------------- plugins
def installed(kind: type) -> set[str]:
    """Return the class names of the installed plugins of a kind: Hydra's `Launcher` or `Sweeper`."""
    from hydra.core.plugins import Plugins

    return {f"{one.__module__}.{one.__qualname__}" for one in Plugins.instance().discover(kind)}


def shells() -> list[str]:
    """Return the shells for which Hydra has a completion plugin."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.completion_plugin import CompletionPlugin

    return sorted(one.provides() for one in Plugins.instance().discover(CompletionPlugin))


def make_launcher(context: Any, task: Callable[[DictConfig], Any], config: DictConfig) -> Any:
    """Return the launcher that a configuration selects."""
    from hydra.core.plugins import Plugins

    return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)


def find_object(name: str) -> Any:
    """Import and return the object that a `_target_` names.

    Raises:
        Exception: the import failed; the original exception is the cause.
    """
    from hydra._internal.utils import _locate

    return _locate(name)


# ---------------------------------------------------------------- running
def context_of(loader: Any, config: DictConfig) -> Any:
    """Return a HydraContext with the callbacks of a configuration."""
    from hydra._internal.callbacks import Callbacks
    from hydra.types import HydraContext

    return HydraContext(config_loader=loader, callbacks=Callbacks(config))


def as_job_of_sweep(task: Callable[[DictConfig], Any], config: DictConfig, context: Any) -> Any:
    """Run a task in the directory and environment that Hydra creates for a sweep's job; return its return value."""
    from hydra.core.utils import run_job

    keys = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
    return run_job(task_function=task, config=config, hydra_context=context, **keys).return_value


def as_single_run(task: Callable[[DictConfig], Any], config: DictConfig, context: Any, config_name: str | None) -> Any:
    """Run a task like `Hydra.run`, with an already composed configuration; return its return value.

    This calls the callbacks for the start and end of the run and its job.
    """
    from hydra.core.utils import run_job

    callbacks = context.callbacks
    callbacks.on_run_start(config=config, config_name=config_name)
    keys = {"job_dir_key": "hydra.run.dir", "job_subdir_key": None}
    returned = run_job(task_function=task, config=config, hydra_context=context, **keys)
    callbacks.on_run_end(config=config, config_name=config_name, job_return=returned)
    return returned.return_value


def set_up_logging(logging: Any, verbose: Any) -> None:
    """Set up logging from a configuration's hydra.hydra_logging or hydra.job_logging."""
    from hydra.core.utils import configure_log

    configure_log(logging, verbose)


def replace_writers(save: Callable[[Any, str, Path], None], logging_is_set_up: Callable[[], None]) -> None:
    """Make Hydra save configurations with `save`, and call `logging_is_set_up` after it sets up logging.

    This applies to the current process only.
    """
    from hydra._internal import hydra as entry
    from hydra.core import utils

    utils._save_config = update_wrapper(partial(save), getattr(utils._save_config, "__wrapped__", utils._save_config))
    if getattr(utils.configure_log, "replaced", False):
        return
    configure = utils.configure_log

    @wraps(configure)
    def configure_log(*arguments: Any, **named: Any) -> None:
        configure(*arguments, **named)
        logging_is_set_up()

    configure_log.replaced = True  # type: ignore[attr-defined]
    utils.configure_log = entry.configure_log = configure_log


# ---------------------------------------------------------------- returning
def returned_by(job: Any) -> Any:
    """Return the return value of a launcher's job, or its exception without raising it."""
    return getattr(job, "_return_value", None)
