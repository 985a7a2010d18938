"""Express flags and Hydra settings in errors as arguments of the Python functions."""

from __future__ import annotations

import re
from dataclasses import replace

from hforch.errors import Mistake
from hforch.runs.mode import MULTIRUN, SINGLE_RUN

NAMES = {SINGLE_RUN.directory: "directory", MULTIRUN.directory: "directory"}
"""Settings of Hydra, and the arguments that set them."""


def as_argument(mistake: Mistake) -> Mistake:
    """Return an error whose path, place and hint name arguments instead of flags and settings of Hydra."""
    return replace(
        mistake,
        path=NAMES.get(mistake.path, mistake.path),
        where=_place(mistake.where),
        hint=None if mistake.hint is None else mistake.hint.replace("--force", "force=True"),
    )


def _place(where: str | None) -> str | None:
    if where is None:
        return None
    if found := re.fullmatch(r"--(\w+) (.*)", where, re.DOTALL):
        return f"{found[1]}={found[2]!r}"
    key, _, value = where.partition("=")
    return f"{NAMES[key]}={value}" if key in NAMES else where
