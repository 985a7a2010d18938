"""Part of record.json: the measurements of each round, and what may have disturbed them."""

from pydantic import Field

from hforch.records.fields import ABSENT, Count, Finite, Part, Reasons


class MachineLoad(Part):
    """The load of the machine and the state of its CPU in the measured phase."""

    seconds: Finite | None = Field(default=None, description="duration of the measured phase, in seconds")
    cpus: Count | None = Field(default=None, description="logical CPUs that the process may use; only they are counted")
    own_cpu: Finite | None = Field(
        default=None, description="fraction of the time of these CPUs that this command's processes used"
    )
    others_cpu: Finite | None = Field(
        default=None,
        description="fraction of the time of these CPUs that other processes and the kernel used; other jobs of the"
        " command count as other processes if a launcher runs them in parallel",
    )
    steal: Finite | None = Field(
        default=None,
        description="fraction of the time of these CPUs in which the host did not let the virtual machine run",
    )
    swapped_in_mb: Finite | None = Field(
        default=None, description="data that the machine read from swap, in MB (10^6 bytes)"
    )
    swapped_out_mb: Finite | None = Field(
        default=None, description="data that the machine wrote to swap, in MB (10^6 bytes)"
    )
    cpu_mhz_min: Finite | None = Field(
        default=None, description="minimum of the clock frequency of the fastest CPU, sampled every second, in MHz"
    )
    cpu_mhz_mean: Finite | None = Field(default=None, description="mean of these samples, in MHz")
    thermal_throttles: Count | None = Field(
        default=None, description="how often heat slowed down a CPU or its package: the largest number of any of them"
    )
    quota_throttles: Count | None = Field(
        default=None, description="how often the CPU quota of a container (cgroup version 2) stopped the processes"
    )
    quota_throttled_s: Finite | None = Field(
        default=None, description="how long it stopped them, in seconds, in total for all CPUs"
    )
    absent: Reasons | None = ABSENT


class Round(Part):
    """The measurements of one round of a job."""

    needed = frozenset({"round", "load"})

    round: Count = Field(description="index of the round, from 0")
    load: Count = Field(
        description="index of the load of the model, from 0: rounds with the same index were measured with the same"
        " loaded model"
    )
    started: str | None = Field(default=None, description="start time, ISO 8601 in UTC")
    seconds: Finite | None = Field(
        default=None, description="wall time of its batches, in seconds; missing while the round is being measured"
    )
    output_tokens: Count | None = Field(default=None, description="output tokens of its samples")
    tokens_per_s: Finite | None = Field(
        default=None, description="output tokens per second, the median of its repeats; missing if unknown"
    )
    tokens_per_s_each: list[Finite] | None = Field(
        default=None, description="tokens per second of each of its repeats, if there are several"
    )
    machine: MachineLoad | None = Field(
        default=None,
        description="what may have disturbed the round: CPU time of other processes (`others_cpu`, a fraction), `steal`"
        " time of a virtual machine, swapping, the clock frequency of the CPU, throttling by heat and by the CPU quota"
        " of a container; `absent` has the reasons for values that could not be read",
    )
    incomplete: bool | None = Field(
        default=None,
        description="true if these measurements cover only some batches of the round, because the job was stopped or"
        " resumed during it; they do not count if another round is complete",
    )
