"""Parse Hydra's flags and overrides, in any order, with hints for unknown flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from hforch.config.home_paths import with_home
from hforch.config.hydra_adapter.jobs import flags_parser, forms_of, shells
from hforch.errors import ConfigError, Mistake

NAMES = ("config_dir", "config_path", "config_name", "package")
NOT_EMPTY = "omit the flag, or pass a value; an unset shell variable is empty"
COMPLETION = ("install", "uninstall", "query")


def parser_of_runs() -> argparse.ArgumentParser:
    """Return the parser of `hforch` and `hforch run`: Hydra's, with the flags of hforch."""
    parser = flags_parser()
    parser.allow_abbrev = False
    parser.add_argument(
        "--dry-run", action="store_true", help="List the jobs and their requirements, without running them"
    )
    parser.add_argument("--report", action="store_true", help="Write report.html at the end of the run or sweep")
    parser.add_argument("--max-jobs", type=int, metavar="N", help="Maximum number of jobs of a sweep (default: 10000)")
    parser.add_argument("--force", action="store_true", help="Overwrite an earlier run in the same directory")
    return parser


def read_flags(words: Sequence[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """Return the parsed flags and overrides, and Hydra's parser, which --help needs.

    Raises:
        ConfigError: a flag is unknown, its value is invalid, or several modes are combined.
    """
    parser: Any = parser_of_runs()

    def refuse(message: str) -> NoReturn:
        raise ConfigError([Mistake("", message, hint="run hforch --help to see all flags")])

    parser.error = refuse
    args, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        from hforch.config.diagnose.unknown_flags import long_flags, unknown_flags

        flags = long_flags(forms_of(parser))
        raise ConfigError(unknown_flags(unknown, words, flags, "hforch", takes_overrides=True))
    args.overrides = [with_home(override) for override in args.overrides]
    if args.max_jobs is not None and args.max_jobs < 1:
        refuse(f"--max-jobs must be at least 1; got {args.max_jobs}")
    modes = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(args, name)]
    if len(modes) > 1:
        refuse(f"--run, --multirun, --cfg, --info and --shell-completion cannot be combined; got {len(modes)} of them")
    if args.resolve and not (args.cfg or args.help):
        refuse("--resolve requires --cfg or --help")
    if args.package is not None and not args.cfg:
        refuse("--package requires --cfg")
    if empty := [flag for flag in NAMES if getattr(args, flag) == ""]:
        mistakes = [Mistake("", f"--{flag.replace('_', '-')} is empty", hint=NOT_EMPTY) for flag in empty]
        raise ConfigError(mistakes)
    if args.shell_completion:
        _check_completion(args.overrides)
    return args, parser


def _check_completion(words: Sequence[str]) -> None:
    """Check the words after --shell-completion.

    Raises:
        ConfigError: they are not one command with the name of a shell.
    """
    commands = [word.partition("=") for word in words]
    hint = 'to install it in bash: eval "$(hforch -sc install=bash)"'
    if len(commands) != 1 or commands[0][0] not in COMPLETION:
        problem = f"--shell-completion requires one of {', '.join(f'{one}=SHELL' for one in COMPLETION)}"
        raise ConfigError([Mistake("", problem, " ".join(words) or None, hint)])
    name, _, shell = commands[0]
    if shell not in (known := shells()):
        raise ConfigError([Mistake("", f"unknown shell '{shell}'; available: {', '.join(known)}", words[0], hint)])
    if name == "query" and "COMP_LINE" not in os.environ:
        problem = "query is called by the shell, which sets COMP_LINE"
        raise ConfigError([Mistake("", problem, words[0], hint)])
