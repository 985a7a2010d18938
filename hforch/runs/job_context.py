"""What a job was made from: for its record, and for telling people where they wrote something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.credentials import FromEnv, recorded
from hforch.errors import Mistake
from hforch.utils.redaction import redacted_override

if TYPE_CHECKING:
    from hforch.config.schema import Job


@dataclass(frozen=True)
class JobContext:
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
        from_env: the interpolations of the values that come from the environment, by their paths in the job.
        credentials: what no process may write, and what it writes in its place.

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
    from_env: FromEnv = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    def job(self, job: Job) -> dict[str, Any]:
        """What a record says of the job: `job`, and where that is not what was run, `from_env` and `redacted`."""
        return recorded(job.model_dump(mode="json"), self.from_env)

    def invocation(self) -> dict[str, Any]:
        """What a record says of it."""
        names = ("recipe", "config_dir", "config_name", "parallel")
        own = {name: getattr(self, name) for name in names}
        overrides = [redacted_override(one) for one in self.overrides]
        return {"overrides": overrides, **own, "cwd": str(Path.cwd())}
