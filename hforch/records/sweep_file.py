"""Read sweep.json, with the command and jobs of a sweep."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

from hforch.errors import ConfigError, Mistake
from hforch.records.damage import sweep_flaws
from hforch.records.record_files import CHANGED, read_versioned

SWEEP = "sweep.json"
LONGEST_NAME = 255  # maximum length of a file name in bytes


def read_sweep(directory: Path) -> dict[str, Any]:
    """Return the sweep.json of a sweep's directory.

    Raises:
        ConfigError: it cannot be read, or lacks keys that a comparison or resume needs.
    """
    path = directory / SWEEP
    found = read_versioned(path)
    damaged = sweep_flaws(found) or [
        f"jobs.{at}.directory is outside the sweep's directory"
        for at, one in enumerate(found["jobs"])
        if not _is_within(one["directory"])
    ]
    if damaged:
        problem = f"{path} is not a valid sweep file: {'; '.join(damaged[:3])}"
        raise ConfigError([Mistake("", problem, None, CHANGED)])
    return found


def _is_within(directory: str) -> bool:
    """Return whether a relative path stays below its base directory."""
    path = PurePath(directory)
    is_below = not path.is_absolute() and ".." not in path.parts and bool(path.parts)
    return is_below and "\0" not in directory and all(len(os.fsencode(part)) <= LONGEST_NAME for part in path.parts)
