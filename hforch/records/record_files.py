"""Reading what runs have left behind: record.json of a job, sweep.json, and the samples."""

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
SCORES = "scores.jsonl"  # by answer of the baseline, how far a job is from it
DISTRIBUTIONS = "distributions.bin"  # of a baseline, over the next token


def read_record(directory: Path) -> dict[str, Any]:
    """Return the record of a job's directory, in the layout of this version.

    Raises:
        OSError: there is none.
        ValueError: it is broken.
    """
    found = read_json(directory / RECORD)
    if not isinstance(found, dict):
        raise ValueError(f"{directory / RECORD} holds no mapping")
    if damaged := record_flaws(found):
        raise ValueError(f"{directory / RECORD} is not as hforch writes it: {damaged[0]}")
    return to_current(found)


def known_record(directory: Path) -> dict[str, Any]:
    """Return the record of a job's directory, which may come from elsewhere, in the layout of this version.

    Raises:
        ConfigError: it cannot be read, is of a newer version of hforch, or not as hforch writes it.
    """
    path = directory / RECORD
    record = read_versioned(path)
    if found := record_flaws(record):
        problem = f"{path} is not as hforch writes it: {'; '.join(found[:3])}"
        raise ConfigError([Mistake("", problem, None, "something else has changed it")])
    return to_current(record)


def read_versioned(path: Path) -> dict[str, Any]:
    """Return a record.json or sweep.json that may come from elsewhere, as it is; its values may be damaged.

    Raises:
        ConfigError: it is broken, or of a newer version of hforch.
    """
    hint = "it is written whole, so something else has changed it"
    try:
        found = read_json(path)
    except OSError as error:
        problem = f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError([Mistake("", problem)]) from error
    except ValueError as error:
        raise ConfigError([Mistake("", f"{path} cannot be read: {error}", None, hint)]) from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if type(version) is not int or version < 1:
        raise ConfigError([Mistake("", f"{path} is no record of hforch: it has no schema_version")])
    if version > SCHEMA_VERSION:
        problem = f"{path} has schema version {version}, and this hforch reads up to {SCHEMA_VERSION}"
        raise ConfigError([Mistake("", problem, None, "use a newer hforch")])
    return dict(found)


def read_samples(directory: Path) -> Iterator[dict[str, Any]]:
    """The samples of a job's directory, whichever it planned; lines that are damaged are left out."""
    yield from Samples(directory, {})
