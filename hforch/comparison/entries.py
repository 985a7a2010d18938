"""Read the jobs of runs and sweeps from their directories."""

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
from hforch.runs.repeats import SHORTEST_S
from hforch.utils.redaction import redacted_tree

Read = TypeVar("Read")
DEPTH = 4  # maximum depth of subdirectories that are searched for runs
NOT_RUN = "not run"  # the status of a job that its sweep did not reach


def is_only_shown(path: str) -> bool:
    """Return whether a config path affects only how a job is displayed, checked or scored, not its outputs."""
    return affects(path, others(TELLS_APART))


@dataclass(frozen=True)
class Entry:
    """A job of a run or sweep.

    Attributes:
        name: its name in tables: the number in its sweep, with the sweep's directory if there are several.
        samples: the directory with its samples: its own, or that of the identical job that was run instead.
        noise: relative change of the first batch's time between loading and unloading its model (0.1: 10% more time).
        skips_damaged: whether damaged lines of samples.jsonl are skipped; otherwise they are an error.
        job: the configuration in its record, with keys that were added since.
    """

    name: str
    directory: Path
    record: Mapping[str, Any] = field(repr=False)
    samples: Path = field(repr=False)
    noise: float | None = None
    skips_damaged: bool = False
    job: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "job", with_added_keys(self.record.get("job") or {}))

    @property
    def was_run(self) -> bool:
        """Whether its sweep reached it."""
        return self.record.get("status") != NOT_RUN

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the job."""
        return self.record.get("status") == "interrupted"

    @property
    def unfinished(self) -> str | None:
        """Why the job did not attempt all inputs; None if it did."""
        status, error = str(self.record.get("status")), self.record.get("error") or {}
        if not self.was_run:
            return "the job was not run"
        if self.is_interrupted:
            return "the job was interrupted"
        if status == "partial":
            return "the job is still running or was killed"
        return first_line(str(error["message"]), LONGEST) if error.get("message") else None

    @property
    def overrides(self) -> dict[str, str]:
        """The overrides from the command line or the sweep, by key."""
        pairs = (text.lstrip("+~").partition("=") for text in self.record.get("overrides") or [])
        return {key: value for key, _, value in pairs}

    def get(self, path: str) -> Any:
        """Return a value of the job by its dotted path, or None."""
        value: Any = self.job
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def read_jobs(paths: Sequence[Path]) -> list[Entry]:
    """Return all jobs in directories of runs or sweeps, and in directories that contain such directories.

    Raises:
        ConfigError: directories contain no records, or records cannot be read.
    """
    found, mistakes = readable_jobs(paths)
    if mistakes:
        raise ConfigError(mistakes)
    return found


def readable_jobs(paths: Sequence[Path]) -> tuple[list[Entry], list[Mistake]]:
    """Return the readable jobs in these directories, and the errors of the others."""
    mistakes: list[Mistake] = []
    found: dict[str, Entry] = {}
    reads = (partial(_jobs, path, name, mistakes) for path, name in zip(paths, _names(paths), strict=True))
    for entry in chain.from_iterable(_all_of(reads, mistakes)):
        found.setdefault(os.path.realpath(entry.directory), entry)
    return list(found.values()), mistakes


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each directory: its path relative to their common parent, or "" if there is only one."""
    if len(paths) < 2:
        return [""]
    whole = [one.absolute() for one in paths]
    shared = Path(os.path.commonpath(whole))
    return [os.path.relpath(one, shared.parent if shared in whole else shared) for one in whole]


def _jobs(path: Path, name: str, mistakes: list[Mistake]) -> list[Entry]:
    """Return the jobs in a directory.

    Args:
        name: the name of the directory in tables; empty if it is the only one.
    """
    if not path.is_dir():
        problem = f"{path} is a file, not a directory" if path.exists() else f"directory not found: {path}"
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
    below = list(run_directories(path))
    if not below:
        hint = "pass the directory that hforch printed at the end of the run or sweep"
        raise ConfigError([Mistake("", f"no records found in {path}", None, hint)])
    deeper = (partial(_jobs, one, f"{prefix}{one.relative_to(path)}", mistakes) for one in below)
    return list(chain.from_iterable(_all_of(deeper, mistakes)))


