"""The Hydra app: a replacement for `hydra.main` that reports all errors before it runs or writes anything.

`hydra.main` discards the return values of jobs, and on configuration errors prints a traceback and exits with 1. This
module uses the same parts of Hydra, so files, directories, job numbers, flags and override grammar are unchanged.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.hydra_redaction import redact_what_hydra_writes
from hforch.app.hydra_task import Invocation, Task, write_error
from hforch.config.config_dirs import ConfigDirs, find_config_dirs
from hforch.config.credentials import remember_typed
from hforch.config.hydra_adapter.jobs import configuration_to_rerun
from hforch.config.hydra_adapter.session import global_hydra, visible_to_resolvers
from hforch.errors import EXIT_OK, ConfigError, Mistake, first_line, full_errors
from hforch.utils.paths import expanded

if TYPE_CHECKING:
    from hforch.app.running import Listener


def run_app(
    words: Sequence[str],
    recipe: Path | None = None,
    resume: Path | None = None,
    fingerprint: str | None = None,
    skip_damaged: bool = False,
    listener: Listener | None = None,
) -> int:
    """Run the Hydra app with the arguments that follow `hforch`, and return the exit code.

    Args:
        recipe: the recipe to run, if any.
        resume: the directory of an earlier run or sweep with the same arguments, to resume.
        fingerprint: the expected fingerprint of the weights; other weights are rejected.
        skip_damaged: when resuming, treat invalid lines of samples.jsonl as missing.
        listener: receives the events of the jobs, in addition to the display.

    Raises:
        ConfigError: the configuration has errors; nothing was run or written.
    """
    from hforch.app.flags import read_flags

    args, parser = read_flags(words)
    for override in args.overrides:
        remember_typed(override)
    if resume is None:
        use_project(args)
    base = find_config_dirs(args.config_dir, args.config_name, args.config_path)
    if recipe is None and not any((args.config_dir, args.config_name, args.config_path)):
        return _do(args, parser, base, None, resume, fingerprint, skip_damaged, listener)
    from hforch.config.recipes import opened

    with opened(recipe, base, args.overrides) as config_dirs:
        for note in () if args.shell_completion else config_dirs.notes:
            print(f"note: {note}", file=sys.stderr)
        return _do(args, parser, config_dirs, recipe, resume, fingerprint, skip_damaged, listener)


def use_project(args: argparse.Namespace) -> None:
    """Set the flags for the project in the current directory, if there is one and no such flag was passed."""
    from hforch.config.project import DIRECTORY, NAME, found_project

    if any(getattr(args, flag, None) for flag in ("config_dir", "config_name", "config_path")):
        return
    if (file := found_project()) is not None:
        if not getattr(args, "shell_completion", False):
            print(f"note: using the project file {file} (to ignore it: --config-name config)", file=sys.stderr)
        args.config_dir, args.config_name = DIRECTORY, NAME


def _do(
    args: argparse.Namespace,
    parser: argparse.ArgumentParser,
    config_dirs: ConfigDirs,
    recipe: Path | None,
    resume: Path | None,
    fingerprint: str | None,
    skip_damaged: bool,
    listener: Listener | None,
) -> int:
    invocation = Invocation(
        overrides=tuple(args.overrides),
        recipe=str(recipe) if recipe else None,
        config_dir=args.config_dir,
        config_name=args.config_name,
        resume=resume is not None,
        fingerprint=fingerprint,
        dry_run=args.dry_run,
        force=args.force,
        skip_damaged=skip_damaged,
    )
    if args.experimental_rerun is not None:
        return _rerun(args, Task(config_dirs, invocation))
    if not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion):
        return _run(args, config_dirs, invocation, resume, listener)
    if args.overrides and not args.shell_completion:
        from hforch.config.sweeps import diagnose_all

        diagnose_all(args.overrides, config_dirs)
    if args.shell_completion:
        from hforch.app.shell_completion import with_literal_words

        config_dirs = with_literal_words(config_dirs)
    with open_hydra(config_dirs) as hydra:
        _show(hydra, args, parser, config_dirs.config_name)
    return EXIT_OK


def _show(hydra: Any, args: argparse.Namespace, parser: argparse.ArgumentParser, name: str) -> None:
    if args.help:
        hydra.app_help(config_name=name, args_parser=parser, args=args)
    elif args.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=parser, args=args)
    elif args.cfg:
        from hforch.app.shown_config import show_config

        show_config(hydra, name, args)
    elif args.info:
        hydra.show_info(args.info, config_name=name, overrides=args.overrides)
    else:
        from hforch.app.shell_completion import complete

        complete(hydra, name, args.overrides)


def _run(
    args: argparse.Namespace,
    config_dirs: ConfigDirs,
    invocation: Invocation,
    resume: Path | None,
    listener: Listener | None,
) -> int:
    from hforch.config.hydra_adapter.parsing import quoted
    from hforch.config.sweeps import MOST_JOBS, plan
    from hforch.runs.mode import MULTIRUN, SINGLE_RUN

    if args.report:
        from hforch.report.page.write import missing_libraries

        if mistakes := missing_libraries():
            raise ConfigError(mistakes)
    planned = plan(args.overrides, config_dirs, args.multirun, args.max_jobs or MOST_JOBS)
    for note in dict.fromkeys(note for one in planned.jobs for note in one.notes):
        print(f"note: {note}", file=sys.stderr)
    mode = MULTIRUN if planned.multirun else SINGLE_RUN
    overrides = [*args.overrides, f"hydra.mode={mode.hydra_mode}"]
    directory = resume
    if directory is None:
        with visible_to_resolvers(config := planned.jobs[0].whole()):
            given = str(config.hydra.sweep.dir if planned.multirun else config.hydra.run.dir)
        if not planned.multirun or given.startswith("~"):  # composing a run again would use a later time
            directory = expanded(given)
    if directory is not None:
        overrides.append(f"{mode.directory}={quoted(str(directory))}")
    with open_hydra(config_dirs) as hydra:
        try:
            from hforch.app.hydra_jobs import open_jobs
            from hforch.app.running import run_jobs

            hydra_jobs = open_jobs(hydra, mode, config_dirs.config_name, overrides)
            return run_jobs(planned, hydra_jobs, config_dirs, invocation, args.report, listener)
        except OSError as error:
            if full_errors():
                raise
            raise write_error(error, invocation.resume) from error


def _rerun(args: argparse.Namespace, task: Task) -> int:
    file = args.experimental_rerun
    where = f"--experimental-rerun {file}"
    if not Path(file).is_file():
        raise ConfigError([Mistake("", f"file not found: {file}", where, "pass the config.pickle of a job")])
    try:
        config = configuration_to_rerun(file, args.overrides)
    except Exception as error:  # unpickling can raise anything
        if full_errors():
            raise
        problem = f"{file} is not a configuration saved by Hydra's PickleJobInfoCallback: {first_line(error)}"
        raise ConfigError([Mistake("", problem, where, "pass the config.pickle of a job")]) from error
    return task(config)


@contextmanager
def open_hydra(config_dirs: ConfigDirs) -> Iterator[Any]:
    """Yield a Hydra object that searches these config dirs. In the block, it is the global one, as plugins expect."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from hforch.config.diagnose.library_errors import explain

    redact_what_hydra_writes()
    try:
        with global_hydra(config_dirs.loader) as hydra:
            yield hydra
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if full_errors() or not _is_about_settings(error):
            raise
        of_logging = isinstance(error, ValueError) and not isinstance(error, OmegaConfBaseException)
        key = str(getattr(error, "full_key", None) or ("hydra.job_logging" if of_logging else "hydra"))
        raise ConfigError([Mistake(key, f"invalid Hydra settings: {explain(error)}")]) from error


def _is_about_settings(error: Exception) -> bool:
    """Return whether Hydra, OmegaConf or logging.config raised the error."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    frames = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, HydraException | OmegaConfBaseException) or "logging.config" in frames
