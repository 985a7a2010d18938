"""hforch resume DIR: go on with a run or a sweep that was stopped, killed, or had failures."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hforch.commands._comparison_flags import add_skip_damaged
from hforch.commands._parser import VerbParser
from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import is_special
from hforch.utils.redaction import STRUCK

EXAMPLE = """\
Whole batches that were answered stay as they are; the others, and failed ones, are run. Nothing is run if the
configuration, the inputs or the model have changed meanwhile.

  hforch resume outputs/2026-11-23/10-15-00-123456
  hforch resume outputs/2026-11-23/10-15-00-123456 --dry-run
"""


GRANTED = """what of the earlier command line only you may decide (code that is trusted, settings of Hydra's), once
more: a record may come from somebody else"""
AGAIN = "if you trust it, give it once more"


def main(argv: list[str]) -> int:
    parser = VerbParser("resume", "Run what is missing or failed in an earlier run or sweep.", EXAMPLE)
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory of a run, or of a whole sweep")
    parser.add_argument("granted", metavar="key=value", nargs="*", help=GRANTED)
    parser.add_argument("--config-dir", metavar="CONF", type=Path, help="the folder of your own options, if it had one")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs that would be run")
    parser.add_argument("--max-jobs", type=int, metavar="N", help="allow a sweep of so many jobs; 10000 otherwise")
    parser.add_argument("--report", action="store_true", help="write a page of it at the end")
    add_skip_damaged(parser)
    args = parser.parse_intermixed_args(argv)
    from hforch.app.hydra_app import run_app

    directory = args.directory.absolute()
    asked, multirun, cwd = _recorded_command(directory, args.directory)
    missing = _redacted(directory, asked)
    overrides = _overrides(asked, args.granted, args.config_dir, args.directory, missing)
    _refuse_links(directory)
    words = ["-m"] if multirun else []
    words += ["--dry-run"] if args.dry_run else []
    words += ["--report"] if args.report else []
    words += ["--max-jobs", str(args.max_jobs)] if args.max_jobs is not None else []
    words += ["--config-dir", str(args.config_dir.absolute())] if args.config_dir else []
    words += ["--config-name", asked["config_name"]] if asked.get("config_name") else []
    recipe = Path(asked["recipe"]) if asked.get("recipe") else None
    if cwd and Path(cwd).is_dir():
        os.chdir(cwd)  # what the configuration names is found from where it was run
        os.environ["PYTHONSAFEPATH"] = "1"  # and no module: processes that are started there import what we do
    if recipe is not None and not recipe.is_file():
        raise ConfigError([Mistake("", f"the recipe {recipe} of that run is not there any more")])
    return run_app([*words, *overrides], recipe=recipe, resume=directory, skip_damaged=args.skip_damaged)


def _overrides(
    asked: Mapping[str, Any], granted: Sequence[str], config_dir: Path | None, typed: Path, missing: Sequence[str]
) -> list[str]:
    """The overrides of a record, which is data: what is more than that has to be given once more.

    Args:
        missing: those that held a credential, which is not in the record.

    Raises:
        ConfigError: with all that has to be, and with what was given and is not in the record.
    """
    from hforch.config.untrusted import CHOSEN_ANEW, OPTION, unsafe_overrides

    found = [str(text) for text in asked["overrides"] if not str(text).startswith(CHOSEN_ANEW)]
    whole = {_key(text): text for text in granted}
    given_again = [text for text in missing if _key(text) in whole]
    found = [whole[_key(text)] if text in given_again else text for text in found]
    unsaid = [text for text in missing if text in found and text not in given_again]
    lacking = [(text, what) for text, what in unsafe_overrides(found) if text not in granted and text not in unsaid]
    needed = [text for text, _ in lacking] + unsaid
    mistakes = [Mistake(_key(text), f"the record's {text} {what}", None, AGAIN) for text, what in lacking]
    problem = f"held a credential, of which the record keeps {STRUCK}"
    mistakes += [Mistake(_key(text), problem, text, f"{AGAIN}, with what stood there") for text in unsaid]
    if asked.get("config_dir") and config_dir is None:
        needed += ["--config-dir", str(asked["config_dir"])]
        problem = f"the run had options in {asked['config_dir']}, which can run code"
        mistakes.append(Mistake("--config-dir", problem, None, AGAIN))
    name = asked.get("config_name")
    if name and not (isinstance(name, str) and OPTION.fullmatch(name)):
        mistakes.append(Mistake("--config-name", f"{name!r} is not the name of a config"))
    if mistakes:
        command = shlex.join(["hforch", "resume", str(typed), *granted, *needed])
        last = replace(mistakes[-1], hint=f"{AGAIN}: {command}")
        raise ConfigError([*mistakes[:-1], last])
    if unknown := [text for text in granted if text not in found]:
        problem = "is not among what was asked for there, and a resume changes nothing"
        raise ConfigError([Mistake(_key(text), f"{text} {problem}", None, None) for text in unknown])
    return found


def _redacted(directory: Path, asked: Mapping[str, Any]) -> list[str]:
    """The overrides that are not in the record as they were typed, because they held a credential."""
    from hforch.records.record_files import RECORD, read_versioned
    from hforch.records.sweep_file import SWEEP, read_sweep

    sweep = (directory / SWEEP).is_file()
    jobs = read_sweep(directory)["jobs"] if sweep else [read_versioned(directory / RECORD)]
    paths = [str(path) for job in jobs for path in job.get("redacted") or []]

    def lies_there(key: str) -> bool:
        return key.startswith("hydra") or any(f"{path}.".startswith(f"{key}.") for path in paths)

    return [str(text) for text in asked["overrides"] if STRUCK in str(text) and lies_there(_key(str(text)))]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~-")


def _refuse_links(directory: Path) -> None:
    """Refuse a directory with links in it, through which files elsewhere would be changed, or FIFOs and devices.

    Raises:
        ConfigError: with all of them.
    """
    from hforch.runs.output_dirs import answers_in_the_way

    found = sorted(directory.rglob("*"))
    hint = "put the files there themselves"
    mistakes = [
        Mistake("", f"{one} is a link, and a resume would write through it", None, hint)
        for one in found
        if one.is_symlink()
    ]
    mistakes += [
        Mistake("", f"{one} is not a regular file", None, "remove it")
        for one in found
        if not one.is_symlink() and is_special(one)
    ]
    mistakes = mistakes or answers_in_the_way(directory)
    if mistakes:
        raise ConfigError(mistakes)


def _recorded_command(directory: Path, typed: Path) -> tuple[Mapping[str, Any], bool, str | None]:
    """What was asked for there, whether it was a sweep, and in which directory the command was given."""
    from hforch.records.record_files import RECORD, known_record
    from hforch.records.sweep_file import SWEEP, read_sweep

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
    record = known_record(directory)
    if not isinstance(record.get("overrides"), list):
        problem = f"{typed / RECORD} does not say what was asked for"
        raise ConfigError([Mistake("", problem, None, "run it anew, in another directory")])
    return record, False, record.get("cwd")
