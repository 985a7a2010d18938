"""The type of sweep.json: the command and jobs of a sweep."""

from pydantic import Field

from hforch.records.fields import Count, Finite, Part
from hforch.records.record import Command, Configuration, Head, Identity


class SweepJob(Configuration, Identity):
    """A planned job."""

    needed = frozenset({"number", "directory", "label", "load_key", "job_id", "overrides", "job"})

    number: Count = Field(description="Hydra's job number")
    directory: str = Field(description="directory of the job, relative to the sweep's")
    label: str = Field(description="overrides that distinguish the job from the others")
    samples: Count = Field(description="number of planned samples")
    same_as: Count | None = Field(description="number of an equivalent earlier job that is run instead of this one")
    baseline: Count | None = Field(
        description="number of the baseline job whose answers this job scores; its own number if it is a baseline; null"
        " without scoring"
    )
    overrides: list[str] = Field(description="overrides of this job")


class NoiseOfModel(Part):
    """The change of the machine's speed while a model was loaded."""

    load_key: str = Field(description="load key of the model")
    job: Count = Field(description="number of the first job with this model")
    first_s: Finite = Field(description="time of the first batch after loading, in seconds")
    again_s: Finite = Field(description="time of the same batch before unloading, in seconds")
    drift: Finite | None = Field(
        description="relative change of the first batch's time between loading and unloading (0.1: 10% more time)"
    )


class Measured(Part):
    """When and why a sweep stopped measuring (`runtime.measure`)."""

    until: str = Field(description="value of `runtime.measure.until`")
    rounds: Count = Field(description="number of measured rounds")
    stopped_by: str = Field(description="`decided`, `at_most`, or `failed` if no job was left to measure")
    why: str = Field(description="the reason in words")


class SweepRecord(Head):
    """The contents of sweep.json, which describes a sweep."""

    needed = frozenset({"asked", "jobs"})

    asked: Command | None = Field(default=None, description="the command line of the sweep")
    cwd: str | None = Field(default=None, description="working directory of the command")
    launcher: str | None = Field(default=None, description="option of the group `hydra/launcher`, such as `basic`")
    jobs: list[SweepJob] | None = Field(default=None, description="all jobs, in Hydra's order")
    noise: list[NoiseOfModel] | None = Field(
        default=None,
        description="for each loaded model, the change in the machine's speed; a model that was loaded in each round"
        " has an entry for each load",
    )
    kept_loaded: bool | None = Field(
        default=None,
        description="whether all models of a sweep with several rounds stayed loaded; if not, each was loaded again in"
        " each round",
    )
    kept_loaded_because: str | None = Field(default=None, description="the reason for `kept_loaded`")
    measured: Measured | None = Field(
        default=None, description="when and why measuring stopped; only with `runtime.measure`"
    )
