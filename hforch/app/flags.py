"""Parse Hydra's flags and overrides, in any order, with hints for unknown flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from hforch.config.hydra_adapter.jobs import flags_of, flags_parser
from hforch.errors import ConfigError, Mistake


def read_flags(words: Sequence[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """Return the parsed flags and overrides, and Hydra's parser, which --help needs.

    Raises:
        ConfigError: a flag is unknown, its value is invalid, or several modes are combined.
    """
    parser: Any = flags_parser()
    parser.allow_abbrev = False
    parser.add_argument(
        "--dry-run", action="store_true", help="List the jobs and their requirements, without running them"
    )
    parser.add_argument("--report", action="store_true", help="Write report.html at the end of the run or sweep")
    parser.add_argument("--max-jobs", type=int, metavar="N", help="Maximum number of jobs of a sweep (default: 10000)")
    parser.add_argument("--force", action="store_true", help="Overwrite an earlier run in the same directory")

    def refuse(message: str) -> NoReturn:
        raise ConfigError([Mistake("", message, hint="run hforch --help to see all flags")])

    parser.error = refuse
    args, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        raise ConfigError([_unknown(word, parser) for word in unknown])
    if args.max_jobs is not None and args.max_jobs < 1:
        refuse(f"--max-jobs must be at least 1; got {args.max_jobs}")
    modes = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(args, name)]
    if len(modes) > 1:
        refuse(f"--run, --multirun, --cfg, --info and --shell-completion cannot be combined; got {len(modes)} of them")
    if args.resolve and not (args.cfg or args.help):
        refuse("--resolve requires --cfg or --help")
    return args, parser


def _unknown(word: str, parser: argparse.ArgumentParser) -> Mistake:
    from hforch.config.diagnose.suggestions import nearest

    found = nearest(word.partition("=")[0], flags_of(parser))
    return Mistake(
        "", f"unknown flag {word}", hint=f"did you mean {found}?" if found else "run hforch --help to see all flags"
    )