def has_records(path: Path) -> bool:
    """Return whether a directory is that of a run or sweep."""
    return any((path / name).is_file() for name in (RECORD, SWEEP)) or bool(_numbered(path))


def run_directories(path: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield the directories of runs and sweeps below a directory such as outputs/."""
    for one in sorted(path.iterdir()):
        if not one.is_dir() or one.name.startswith("."):
            continue
        if has_records(one):
            yield one
        elif depth > 1 and not one.is_symlink():
            yield from run_directories(one, depth - 1)


def _all_of(reads: Iterable[Callable[[], Read]], mistakes: list[Mistake]) -> list[Read]:
    """Return the results of the successful reads; append the errors of the others to `mistakes`."""
    found = []
    for read in reads:
        try:
            found.append(read())
        except ConfigError as error:
            mistakes += error.mistakes
        except (OSError, ValueError, RecursionError) as error:  # no permission, or an invalid path
            mistakes.append(Mistake("", f"cannot read a directory or record: {error}"))
    return found


def _of_sweep(path: Path, sweep: Mapping[str, Any], prefix: str, mistakes: list[Mistake]) -> list[Entry]:
    """Return the jobs of a sweep, including those that were not run.

    Raises:
        ConfigError: no job was run.
    """
    noise = dict(_noise(sweep.get("noise")))
    reads = [partial(_in_sweep, path / one["directory"], one, prefix, noise) for one in sweep["jobs"]]
    entries = _all_of(reads, mistakes)
    if len(entries) == len(reads) and not any(entry.was_run for entry in entries):
        problem = f"none of the {len(entries)} jobs of {path} was run"
        raise ConfigError([Mistake("", problem, None, f"to run them: hforch resume {path}")])
    return entries


def _noise(told: Any) -> Iterator[tuple[str, float]]:
    """Yield the load key of each model, and the relative change of its first batch's time while it was loaded.

    Models whose first batch took less than SHORTEST_S are omitted: the scheduler alone changes such a time by 10%.
    """
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and isinstance(one.get("load_key"), str) and isinstance(one.get("drift"), int | float):
            times = (one.get("first_s", SHORTEST_S), one.get("again_s", SHORTEST_S))
            if all(isinstance(time, int | float) and time >= SHORTEST_S for time in times):
                yield one["load_key"], one["drift"]


def _in_sweep(directory: Path, planned: Mapping[str, Any], prefix: str, noise: Mapping[str, float]) -> Entry:
    """Return a job of a sweep. If it was not run, the data come from sweep.json."""
    name = f"{prefix}{planned['directory']}"
    if (directory / RECORD).is_file():
        return _entry(directory, name, noise)
    told = redacted_tree({key: planned[key] for key in ("job", "overrides", "job_id", "load_key")})
    return Entry(name, directory, {"status": NOT_RUN, **told}, directory)


def _numbered(path: Path) -> list[Path]:
    """Return the numbered job directories of a sweep whose sweep.json is missing, in order."""
    numbered = [one for one in path.iterdir() if re.fullmatch(r"\d+", one.name) and (one / RECORD).is_file()]
    return sorted(numbered, key=lambda one: int(one.name))


def _entry(directory: Path, name: str, noise: Mapping[str, float]) -> Entry:
    record = known_record(directory)
    plan = record.pop("plan", None)  # input ids, too many to redact
    record = {**redacted_tree(record), **({} if plan is None else {"plan": plan})}
    same = record.get("same_as")
    samples = Path(os.path.realpath(directory / same)) if same else directory
    return Entry(name, directory, record, samples, noise.get(record.get("load_key", "")))


def samples_of(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield the samples of a job, except an incomplete last line.

    Raises:
        ConfigError: lines are damaged and are not skipped; raised after the last sample.
    """
    samples = Samples(entry.samples, entry.record)
    yield from samples
    if not entry.skips_damaged:
        samples.refuse()
