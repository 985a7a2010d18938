"""Hydra's flags, read so that a mistyped one is a clear message and overrides may stand before and after them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from hforch.config.hydra_adapter.jobs import flags_of, flags_parser
from hforch.errors import ConfigError, Mistake


def read_flags(words: Sequence[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The flags and overrides of the Hydra app, and Hydra's parser, which its help needs.

    Raises:
        ConfigError: an unknown flag, a value that a flag does not take, or two modes at once.
    """
    parser: Any = flags_parser()
    parser.allow_abbrev = False
    parser.add_argument("--dry-run", action="store_true", help="List the jobs, and what they need; run nothing")
    parser.add_argument("--report", action="store_true", help="Write a page of the run or sweep at its end")
    parser.add_argument("--max-jobs", type=int, metavar="N", help="Allow a sweep of so many jobs; 10000 otherwise")
    parser.add_argument("--force", action="store_true", help="Write over an earlier run in the same directory")

    def refuse(message: str) -> NoReturn:
        raise ConfigError([Mistake("", message, hint="hforch --help shows the flags")])

    parser.error = refuse
    args, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        raise ConfigError([_unknown(word, parser) for word in unknown])
    if args.max_jobs is not None and args.max_jobs < 1:
        refuse(f"--max-jobs must be 1 or more, and is {args.max_jobs}")
    modes = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(args, name)]
    if len(modes) > 1:
        refuse(f"only one of --run, --multirun, --cfg, --info and --shell-completion at a time; got {len(modes)}")
    if args.resolve and not (args.cfg or args.help):
        refuse("--resolve goes with --cfg or --help")
    return args, parser


def _unknown(word: str, parser: argparse.ArgumentParser) -> Mistake:
    from hforch.config.diagnose.suggestions import nearest

    found = nearest(word.partition("=")[0], flags_of(parser))
    return Mistake(
        "", f"there is no flag {word}", hint=f"did you mean {found}?" if found else "hforch --help shows all"
    )
