"""hforch resume DIR: go on with a run or a sweep that was stopped, killed, or had failures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hforch.commands._parser import VerbParser
from hforch.errors import ConfigError, Mistake

EXAMPLE = """\
Whole batches that were answered stay as they are; the others, and failed ones, are run. Nothing is run if the
configuration, the inputs or the model have changed meanwhile.

  hforch resume outputs/2026-11-23/10-15-00-123456
  hforch resume outputs/2026-11-23/10-15-00-123456 --dry-run
"""


def main(argv: list[str]) -> int:
    parser = VerbParser("resume", "Run what is missing or failed in an earlier run or sweep.", EXAMPLE)
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory of a run, or of a whole sweep")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs that would be run")
    parser.add_argument("--report", action="store_true", help="write a page of it at the end")
    args = parser.parse_args(argv)
    from hforch.app.hydra import run_app

    directory = args.directory.absolute()
    asked, multirun, cwd = _asked(directory, args.directory)
    words = ["-m"] if multirun else []
    words += ["--dry-run"] if args.dry_run else []
    words += ["--report"] if args.report else []
    for flag, value in (("--config-dir", asked.get("config_dir")), ("--config-name", asked.get("config_name"))):
        words += [flag, str(value)] if value else []
    recipe = Path(asked["recipe"]) if asked.get("recipe") else None
    if cwd and Path(cwd).is_dir():
        os.chdir(cwd)  # what the configuration names is found from where it was run
    if recipe is not None and not recipe.is_file():
        raise ConfigError([Mistake("", f"the recipe {recipe} of that run is not there any more")])
    return run_app([*words, *asked["overrides"]], recipe=recipe, resume=directory)


def _asked(directory: Path, typed: Path) -> tuple[Mapping[str, Any], bool, str | None]:
    """What was asked for there, whether it was a sweep, and in which directory the command was given."""
    from hforch.runs.records import RECORD, read_versioned
    from hforch.runs.sweep import SWEEP, read_sweep

    if (directory / SWEEP).is_file():
        sweep = read_sweep(directory)
        return sweep["asked"], True, sweep.get("cwd")
    if not (directory / RECORD).is_file():
        problem = f"{typed} holds neither {SWEEP} nor {RECORD}, so nothing was begun there"
        hint = "name the directory of a run or of a sweep, as printed at its end"
        raise ConfigError(
            [Mistake("", problem if directory.is_dir() else f"there is no directory {typed}", None, hint)]
        )
    if (directory.parent / SWEEP).is_file():
        hint = f"hforch resume {typed.parent} goes on with all that is missing there"
        raise ConfigError([Mistake("", f"{typed} is one job of a sweep", None, hint)])
    record = read_versioned(directory / RECORD)
    if not isinstance(record.get("overrides"), list):
        problem = f"{typed / RECORD} does not say what was asked for"
        raise ConfigError([Mistake("", problem, None, "run it anew, in another directory")])
    return record, False, record.get("cwd")
