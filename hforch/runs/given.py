"""What a job was made from: for its record, and for telling people where they wrote something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
        config_dir, config_name: the flags of those names.
        parallel: whether other jobs run on this machine at the same time.
        resume: go on with what is in the directory; without it, a run there begins anew.
        fingerprint: of the weights that were used then; others are refused.
        baseline: the directory of the job whose answers this one scores; its own if it is the baseline.
        skip_damaged: of a job that is resumed, take lines that are no samples of it for missing.
        is_locked: whether the process that asks for the job has locked its directory.

    It travels to the worker, so all of it can be pickled.
    """

    overrides: tuple[str, ...] = ()
    recipe: str | None = None
    locate: Callable[[Sequence[Mistake]], list[Mistake]] = list
    logging: Mapping[str, Any] | None = None
    config_dir: str | None = None
    config_name: str | None = None
    parallel: bool = False
    resume: bool = False
    fingerprint: str | None = None
    baseline: Path | None = None
    is_locked: bool = False
    skip_damaged: bool = False

    def asked(self) -> dict[str, Any]:
        """What a record says of it."""
        names = ("recipe", "config_dir", "config_name", "parallel")
        own = {name: getattr(self, name) for name in names}
        return {"overrides": list(self.overrides), **own, "cwd": str(Path.cwd())}
