"""hforch resume DIR: resume a run or sweep that was stopped or killed, or that had failures."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hforch.commands._comparison_flags import add_skip_damaged
from hforch.commands._directories import HELP, run_directory
from hforch.commands._parser import CommandParser
from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import expanded, is_special
from hforch.utils.redaction import STRUCK

EXAMPLE = """\
Completed batches are kept; missing and failed ones are run. It is an error if the
configuration, the inputs or the model has changed. runtime.rounds=N, with a larger
number than before, measures more rounds.

examples:
  hforch resume outputs/2026-11-23/10-15-00-123456
  hforch resume latest --dry-run
  hforch resume latest runtime.rounds=10
"""


GRANTED = """overrides of the earlier command that can run code or change Hydra's settings, repeated to confirm that you
trust them; or runtime.rounds=N, to measure more rounds"""
AGAIN = "if you trust it, pass it again"
ROUNDS = "runtime.rounds"


def main(argv: list[str]) -> int:
    parser = CommandParser("resume", "Run the missing and failed samples of an earlier run or sweep.", EXAMPLE)
    parser.add_argument(
        "directory", metavar="DIR", type=run_directory, help=f"the directory of a run or of a whole sweep; {HELP}"
    )
    parser.add_argument("granted", metavar="key=value", nargs="*", help=GRANTED)
    parser.add_argument(
        "--config-dir",
        metavar="CONFIG_DIR",
        type=expanded,
        help="the --config-dir of the earlier command, if it had one",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the jobs that would run")
    parser.add_argument("--max-jobs", type=int, metavar="N", help="maximum number of jobs of a sweep (default: 10000)")
    parser.add_argument("--report", action="store_true", help="write report.html at the end")
    add_skip_damaged(parser)
    args = parser.parse_intermixed_args(argv)
    from hforch.config.home_paths import with_home

    args.granted = [with_home(override) for override in args.granted]
    from hforch.app.hydra_app import run_app

    directory = args.directory.absolute()
    asked, multirun, cwd = _recorded_command(directory, args.directory)
    if args.config_dir is None:
        args.config_dir = _own_project(asked, cwd)
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
        os.chdir(cwd)  # paths in the configuration are relative to the original working directory
        os.environ["PYTHONSAFEPATH"] = "1"  # but never import modules from it, not even in child processes
    if recipe is not None and not recipe.is_file():
        raise ConfigError([Mistake("", f"recipe not found: {recipe}, which the earlier command used")])
    return run_app([*words, *overrides], recipe=recipe, resume=directory, skip_damaged=args.skip_damaged)


def _own_project(asked: Mapping[str, Any], cwd: str | None) -> Path | None:
    """Return the --config-dir of a record if it is that of the project in the current directory, else None."""
    from hforch.config.project import DIRECTORY, NAME, found_project

    recorded = Path(cwd or "", str(asked.get("config_dir") or ""))
    if asked.get("config_name") != NAME or found_project() is None:
        return None
    return Path(DIRECTORY) if recorded.resolve() == Path(DIRECTORY).resolve() else None


def _overrides(
    asked: Mapping[str, Any], granted: Sequence[str], config_dir: Path | None, typed: Path, missing: Sequence[str]
) -> list[str]:
    """Return the overrides of a record, checking that the user has passed again those that can run code.

    Args:
        missing: overrides with a credential, which the record does not contain.

    Raises:
        ConfigError: overrides must be passed again, or an override that was passed is not in the record.
    """
    from hforch.config.untrusted import CHOSEN_ANEW, OPTION, unsafe_overrides

    more, granted = _split(granted)
    found = [str(text) for text in asked["overrides"] if not str(text).startswith(CHOSEN_ANEW)]
    found = [text for text in found if not (more and _key(text) == ROUNDS)] + more
    whole = {_key(text): text for text in granted}
    given_again = [text for text in missing if _key(text) in whole]
    found = [whole[_key(text)] if text in given_again else text for text in found]
    unsaid = [text for text in missing if text in found and text not in given_again]
    lacking = [(text, what) for text, what in unsafe_overrides(found) if text not in granted and text not in unsaid]
    needed = [text for text, _ in lacking] + unsaid
    mistakes = [Mistake(_key(text), f"the recorded override {text} {what}", None, AGAIN) for text, what in lacking]
    problem = f"contained a credential, which the record stores as {STRUCK}"
    mistakes += [Mistake(_key(text), problem, text, f"{AGAIN}, with the credential") for text in unsaid]
    if asked.get("config_dir") and config_dir is None:
        needed += ["--config-dir", str(asked["config_dir"])]
        problem = f"the run used options in {asked['config_dir']}, which can run code"
        mistakes.append(Mistake("--config-dir", problem, None, AGAIN))
    name = asked.get("config_name")
    if name and not (isinstance(name, str) and OPTION.fullmatch(name)):
        mistakes.append(Mistake("--config-name", f"{name!r} is not a valid config name"))
    if mistakes:
        command = shlex.join(["hforch", "resume", str(typed), *granted, *needed])
        last = replace(mistakes[-1], hint=f"{AGAIN}: {command}")
        raise ConfigError([*mistakes[:-1], last])
    if unknown := [text for text in granted if text not in found]:
        problem = "is not an override of the earlier command; resume cannot change the configuration"
        raise ConfigError([Mistake(_key(text), f"{text} {problem}", None, None) for text in unknown])
    return found


def _split(granted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the override that sets the number of rounds, if any, and the others."""
    more = [text for text in granted if _key(text) == ROUNDS]
    return more[-1:], [text for text in granted if text not in more]


def _redacted(directory: Path, asked: Mapping[str, Any]) -> list[str]:
    """Return the recorded overrides in which a credential was redacted."""
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
    """Raise ConfigError if the directory contains FIFOs, devices, or symlinks, which could point to other files."""
    from hforch.runs.output_dirs import unwritable_paths

    found = sorted(directory.rglob("*"))
    hint = "replace it with the file or directory itself"
    mistakes = [
        Mistake("", f"{one} is a symbolic link; resume does not write through links", None, hint)
        for one in found
        if one.is_symlink()
    ]
    mistakes += [
        Mistake("", f"{one} is not a regular file", None, "remove it")
        for one in found
        if not one.is_symlink() and is_special(one)
    ]
    mistakes = mistakes or unwritable_paths(directory)
    if mistakes:
        raise ConfigError(mistakes)


def _recorded_command(directory: Path, typed: Path) -> tuple[Mapping[str, Any], bool, str | None]:
    """Return the recorded command, whether it was a sweep, and its working directory."""
    from hforch.records.record_files import RECORD, known_record
    from hforch.records.sweep_file import SWEEP, read_sweep

    if (directory / SWEEP).is_file():
        sweep = read_sweep(directory)
        return sweep["asked"], True, sweep.get("cwd")
    if not (directory / RECORD).is_file():
        problem = f"nothing to resume in {typed}: it contains neither {SWEEP} nor {RECORD}"
        hint = "pass the directory that hforch printed at the end of the run or sweep"
        raise ConfigError([Mistake("", problem if directory.is_dir() else f"directory not found: {typed}", None, hint)])
    if (directory.parent / SWEEP).is_file():
        hint = f"to resume the sweep: hforch resume {typed.parent}"
        raise ConfigError([Mistake("", f"{typed} is one job of a sweep", None, hint)])
    record = known_record(directory)
    if not isinstance(record.get("overrides"), list):
        problem = f"{typed / RECORD} does not contain the command line"
        raise ConfigError([Mistake("", problem, None, "start a new run in another directory")])
    return record, False, record.get("cwd")
