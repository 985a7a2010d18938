"""Protect the results of earlier runs and sweeps in an output directory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from os.path import commonpath, realpath  # pathlib's raises RuntimeError for circular symlinks
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
    """Return an error if a directory contains results of an earlier run, or is inside the directory of a sweep.

    Args:
        directory: the output directory.
        key: the override that names the directory.
    """
    other = "or use another directory"
    if any(has_samples(one) for one in [directory, *_jobs(directory)]):
        hint = f"to continue it: hforch resume {directory}; to overwrite it: --force; {other}"
        return [Mistake(key, f"{directory} contains the results of an earlier run", None, hint)]
    if (directory.parent / SWEEP).exists() and any(has_samples(one) for one in _jobs(directory.parent)):
        return [Mistake(key, f"{directory.parent} is the directory of a sweep", None, "use a directory outside it")]
    return []


def has_results(directory: Path) -> bool:
    """Return whether a directory is that of a run or a sweep, or is inside that of a sweep."""
    return any((directory / name).exists() for name in (RECORD, SWEEP)) or (directory.parent / SWEEP).exists()


def clear(directory: Path) -> None:
    """Delete the files of earlier runs in the directory; leave all others.

    Raises:
        ConfigError: a path that a run writes is a link or not a regular file.
    """
    if mistakes := unwritable_paths(directory):
        raise ConfigError(mistakes)
    for folder in [directory, *_jobs(directory)]:
        if not any((folder / name).exists() for name in (RECORD, SAMPLES, SWEEP)):
            continue
        for name in (*OF_A_JOB, *(OF_A_SWEEP if (folder / SWEEP).exists() else ())):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / ".hydra", ignore_errors=True)
        if folder != directory:
            with suppress(OSError):  # it contains other files
                folder.rmdir()


def unwritable_paths(directory: Path) -> list[Mistake]:
    """Return an error for each path that a run or sweep writes and that is a link or not a regular file."""
    hint = "remove it, or use another directory"
    return [
        Mistake("", f"cannot write {one}: it is {what}", None, hint)
        for folder in [directory, *_jobs(directory)]
        for one in _written(folder)
        if (what := _kind_of_content(one))
    ]


def refuse_links(directories: Iterable[Path]) -> None:
    """Reject job directories that are symbolic links.

    Raises:
        ConfigError: one error for each link.
    """
    hint = "remove it, or use another directory"
    found = [one for one in directories if one.is_symlink()]
    if found:
        raise ConfigError([Mistake("", f"job directory {one} is a symbolic link", None, hint) for one in found])


def _written(folder: Path) -> list[Path]:
    """Return the paths that a run or sweep may write in a directory."""
    hydra = folder / ".hydra"
    there = [hydra, *(folder / name for name in (*OF_A_JOB, *OF_A_SWEEP))]
    there += list(hydra.iterdir()) if hydra.is_dir() else []
    return there


def _kind_of_content(path: Path) -> str | None:
    """Return what a path is if a run must not write there, else None."""
    if path.is_symlink():
        return "a symbolic link"
    if path.is_dir() and path.name != ".hydra":
        return "a directory"
    return "not a regular file" if is_special(path) else None


def _jobs(directory: Path) -> list[Path]:
    """Return the job directories in a directory: those named by numbers and those listed in sweep.json."""
    found = {one for one in directory.iterdir() if one.name.isdigit()} if directory.is_dir() else set()
    with suppress(ConfigError):
        found |= {directory / str(one["directory"]) for one in read_sweep(directory)["jobs"]}
    own = realpath(directory)
    return sorted(one for one in found if commonpath([own, realpath(one)]) == own)
