"""The Hydra app: what `hydra.main` does, with every mistake told before anything is run or written.

Hydra's own entry point drops what jobs return, prints tracebacks for mistakes and exits with 1; so its parts are put
together here. Its files, directories, numbering, flags and grammar stay as its users know them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.places import JOB_NAME, VERSION_BASE, Places, find_places
from hforch.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNMET, EXIT_USAGE, HforchError, full_errors

if TYPE_CHECKING:
    from omegaconf import DictConfig

WORST_FIRST = (EXIT_INTERRUPTED, EXIT_FAILED, EXIT_USAGE, EXIT_UNMET, EXIT_OK)


@dataclass(frozen=True)
class Task:
    """What Hydra calls for each job, in this process or in a launcher's."""

    places: Places
    recipe: Path | None

    def __call__(self, cfg: DictConfig) -> int:
        try:
            code = self._run(cfg)
        except HforchError as error:
            if full_errors():
                raise
            print(error, file=sys.stderr)
            return error.exit_code
        except OSError as error:
            if full_errors():
                raise
            print(cannot_write(error), file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            self._interrupted()
            raise
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt("told")  # the rest of a sweep is not wanted any more
        return code

    def _interrupted(self) -> None:
        """A run that was stopped before it had begun leaves a record like any other."""
        from hydra.core.hydra_config import HydraConfig

        from hforch.runs.records import begin_interrupted

        settings = HydraConfig.get()
        recipe = str(self.recipe) if self.recipe else None
        with suppress(OSError):
            begin_interrupted(
                Path(settings.runtime.output_dir),
                overrides=[str(override) for override in settings.overrides.task],
                recipe=recipe,
            )

    def _run(self, cfg: DictConfig) -> int:
        from hydra.core.hydra_config import HydraConfig

        from hforch.config.compose import Locator, job_from_config
        from hforch.report.terminal import open_watcher
        from hforch.runs import Given, run

        settings = HydraConfig.get()
        overrides = tuple(str(override) for override in settings.overrides.task)
        job = job_from_config(cfg)
        recipe = str(self.recipe) if self.recipe else None
        given = Given(overrides, recipe, Locator(overrides, self.places), job_logging(settings))
        return run(job, Path(settings.runtime.output_dir), given, open_watcher(job.runtime.display))


def run_app(words: Sequence[str], recipe: Path | None = None) -> int:
    """Do what the words after `hforch` ask for.

    Raises:
        ConfigError: with every mistake, before anything is run or written.
    """
    from hforch.app.flags import read_flags

    args, parser = read_flags(words)
    base = find_places(args.config_dir, args.config_name, args.config_path)
    if recipe is None:
        return _do(args, parser, base, None)
    from hforch.config.recipes import opened

    with opened(recipe, base) as places:
        return _do(args, parser, places, recipe)


def _do(args: argparse.Namespace, parser: argparse.ArgumentParser, places: Places, recipe: Path | None) -> int:
    if args.experimental_rerun is not None:
        return _rerun(args, Task(places, recipe))
    if not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion):
        return _run(args, places, Task(places, recipe))
    if args.overrides and not args.shell_completion:
        from hforch.config.sweeps import look_over

        look_over(args.overrides, places)
    if args.shell_completion:
        from hforch.app.completion import as_typed

        places = as_typed(places)
    with hydra_of(places) as hydra:
        _show(hydra, args, parser, places.config_name)
    return EXIT_OK


def _show(hydra: Any, args: argparse.Namespace, parser: argparse.ArgumentParser, name: str) -> None:
    if args.help:
        hydra.app_help(config_name=name, args_parser=parser, args=args)
    elif args.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=parser, args=args)
    elif args.cfg:
        hydra.show_cfg(name, args.overrides, args.cfg, args.package, args.resolve)
    elif args.info:
        hydra.show_info(args.info, config_name=name, overrides=args.overrides)
    else:
        from hforch.app.completion import complete

        complete(hydra, name, args.overrides)


def _run(args: argparse.Namespace, places: Places, task: Task) -> int:
    from hforch.config.sweeps import plan

    multirun = plan(args.overrides, places, args.multirun).multirun
    with hydra_of(places) as hydra:
        overrides = [*args.overrides, f"hydra.mode={'MULTIRUN' if multirun else 'RUN'}"]
        start = hydra.multirun if multirun else hydra.run
        try:
            return worst(codes(start(places.config_name, task, overrides)))
        except OSError as error:
            if isinstance(error, BrokenPipeError) or full_errors():
                raise
            raise cannot_write(error) from error


def job_logging(settings: Any) -> dict[str, Any] | None:
    """Hydra's logging for a job, as `dictConfig` takes it, with what hydra.verbose adds; None if Hydra sets up none."""
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(settings.job_logging, resolve=True) if settings.job_logging is not None else None
    if not isinstance(config, dict) or not config.get("root"):
        return None
    verbose = settings.verbose
    names = [] if isinstance(verbose, bool) else [verbose] if isinstance(verbose, str) else list(verbose)
    if verbose is True:
        config["root"]["level"] = "DEBUG"
    return {**config, "loggers": {**config.get("loggers", {}), **{name: {"level": "DEBUG"} for name in names}}}


def cannot_write(error: OSError) -> HforchError:
    """Everything a run reads is looked after where it is read: what is left is its own folder."""
    place = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    return HforchError(
        f"the run's folder cannot be written: {place}{reason}\n"
        "    hydra.run.dir=DIR puts a run elsewhere, hydra.sweep.dir=DIR a sweep"
    )


def _rerun(args: argparse.Namespace, task: Task) -> int:
    from hydra.main import _get_rerun_conf

    return task(_get_rerun_conf(args.experimental_rerun, args.overrides))


@contextmanager
def hydra_of(places: Places) -> Iterator[Any]:
    """A Hydra that looks things up in these places; it is Hydra's global one meanwhile, as plugins expect."""
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    version.setbase(VERSION_BASE)
    try:
        hydra = Hydra(task_name=JOB_NAME, config_loader=places.loader())
        GlobalHydra.instance().initialize(hydra)
        yield hydra
    finally:
        GlobalHydra.instance().clear()


def codes(returned: Any) -> Iterator[int]:
    """The exit codes in what Hydra's run or multirun returned: job returns, in lists for the batches of a sweep."""
    if isinstance(returned, list | tuple):
        for one in returned:
            yield from codes(one)
    elif returned is not None and isinstance(getattr(returned, "return_value", None), int):
        yield returned.return_value


def worst(found: Iterator[int]) -> int:
    seen = set(found)
    return next((code for code in WORST_FIRST if code in seen), max(seen, default=EXIT_OK))
