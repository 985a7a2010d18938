"""What a job was made from: for its record, and for telling people where they wrote something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hforch.errors import Mistake


@dataclass(frozen=True)
class Given:
    """How somebody asked for a job.

    Attributes:
        overrides: as given.
        recipe: the recipe file, if there was one.
        locate: adds to mistakes found in a job's values the places where those were written.
        logging: for `logging.config.dictConfig`, in the process that runs the job; None: as it is there.

    It travels to the worker, so all of it can be pickled.
    """

    overrides: tuple[str, ...] = ()
    recipe: str | None = None
    locate: Callable[[Sequence[Mistake]], list[Mistake]] = list
    logging: Mapping[str, Any] | None = None
