"""Energy metrics of the measured phase: the job's NVIDIA GPUs and the CPU packages, or the CPU packages only."""

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
        definition="energy used in the measured phase by the devices listed in energy_of: whole GPUs and whole CPU"
        " packages",
        is_main=True,
        summary="{value} J",
        keywords=("joules", "kwh", "wh"),
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
        definition="mean power: energy_j / time between the two readings",
        is_main=True,
        keywords=("watts", "watt"),
    ),
)
