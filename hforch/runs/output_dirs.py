"""Directories that hold what an earlier run or sweep answered: nothing is put in between it unasked."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from os.path import commonpath, realpath  # pathlib's raises RuntimeError for links in a circle
from pathlib import Path

from hforch.config.hydra_adapter.session import JOB_NAME
from hforch.errors import ConfigError, Mistake
from hforch.records.record_files import DISTRIBUTIONS, RECORD, SCORES
from hforch.records.record_writer import has_samples
from hforch.records.sample_lines import SAMPLES
from hforch.records.sweep_file import SWEEP, read_sweep
from hforch.utils.paths import is_special

REPORT = "report.html"
OF_A_JOB = (RECORD, SAMPLES, SCORES, DISTRIBUTIONS, f".{DISTRIBUTIONS}", f"{JOB_NAME}.log", REPORT)
OF_A_SWEEP = (SWEEP, "comparison.json", "comparison.md", "multirun.yaml", REPORT)


def mistakes_if_used(directory: Path, key: str) -> list[Mistake]:
    """A mistake if a run or sweep has left answers in a directory, or if it is within that of a sweep.

    Args:
        key: the override that names the directory.
    """
    other = "or name another directory"
    if any(has_samples(one) for one in [directory, *_jobs(directory)]):
        hint = f"hforch resume {directory} goes on with it; --force writes over it; {other}"
        return [Mistake(key, f"{directory} holds the answers of an earlier run", None, hint)]
    if (directory.parent / SWEEP).exists() and any(has_samples(one) for one in _jobs(directory.parent)):
        return [Mistake(key, f"{directory.parent} is the directory of a sweep", None, "name one outside of it")]
    return []


def clear(directory: Path) -> None:
    """Take away what earlier runs have written there, and nothing else.

    Raises:
        ConfigError: something else than a file stands where a run writes.
    """
    if mistakes := answers_in_the_way(directory):
        raise ConfigError(mistakes)
    for folder in [directory, *_jobs(directory)]:
        if not any((folder / name).exists() for name in (RECORD, SAMPLES, SWEEP)):
            continue
        for name in (*OF_A_JOB, *(OF_A_SWEEP if (folder / SWEEP).exists() else ())):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / ".hydra", ignore_errors=True)
        if folder != directory:
            with suppress(OSError):  # it holds what is somebody else's
                folder.rmdir()


def answers_in_the_way(directory: Path) -> list[Mistake]:
    """Mistakes for what stands where a run or sweep writes, and would lead it elsewhere, or block it."""
    hint = "remove it, or give another directory"
    return [
        Mistake("", f"{one} is {what}, where a run writes a file", None, hint)
        for folder in [directory, *_jobs(directory)]
        for one in _written(folder)
        if (what := _kind_of_content(one))
    ]


def refuse_links(directories: Iterable[Path]) -> None:
    """Refuse links where the jobs of a sweep have their directories.

    Raises:
        ConfigError: with all of them.
    """
    hint = "remove it, or give another directory"
    found = [one for one in directories if one.is_symlink()]
    if found:
        raise ConfigError([Mistake("", f"{one} is a link, where a job has its directory", None, hint) for one in found])


def _written(folder: Path) -> list[Path]:
    """What a run or sweep writes in a folder."""
    hydra = folder / ".hydra"
    there = [hydra, *(folder / name for name in (*OF_A_JOB, *OF_A_SWEEP))]
    there += list(hydra.iterdir()) if hydra.is_dir() else []
    return there


def _kind_of_content(path: Path) -> str | None:
    """What a path is, if it is not as a run writes it."""
    if path.is_symlink():
        return "a link"
    if path.is_dir() and path.name != ".hydra":
        return "a folder"
    return "no regular file" if is_special(path) else None


def _jobs(directory: Path) -> list[Path]:
    """The folders of jobs below, whether or not sweep.json names them."""
    found = {one for one in directory.iterdir() if one.name.isdigit()} if directory.is_dir() else set()
    with suppress(ConfigError):
        found |= {directory / str(one["directory"]) for one in read_sweep(directory)["jobs"]}
    own = realpath(directory)
    return sorted(one for one in found if commonpath([own, realpath(one)]) == own)
