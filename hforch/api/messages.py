"""Messages from the process that runs jobs to the caller of the Python API, pickled and sent over a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hforch.errors import HforchError


class Began(NamedTuple):
    """The start of a run or sweep.

    Attributes:
        directory: its absolute directory.
        samples: the number of samples to generate.
    """

    directory: Path
    samples: int


class Staged(NamedTuple):
    """The start of a stage, such as loading a model."""

    text: str


class Sampled(NamedTuple):
    """A finished sample."""


class Ended(NamedTuple):
    """The end of the command, with the exit code of the command line."""

    code: int


class Raised(NamedTuple):
    """The end of the command with an error."""

    error: HforchError


Message = Began | Staged | Sampled | Ended | Raised
