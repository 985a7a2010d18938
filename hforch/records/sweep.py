"""The type of sweep.json: the jobs of a sweep, and what is known of them as a whole."""

from pydantic import Field

from hforch.records.fields import Count, Finite, Part
from hforch.records.record import Command, Configuration, Head, Identity


class SweepJob(Configuration, Identity):
    """A job as it was planned."""

    needed = frozenset({"number", "directory", "label", "load_key", "job_id", "overrides", "job"})

    number: Count = Field(description="Hydra's")
    directory: str = Field(description="of its record, in that of the sweep")
    label: str = Field(description="the overrides in which it differs from the other jobs")
    samples: Count = Field(description="how many it will have")
    same_as: Count | None = Field(description="the number of an earlier job with the same outputs, run in its stead")
    baseline: Count | None = Field(
        description="the number of the job whose answers it scores, its own if it is one; null if nothing is scored"
    )
    overrides: list[str] = Field(description="of this job")


class NoiseOfModel(Part):
    """How the speed of the machine changed while a model was loaded."""

    load_key: str = Field(description="of the model")
    job: Count = Field(description="the number of the first job with this model")
    first_s: Finite = Field(description="seconds of its first batch, at first")
    again_s: Finite = Field(description="seconds of the same batch, when the model was dropped")
    drift: Finite | None = Field(description="how much slower that was (0.1: by a tenth)")


class SweepRecord(Head):
    """sweep.json: a sweep."""

    needed = frozenset({"asked", "jobs"})

    asked: Command | None = Field(default=None, description="the command")
    cwd: str | None = Field(default=None, description="the folder in which the command was given")
    launcher: str | None = Field(default=None, description="Hydra's launcher, by its option")
    jobs: list[SweepJob] | None = Field(default=None, description="all jobs, in Hydra's order")
    noise: list[NoiseOfModel] | None = Field(
        default=None, description="of each loaded model whether the machine became slower"
    )
