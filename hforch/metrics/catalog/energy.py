"""Energy of the measured phase: of the job's NVIDIA GPUs and of the CPU packages, or of the CPU packages alone."""

from __future__ import annotations

from hforch.metrics.metric import Metric

METRICS = (
    Metric(
        name="energy_j",
        title="energy",
        unit="J",
        digits=1,
        better="lower",
        level="job",
        kind="energy",
        definition="energy used in the measured phase by the devices that energy_of names: whole GPUs and whole CPU"
        " packages",
        is_main=True,
        summary="{value} J",
    ),
    Metric(
        name="joules_per_token",
        title="energy per token",
        unit="J",
        digits=3,
        better="lower",
        level="job",
        kind="energy",
        definition="energy_j / output tokens",
        is_main=True,
        column="J/token",
    ),
    Metric(
        name="power_w",
        title="power",
        unit="W",
        digits=0,
        better="lower",
        level="job",
        kind="energy",
        definition="mean power: energy_j / the time between the two readings",
        is_main=True,
    ),
)
