"""The Hydra app: what `hydra.main` does, with every mistake told before anything is run or written.

Hydra's own entry point drops what jobs return, prints tracebacks for mistakes and exits with 1; so its parts are put
together here. Its files, directories, numbering, flags and grammar stay as its users know them.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.finish import QUIET, compare_all, write_report
from hforch.app.hydra_files import redact_what_hydra_writes, refuse_credentials_in_path
from hforch.app.hydra_task import Invocation, Task, write_error
from hforch.config.config_dirs import ConfigDirs, find_config_dirs
from hforch.config.credentials import remember_typed
from hforch.config.hydra_adapter.jobs import configuration_to_rerun, context_of, returned_codes
from hforch.config.hydra_adapter.session import global_hydra, register_resolvers
from hforch.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNMET,
    EXIT_USAGE,
    ConfigError,
    Mistake,
    full_errors,
)
from hforch.utils.redacted_output import redact_file
from hforch.utils.std_streams import going_on

if TYPE_CHECKING:
    from hforch.config.compose import Composed
    from hforch.config.sweeps import Plan

WORST_FIRST = (EXIT_INTERRUPTED, EXIT_FAILED, EXIT_USAGE, EXIT_UNMET, EXIT_OK)


def run_app(
    words: Sequence[str],
    recipe: Path | None = None,
    resume: Path | None = None,
    fingerprint: str | None = None,
    skip_damaged: bool = False,
) -> int:
    """Do what the words after `hforch` ask for.

    Args:
        resume: the directory of an earlier run or sweep of the same words, to go on with it.
        fingerprint: of the weights; others are refused.
        skip_damaged: of what is resumed, take lines that are no samples for missing.

    Raises:
        ConfigError: with every mistake, before anything is run or written.
    """
    from hforch.app.flags import read_flags

    args, parser = read_flags(words)
    for override in args.overrides:
        remember_typed(override)
    base = find_config_dirs(args.config_dir, args.config_name, args.config_path)
    if recipe is None:
        return _do(args, parser, base, None, resume, fingerprint, skip_damaged)
    from hforch.config.recipes import opened

    with opened(recipe, base, args.overrides) as config_dirs:
        for note in config_dirs.notes:
            print(f"note: {note}", file=sys.stderr)
        return _do(args, parser, config_dirs, recipe, resume, fingerprint, skip_damaged)


def _do(
    args: argparse.Namespace,
    parser: argparse.ArgumentParser,
    config_dirs: ConfigDirs,
    recipe: Path | None,
    resume: Path | None,
    fingerprint: str | None,
    skip_damaged: bool,
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
        return _run(args, config_dirs, invocation, resume)
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
        try:
            hydra.show_cfg(name, args.overrides, args.cfg, args.package, args.resolve)
        except SystemExit as stop:  # after saying that there is no such package
            raise SystemExit(EXIT_USAGE if stop.code else EXIT_OK) from None
    elif args.info:
        hydra.show_info(args.info, config_name=name, overrides=args.overrides)
    else:
        from hforch.app.shell_completion import complete

        complete(hydra, name, args.overrides)


def _run(args: argparse.Namespace, config_dirs: ConfigDirs, invocation: Invocation, resume: Path | None) -> int:
    from hforch.config.diagnose.overrides import quoted
    from hforch.config.sweeps import MOST_JOBS, plan
    from hforch.records.record_files import locked

    if args.report:
        from hforch.report.page.write import missing_libraries

        if mistakes := missing_libraries():
            raise ConfigError(mistakes)
    planned = plan(args.overrides, config_dirs, args.multirun, args.max_jobs or MOST_JOBS)
    for note in dict.fromkeys(note for one in planned.jobs for note in one.notes):
        print(f"note: {note}", file=sys.stderr)
    overrides = [*args.overrides, f"hydra.mode={'MULTIRUN' if planned.multirun else 'RUN'}"]
    if resume is not None and planned.multirun:
        overrides.append(f"hydra.sweep.dir={quoted(str(resume))}")
    with open_hydra(config_dirs) as hydra:
        try:
            if planned.multirun:
                return _multirun(args, planned, config_dirs, invocation, hydra, overrides)
            _look_at_scoring(planned.jobs[0])
            directory = resume or Path(str(planned.jobs[0].whole().hydra.run.dir))
            refuse_credentials_in_path(directory, "hydra.run.dir")
            if invocation.dry_run:
                _make_room(directory, "hydra.run.dir", invocation)
                from hforch.app.planning import single_run
                from hforch.report.dry_run import show_plan

                show_plan([single_run(planned.jobs[0], directory, invocation, config_dirs)], resume=invocation.resume)
                return EXIT_OK
            overrides.append(f"hydra.run.dir={quoted(str(directory))}")  # composed anew, it would hold another time
            with locked(directory):
                _make_room(directory, "hydra.run.dir", invocation)
                if resume is not None:
                    from hforch.app.planning import fingerprint_of_resumed, single_run

                    before = fingerprint_of_resumed(single_run(planned.jobs[0], directory, invocation, config_dirs))
                    invocation = replace(invocation, fingerprint=before)
                task = Task(config_dirs, invocation)
                try:
                    with going_on("nobody reads the output any more; the run goes on, and Ctrl-C stops it"):
                        code = worst_exit_code(returned_codes(hydra.run(config_dirs.config_name, task, overrides)))
                except KeyboardInterrupt:
                    task.interrupted(directory, planned.jobs[0].overrides)  # while Hydra made ready
                    raise
                return write_report(args.report, directory, planned.jobs[0].job.runtime.display, code)
        except OSError as error:
            if full_errors():
                raise
            raise write_error(error, invocation.resume) from error


def _look_at_scoring(composed: Composed) -> None:
    """Refuse what a single run cannot score, before anything is imported or written.

    Raises:
        ConfigError: it has a baseline, or its text cannot be read.
    """
    from hforch.scoring import preflight

    scoring = composed.job.scoring
    if scoring.baseline is not None:
        hint = "sweep over what shall be compared, or choose scoring=text"
        mistake = Mistake("scoring.baseline", "a single run has no other job to be compared with", None, hint)
        raise ConfigError([replace(mistake, where=composed.where(mistake.path))])
    if scoring.text is not None:
        try:
            preflight.load_text(scoring.text)
        except ConfigError as error:
            raise ConfigError([replace(one, where=composed.where(one.path)) for one in error.mistakes]) from error


def _make_room(directory: Path, key: str, invocation: Invocation) -> None:
    """Take away what earlier runs have left in a directory, if nothing was answered there or --force was given.

    Raises:
        ConfigError: it holds answers; `key` is what named it.
    """
    from hforch.runs.output_dirs import clear, refuse_used

    if invocation.resume:
        return
    if not invocation.force and (in_the_way := refuse_used(directory, key)):
        raise ConfigError(in_the_way)
    if not invocation.dry_run:
        clear(directory)


def _multirun(
    args: argparse.Namespace,
    planned: Plan,
    config_dirs: ConfigDirs,
    invocation: Invocation,
    hydra: Any,
    overrides: list[str],
) -> int:
    from hydra.types import RunMode

    from hforch.app.multirun import Multirun

    if not planned.whole and invocation.dry_run:
        problem = "the jobs of this sweeper are not known before they are run"
        raise ConfigError([Mistake("hydra.sweeper", problem, None, "leave --dry-run out, or use Hydra's own sweeper")])
    if not planned.whole:
        master = hydra.compose_config(
            config_dirs.config_name, overrides, RunMode.MULTIRUN, with_log_configuration=False
        )
        _make_room(Path(str(master.hydra.sweep.dir)), "hydra.sweep.dir", invocation)
        code = worst_exit_code(
            returned_codes(hydra.multirun(config_dirs.config_name, Task(config_dirs, invocation), overrides))
        )
        redact_file(Path(str(master.hydra.sweep.dir)) / "multirun.yaml")  # which a sweeper saves by itself
        return write_report(args.report, Path(str(master.hydra.sweep.dir)), "auto", code)
    from hforch.report.sweep_view import open_view
    from hforch.runs.processes.worker_pool import WorkerPool
    from hforch.runs.tracking import tracked_view

    register_resolvers()
    master = hydra.compose_config(config_dirs.config_name, overrides, RunMode.MULTIRUN, with_log_configuration=True)
    context = context_of(hydra.config_loader, master)
    sweep = Multirun(planned, config_dirs, invocation, master, context)
    display = planned.jobs[0].job.runtime.display
    going = "nobody reads the output any more; the sweep goes on, and Ctrl-C stops it"
    with WorkerPool() as workers, going_on(going):
        view = tracked_view(open_view(display, sweep.directory), sweep.directory, [one.job for one in planned.jobs])
        found = sweep.run(workers, view)
    if not invocation.dry_run:
        compare_all(sweep.directory, None if display in QUIET else sys.stdout)
    code = worst_exit_code(iter(found))
    if not invocation.dry_run:
        code = write_report(args.report, sweep.directory, display, code)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt("told")
    return code


def _rerun(args: argparse.Namespace, task: Task) -> int:
    return task(configuration_to_rerun(args.experimental_rerun, args.overrides))


@contextmanager
def open_hydra(config_dirs: ConfigDirs) -> Iterator[Any]:
    """A Hydra that looks things up in these places; it is Hydra's global one meanwhile, as plugins expect."""
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
        key = str(
            getattr(error, "full_key", None) or ("hydra.job_logging" if isinstance(error, ValueError) else "hydra")
        )
        raise ConfigError([Mistake(key, f"Hydra cannot use its settings: {explain(error)}")]) from error


def _is_about_settings(error: Exception) -> bool:
    """Whether Hydra or OmegaConf raised it, or what sets up logging."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    frames = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, HydraException | OmegaConfBaseException) or "logging.config" in frames


def worst_exit_code(found: Iterator[int]) -> int:
    seen = set(found)
    return next((code for code in WORST_FIRST if code in seen), max(seen, default=EXIT_OK))
