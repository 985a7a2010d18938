"""Directories of runs and sweeps as command-line arguments."""

from __future__ import annotations

import sys
from pathlib import Path

from hforch.utils.paths import expanded

HELP = "`latest` is the newest one in outputs/ and multirun/"


def run_directory(text: str) -> Path:
    """Return the directory that an argument names; `latest` or `latest/3` is in that of the newest run or sweep.

    An existing directory with that name takes precedence.

    Raises:
        ConfigError: there is no run yet.
    """
    from hforch.comparison.history import LATEST, newest

    path = expanded(text)
    if path.parts[:1] != (LATEST,) or Path(LATEST).exists():
        return path
    found = newest().joinpath(*path.parts[1:])
    print(f"{text}: {found}", file=sys.stderr)
    return found
