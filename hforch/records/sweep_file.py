"""sweep.json, read again: which jobs a sweep has, and how it was asked for."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

from hforch.errors import ConfigError, Mistake
from hforch.records.damage import sweep_flaws
from hforch.records.record_files import read_versioned

SWEEP = "sweep.json"
LONGEST_NAME = 255  # bytes of the name of a file


def read_sweep(directory: Path) -> dict[str, Any]:
    """The sweep.json of a sweep's directory.

    Raises:
        ConfigError: there is none that can be read, or it lacks what a comparison or a resume has to know.
    """
    path = directory / SWEEP
    found = read_versioned(path)
    damaged = sweep_flaws(found) or [
        f"jobs.{at}.directory: it is not within that of the sweep"
        for at, one in enumerate(found["jobs"])
        if not _is_within(one["directory"])
    ]
    if damaged:
        problem = f"{path} does not say which jobs it has, and how it was asked for: {'; '.join(damaged[:3])}"
        hint = "it is written whole, so something else has changed it"
        raise ConfigError([Mistake("", problem, None, hint)])
    return found


def _is_within(directory: str) -> bool:
    """Return whether a path leads to a directory below the one that it starts from."""
    path = PurePath(directory)
    is_below = not path.is_absolute() and ".." not in path.parts and bool(path.parts)
    return is_below and "\0" not in directory and all(len(os.fsencode(part)) <= LONGEST_NAME for part in path.parts)
