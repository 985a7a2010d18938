"""Read the record.json of a job and its samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hforch.errors import ConfigError, Mistake
from hforch.records.damage import record_flaws
from hforch.records.record import SCHEMA_VERSION
from hforch.records.sample_lines import Samples
from hforch.records.versions import to_current
from hforch.utils.datafiles import read_json

RECORD = "record.json"
SCORES = "scores.jsonl"  # divergence from the baseline for each of its answers
DISTRIBUTIONS = "distributions.bin"  # next-token distributions of a baseline
CHANGED = "the file was modified after hforch wrote it; restore it or run again"


def read_record(directory: Path) -> dict[str, Any]:
    """Return the record in a job's directory, in the layout of this version.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is invalid.
    """
    found = read_json(directory / RECORD)
    if not isinstance(found, dict):
        raise ValueError(f"{directory / RECORD} is not a mapping")
    if damaged := record_flaws(found):
        raise ValueError(f"{directory / RECORD} is not a valid record: {damaged[0]}")
    return to_current(found)


def known_record(directory: Path) -> dict[str, Any]:
    """Return the record in a directory that the user passed, in the layout of this version.

    Raises:
        ConfigError: the record cannot be read, is invalid, or was written by a newer version of hforch.
    """
    path = directory / RECORD
    record = read_versioned(path)
    if found := record_flaws(record):
        problem = f"{path} is not a valid record: {'; '.join(found[:3])}"
        raise ConfigError([Mistake("", problem, None, CHANGED)])
    return to_current(record)


def read_versioned(path: Path) -> dict[str, Any]:
    """Return a record.json or sweep.json after checking its schema version only; its values may be invalid.

    Raises:
        ConfigError: the file cannot be read, is invalid, or was written by a newer version of hforch.
    """
    try:
        found = read_json(path)
    except OSError as error:
        problem = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise ConfigError([Mistake("", problem)]) from error
    except ValueError as error:
        raise ConfigError([Mistake("", f"cannot read {path}: {error}", None, CHANGED)]) from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if type(version) is not int or version < 1:
        raise ConfigError([Mistake("", f"{path} is not an hforch record: schema_version is missing or invalid")])
    if version > SCHEMA_VERSION:
        problem = f"{path} has schema version {version}; this version of hforch supports up to {SCHEMA_VERSION}"
        raise ConfigError([Mistake("", problem, None, "upgrade hforch")])
    return dict(found)


def read_samples(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the valid samples in a job's directory, whether or not they were planned."""
    yield from Samples(directory, {})
