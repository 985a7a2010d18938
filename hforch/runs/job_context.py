"""What a job was made from: for its record, and for telling people where they wrote something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.credentials import FromEnv, recorded
from hforch.errors import Mistake
from hforch.utils.redaction import redacted_override

if TYPE_CHECKING:  # the command line's help imports this module, and needs no types
    from hforch.config.schema import Job
    from hforch.records.record import Configuration, Record


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

    def configuration(self, job: Job) -> Configuration:
        """Return a job's configuration for records; where that is not what is run, with `from_env` and `redacted`."""
        from hforch.records.record import Configuration

        return Configuration(**recorded(job.model_dump(mode="json"), self.from_env))

    def record(self, job: Job | None = None) -> Record:
        """Return a record that says how the job was asked for, and its configuration if that is known."""
        from hforch.records.record import SCHEMA_VERSION, Record

        configuration = {} if job is None else self.configuration(job).dump()
        return Record(
            schema_version=SCHEMA_VERSION,
            **configuration,
            overrides=[redacted_override(one) for one in self.overrides],
            recipe=self.recipe,
            config_dir=self.config_dir,
            config_name=self.config_name,
            parallel=self.parallel,
            cwd=str(Path.cwd()),
        )
