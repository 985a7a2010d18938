"""The type of sweep.json: the command and jobs of a sweep."""

from pydantic import Field

from hforch.records.fields import Count, Finite, Part
from hforch.records.record import Command, Configuration, Head, Identity


class SweepJob(Configuration, Identity):
    """A planned job."""

    needed = frozenset({"number", "directory", "label", "load_key", "job_id", "overrides", "job"})

    number: Count = Field(description="Hydra's job number")
    directory: str = Field(description="directory of the job, relative to the sweep's")
    label: str = Field(description="the overrides that distinguish it from the other jobs")
    samples: Count = Field(description="number of planned samples")
    same_as: Count | None = Field(description="number of an earlier job with the same outputs, which is run instead")
    baseline: Count | None = Field(
        description="number of the baseline job whose answers it scores, or its own if it is a baseline; null without"
        " scoring"
    )
    overrides: list[str] = Field(description="overrides of this job")


class NoiseOfModel(Part):
    """The change of the machine's speed while a model was loaded."""

    load_key: str = Field(description="load key of the model")
    job: Count = Field(description="number of the first job with this model")
    first_s: Finite = Field(description="seconds of the first batch after loading")
    again_s: Finite = Field(description="seconds of the same batch before unloading")
    drift: Finite | None = Field(description="how much slower the second measurement was (0.1: by 10%)")


class SweepRecord(Head):
    """sweep.json: a sweep."""

    needed = frozenset({"asked", "jobs"})

    asked: Command | None = Field(default=None, description="the command")
    cwd: str | None = Field(default=None, description="working directory of the command")
    launcher: str | None = Field(default=None, description="option of the group `hydra/launcher`, such as `basic`")
    jobs: list[SweepJob] | None = Field(default=None, description="all jobs, in Hydra's order")
    noise: list[NoiseOfModel] | None = Field(
        default=None, description="for each loaded model, how much slower the machine became"
    )
