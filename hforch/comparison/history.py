"""The runs and sweeps below directories such as outputs/: when they started, what they ran, and their status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hforch.comparison.axes import axes_of
from hforch.comparison.entries import NOT_RUN, Entry, has_records, readable_jobs, run_directories
from hforch.errors import ConfigError, Mistake
from hforch.records.directory_lock import is_in_use
from hforch.records.record_files import RECORD, read_versioned
from hforch.records.sweep_file import SWEEP, read_sweep

ROOTS = (Path("outputs"), Path("multirun"))
"""The directories in which hforch and Hydra write by default."""

LATEST = "latest"  # stands for the newest run or sweep wherever a command accepts a directory
RUNNING, KILLED, UNREADABLE = "running", "killed", "unreadable"
MOST_VALUES = 6  # maximum number of values of an axis that are listed

Kind = Literal["run", "sweep"]


@dataclass(frozen=True)
class PastRun:
    """A run, or a whole sweep.

    Attributes:
        started: when it started; if no record has the time, when its directory was last changed.
        what: what was run: the recipe, and the overrides of a run or the settings that differ between jobs of a sweep.
        status: `ok`, or the number of jobs by status, such as `3 ok, 1 failed`.
        jobs: the number of jobs by status.
        checks: the numbers of passed and of all checks; None without checks.
        problems: why records cannot be read.
    """

    directory: Path
    kind: Kind
    started: datetime
    what: str
    status: str
    jobs: Mapping[str, int]
    checks: tuple[int, int] | None = None
    problems: Sequence[str] = field(default=())

    def as_values(self) -> dict[str, Any]:
        """Return the attributes as JSON-compatible values."""
        checks = dict(zip(("passed", "total"), self.checks, strict=True)) if self.checks else None
        return {
            "directory": str(self.directory),
            "kind": self.kind,
            "started": self.started.isoformat(timespec="milliseconds"),
            "what": self.what,
            "status": self.status,
            "jobs": dict(self.jobs),
            "checks": checks,
            "problems": list(self.problems),
        }


def past_runs(roots: Iterable[Path] | None = None) -> list[PastRun]:
    """Return the runs and sweeps in directories, newest first.

    Args:
        roots: directories of runs and sweeps, or directories that contain such directories; None: those of ROOTS that
            exist.

    Raises:
        ConfigError: a directory does not exist or cannot be read.
    """
    found = {directory.resolve(): _past_run(directory) for directory in _directories(roots)}
    return sorted(found.values(), key=lambda one: (one.started, str(one.directory)), reverse=True)


def newest() -> Path:
    """Return the directory of the newest run or sweep in the current directory.

    Raises:
        ConfigError: no run was found, or a directory cannot be read.
    """
    found = max(_directories(None), key=lambda one: (_started(one), str(one)), default=None)
    if found is None:
        places = " or ".join(f"{root}/" for root in ROOTS)
        hint = "pass the directory of a run or sweep, or start a run first"
        raise ConfigError([Mistake("", f"'{LATEST}': no runs found in {places}", None, hint)])
    return found


def _directories(roots: Iterable[Path] | None) -> Iterator[Path]:
    for root in [one for one in ROOTS if one.is_dir()] if roots is None else roots:
        if not root.is_dir():
            problem = f"{root} is a file, not a directory" if root.exists() else f"directory not found: {root}"
            raise ConfigError([Mistake("", problem)])
        try:
            yield from [root] if has_records(root) else run_directories(root)
        except OSError as error:
            problem = f"cannot read directory {error.filename}: {(error.strerror or str(error)).lower()}"
            raise ConfigError([Mistake("", problem)]) from error


def _past_run(directory: Path) -> PastRun:
    entries, unread = readable_jobs([directory])
    kind: Kind = "run" if (directory / RECORD).is_file() else "sweep"
    command = _command(directory, kind, entries)
    if kind == "sweep" and not entries and command:
        statuses, unread = Counter({NOT_RUN: len(command["jobs"])}), []
    else:
        statuses = Counter(str(entry.record.get("status")) for entry in entries)
        statuses.update([UNREADABLE] * len(unread))
    going = any(status != "ok" for status in statuses) and is_in_use(directory)
    if unfinished := statuses.pop("partial", 0):
        statuses[RUNNING if going else KILLED] = unfinished
    checks = [counted for entry in entries if (counted := (entry.record.get("totals") or {}).get("checks"))]
    return PastRun(
        directory,
        kind,
        _started(directory),
        _what(command.get("asked") or command, axes_of(entries) if kind == "sweep" else {}),
        _whole_status(statuses, kind, going),
        statuses,
        (sum(one["passed"] for one in checks), sum(one["total"] for one in checks)) if checks else None,
        [one.problem for one in unread],
    )


def _command(directory: Path, kind: Kind, entries: Sequence[Entry]) -> Mapping[str, Any]:
    """Return the record of a run, or the sweep.json of a sweep; empty if it cannot be read."""
    if kind == "run":
        return entries[0].record if entries else {}
    try:
        return read_sweep(directory)
    except (ConfigError, OSError, ValueError):
        return {}


def _whole_status(statuses: Mapping[str, int], kind: Kind, going: bool) -> str:
    """Return the status of a run, or of a sweep from the numbers of its jobs by status."""
    if len(statuses) == 1 and (kind == "run" or "ok" in statuses):
        return next(iter(statuses))
    told = ", ".join(f"{number} {status}" for status, number in statuses.items())
    return f"{RUNNING}: {told}" if going else told


def _what(command: Mapping[str, Any], axes: Mapping[str, Mapping[str, str]]) -> str:
    """Return the recipe or primary config of a command, its overrides, and the settings that differ between jobs.

    Args:
        axes: for each job of a sweep, the settings that differ.
    """
    parts = [Path(str(command["recipe"])).name] if command.get("recipe") else []
    parts += [f"--config-name {command['config_name']}"] if command.get("config_name") else []
    swept: dict[str, list[str]] = {}
    for own in axes.values():
        for name, value in own.items():
            swept.setdefault(name, []).append(value)
    typed = [str(text) for text in command.get("overrides") or ()]
    parts += [text for text in typed if not text.lstrip("+~").startswith("hydra.") and _key(text) not in swept]
    parts += [f"{name}={_values(values)}" for name, values in swept.items()]
    return " ".join(" ".join(parts).split()) or "the defaults"


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _values(values: Sequence[str]) -> str:
    different = list(dict.fromkeys(values))
    more = len(different) - MOST_VALUES
    return ",".join(different) if more <= 0 else f"{','.join(different[:MOST_VALUES])},... ({len(different)} values)"


def _started(directory: Path) -> datetime:
    """Return when a run or sweep started, or when its directory last changed if its record does not have the time."""
    for name in (RECORD, SWEEP):
        with suppress(ConfigError, ValueError):
            found = datetime.fromisoformat(str(read_versioned(directory / name).get("started")))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return datetime.fromtimestamp(directory.stat().st_mtime, UTC)
