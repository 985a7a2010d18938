"""The origin of a job's configuration, for its record and for error messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hforch.config.credentials import FromEnv, recorded
from hforch.errors import Mistake
from hforch.runs.schedule import Part
from hforch.utils.redaction import redacted_override

if TYPE_CHECKING:  # --help imports this module and must be fast
    from hforch.config.schema import Job
    from hforch.records.record import Configuration, Record


@dataclass(frozen=True)
class JobContext:
    """The origin of a job's configuration and the options of its run.

    Attributes:
        overrides: the overrides as passed on the command line.
        recipe: the recipe file, if any.
        locate: a function that adds to errors where their values were set.
        logging: a configuration for `logging.config.dictConfig` in the process that runs the job; None leaves logging
            unchanged.
        config_dir, config_name: the values of these flags.
        parallel: whether other jobs run on this machine at the same time.
        resume: whether to continue an earlier run in the directory; otherwise the run starts from scratch.
        fingerprint: the fingerprint of the weights used before; other weights are rejected.
        baseline: the directory of the job that this one is scored against; its own if it is the baseline.
        skip_damaged: whether a resumed job treats damaged sample lines as missing.
        is_locked: whether the calling process has locked the job's directory.
        from_env: the interpolations of values that come from the environment, by config path.
        given_paths: the paths as a recipe states them, by their values in the job.
        credentials: secrets that must not be written, each with its replacement.
        auto_prompt: the option that prompt=auto stands for; None if it is unknown, or the job has another prompt.
        remarks: warnings about the configuration, found when the job was planned.
        part: the part of the job to run, if it takes turns with other jobs; None: the whole job.

    All attributes can be pickled, since the context is sent to the worker.
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
    auto_prompt: Literal["chat", "question"] | None = None
    remarks: tuple[Mistake, ...] = ()
    given_paths: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = None

    @property
    def continues(self) -> bool:
        """Whether an earlier part of the job was run by the same command."""
        return self.part is not None and not self.part.is_first

    def configuration(self, job: Job) -> Configuration:
        """Return a job's configuration for records; `from_env` and `redacted` list what differs from the actual one."""
        from hforch.records.record import Configuration

        return Configuration(**recorded(job.model_dump(mode="json"), self.from_env))

    def record(self, job: Job | None = None) -> Record:
        """Return a record with the origin of the job and, if `job` is given, its configuration."""
        from hforch.records.record import SCHEMA_VERSION, Record

        configuration = {} if job is None else self.configuration(job).dump()
        if job is not None and (paths := self._paths(job)):
            configuration["paths"] = paths
        record = Record(
            schema_version=SCHEMA_VERSION,
            **configuration,
            overrides=[redacted_override(one) for one in self.overrides],
            recipe=self.recipe,
            config_dir=self.config_dir,
            config_name=self.config_name,
            parallel=self.parallel,
            cwd=str(Path.cwd()),
        )
        if self.auto_prompt is not None:
            record.auto_prompt = self.auto_prompt
        return record

    def _paths(self, job: Job) -> dict[str, dict[str, str]]:
        """Return the paths in a job as given and as resolved; those from the environment are omitted."""
        from hforch.config.recipe_paths import described

        hidden = (".".join(map(str, at)) for at in self.from_env)
        return described(job.model_dump(mode="json"), self.given_paths, hidden)
