"""The jobs to compare: directories of runs and of sweeps, read as records and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from hforch.config.added_keys import with_added_keys
from hforch.config.affects import TELLS_APART, others
from hforch.config.keys import affects
from hforch.errors import LONGEST, ConfigError, Mistake, first_line
from hforch.records.record_files import RECORD, known_record
from hforch.records.sample_lines import Samples
from hforch.records.sweep_file import SWEEP, read_sweep
from hforch.utils.redaction import redacted_tree

Read = TypeVar("Read")
DEPTH = 4  # directories below the one that is named in which runs are looked for
NOT_RUN = "not run"  # the status of a job that its sweep had not come to


def is_only_shown(path: str) -> bool:
    """Whether a dotted path is of how a job is shown, judged or scored, and decides no output."""
    return affects(path, others(TELLS_APART))


@dataclass(frozen=True)
class Entry:
    """One job that has run.

    Attributes:
        name: how it is called in tables: its number in its sweep, with the sweep's directory if there are several.
        samples: the directory that holds its samples: its own, or that of the job that was run in its stead.
        noise: how much slower (0.1: by a tenth) the machine was when its model was dropped than when it was loaded.
        skips_damaged: whether lines that are no samples of it are left out, and not refused.
        job: the configuration of its record, with keys that are newer than the record.
    """

    name: str
    directory: Path
    record: Mapping[str, Any]
    samples: Path
    noise: float | None = None
    skips_damaged: bool = False
    job: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "job", with_added_keys(self.record.get("job") or {}))

    @property
    def was_run(self) -> bool:
        """Whether its sweep had come to it."""
        return self.record.get("status") != NOT_RUN

    @property
    def unfinished(self) -> str | None:
        """Why it has not answered all its inputs; None if it has tried."""
        status, error = str(self.record.get("status")), self.record.get("error") or {}
        if not self.was_run:
            return "it has not been run"
        if status == "interrupted":
            return "interrupted"
        if status == "partial":
            return "not finished: it runs now, or was killed"
        return first_line(str(error["message"]), LONGEST) if error.get("message") else None

    @property
    def overrides(self) -> dict[str, str]:
        """What was chosen on the command line or swept over, by key."""
        pairs = (text.lstrip("+~").partition("=") for text in self.record.get("overrides") or [])
        return {key: value for key, _, value in pairs}

    def get(self, path: str) -> Any:
        """A value of the job by its dotted path; None if there is none."""
        value: Any = self.job
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def read_jobs(paths: Sequence[Path]) -> list[Entry]:
    """All jobs in these directories: of runs, of sweeps, or directories that hold such.

    Raises:
        ConfigError: with a mistake for each directory without records, and each record that cannot be read.
    """
    found, mistakes = readable_jobs(paths)
    if mistakes:
        raise ConfigError(mistakes)
    return found


def readable_jobs(paths: Sequence[Path]) -> tuple[list[Entry], list[Mistake]]:
    """The jobs in these directories that can be read, and what is wrong with the others."""
    mistakes: list[Mistake] = []
    found: dict[str, Entry] = {}
    reads = (partial(_jobs, path, name, mistakes) for path, name in zip(paths, _names(paths), strict=True))
    for entry in chain.from_iterable(_all_of(reads, mistakes)):
        found.setdefault(os.path.realpath(entry.directory), entry)
    return list(found.values()), mistakes


def _names(paths: Sequence[Path]) -> list[str]:
    """What tells the directories apart: nothing for a single one, else their paths from where they part."""
    if len(paths) < 2:
        return [""]
    whole = [one.absolute() for one in paths]
    shared = Path(os.path.commonpath(whole))
    return [os.path.relpath(one, shared.parent if shared in whole else shared) for one in whole]


def _jobs(path: Path, name: str, mistakes: list[Mistake]) -> list[Entry]:
    """The jobs in a directory.

    Args:
        name: what tells it apart from others; empty if there are none.
    """
    if not path.is_dir():
        problem = f"{path} is a file, and not a directory" if path.exists() else f"there is no directory {path}"
        raise ConfigError([Mistake("", problem)])
    if (path / RECORD).is_file():
        return [_entry(path, name or path.name, {})]
    prefix = f"{name}/" if name else ""
    if (path / SWEEP).is_file():
        sweep = _all_of([partial(read_sweep, path)], mistakes)
        if sweep or not _numbered(path):
            return _of_sweep(path, sweep[0], prefix, mistakes) if sweep else []
    if numbered := _numbered(path):
        reads = [partial(_entry, directory, f"{prefix}{directory.name}", {}) for directory in numbered]
        return _all_of(reads, mistakes)
    below = list(_below(path, DEPTH))
    if not below:
        hint = "name the directory of a run or of a sweep, as printed at its end"
        raise ConfigError([Mistake("", f"{path} holds no records", None, hint)])
    deeper = (partial(_jobs, one, f"{prefix}{one.relative_to(path)}", mistakes) for one in below)
    return list(chain.from_iterable(_all_of(deeper, mistakes)))


def _below(path: Path, depth: int) -> Iterator[Path]:
    """The directories of runs and sweeps in a directory, such as outputs/ with its days."""
    for one in sorted(path.iterdir()):
        if not one.is_dir() or one.name.startswith("."):
            continue
        if _numbered(one) or any((one / name).is_file() for name in (RECORD, SWEEP)):
            yield one
        elif depth > 1 and not one.is_symlink():
            yield from _below(one, depth - 1)


def _all_of(reads: Iterable[Callable[[], Read]], mistakes: list[Mistake]) -> list[Read]:
    """What each of them reads; what those that fail say is added to the mistakes."""
    found = []
    for read in reads:
        try:
            found.append(read())
        except ConfigError as error:
            mistakes += error.mistakes
        except (OSError, ValueError, RecursionError) as error:  # no permission, or a path that is none
            mistakes.append(Mistake("", f"a directory or record cannot be read: {error}"))
    return found


def _of_sweep(path: Path, sweep: Mapping[str, Any], prefix: str, mistakes: list[Mistake]) -> list[Entry]:
    """The jobs of a sweep, those that were never run among them.

    Raises:
        ConfigError: none was run.
    """
    noise = dict(_noise(sweep.get("noise")))
    reads = [partial(_in_sweep, path / one["directory"], one, prefix, noise) for one in sweep["jobs"]]
    entries = _all_of(reads, mistakes)
    if len(entries) == len(reads) and not any(entry.was_run for entry in entries):
        problem = f"none of the {len(entries)} jobs of {path} has been run"
        raise ConfigError([Mistake("", problem, None, f"hforch resume {path} runs them")])
    return entries


def _noise(told: Any) -> Iterator[tuple[str, float]]:
    """How much slower the machine had become, by load key."""
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and isinstance(one.get("load_key"), str) and isinstance(one.get("drift"), int | float):
            yield one["load_key"], one["drift"]


def _in_sweep(directory: Path, planned: Mapping[str, Any], prefix: str, noise: Mapping[str, float]) -> Entry:
    """A job of a sweep; all that is known of one that was not run is what sweep.json says."""
    name = f"{prefix}{planned['directory']}"
    if (directory / RECORD).is_file():
        return _entry(directory, name, noise)
    told = redacted_tree({key: planned[key] for key in ("job", "overrides", "job_id", "load_key")})
    return Entry(name, directory, {"status": NOT_RUN, **told}, directory)


def _numbered(path: Path) -> list[Path]:
    """The directories of jobs of a sweep that has no sweep.json, in order."""
    numbered = [one for one in path.iterdir() if re.fullmatch(r"\d+", one.name) and (one / RECORD).is_file()]
    return sorted(numbered, key=lambda one: int(one.name))


def _entry(directory: Path, name: str, noise: Mapping[str, float]) -> Entry:
    record = known_record(directory)
    plan = record.pop("plan", None)  # ids, and many of them
    record = {**redacted_tree(record), **({} if plan is None else {"plan": plan})}
    same = record.get("same_as")
    samples = Path(os.path.realpath(directory / same)) if same else directory
    return Entry(name, directory, record, samples, noise.get(record.get("load_key", "")))


def samples_of(entry: Entry) -> Iterator[dict[str, Any]]:
    """The samples of a job, one after the other; a torn last line is left out.

    Raises:
        ConfigError: at the end, if lines are no samples of it, and are not to be left out.
    """
    samples = Samples(entry.samples, entry.record)
    yield from samples
    if not entry.skips_damaged:
        samples.refuse()
