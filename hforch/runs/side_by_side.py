"""Decide whether the models of a sweep fit into memory side by side, so that jobs can take turns without loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hforch.machine.accelerators import Accelerator
from hforch.machine.processor import memory
from hforch.models.estimate import Estimate
from hforch.runs.memory_check import device_memory
from hforch.runs.planned_job import PlannedJob

GROWTH = 1.25  # activations and buffers, which the estimates do not include, relative to weights and KV cache
PROCESS_MB = 400.0  # private memory of a worker in addition to the model
SHARE = 0.8  # fraction of the free memory that the models may take


@dataclass(frozen=True)
class KeptLoaded:
    """Whether models stay loaded side by side, and why."""

    value: bool
    because: str


def side_by_side(jobs: Sequence[PlannedJob], devices: Mapping[str, Sequence[Accelerator]]) -> KeptLoaded:
    """Decide whether the models of jobs stay loaded side by side.

    Args:
        jobs: the jobs that take turns.
        devices: the accelerators by backend, with their free memory.
    """
    models = _largest(jobs)
    if len(models) == 1:
        return KeptLoaded(True, "all jobs share one model")
    if any(one.job.runtime.isolation == "inline" for one in jobs):
        return KeptLoaded(False, "with runtime.isolation=inline, all models would share the memory of one process")
    if len({tuple(sorted(one.env_set.items())) for one in jobs}) > 1:
        return KeptLoaded(False, "the jobs have different environment variables (hydra.job.env_set)")
    needed: dict[str, float] = {"CPU": 0.0}
    free = {"CPU": memory()["memory_free_gb"] * 1000}
    for one in models:
        mb = one.expected.memory_mb
        if mb is None:
            why = one.expected.why or "the weights are not on this machine yet"
            return KeptLoaded(False, f"the memory of {one.label} is unknown: {why}")
        place = "CPU"
        if one.job.device.kind != "cpu":
            found = _device(one, devices.get(one.job.backend.name, ()))
            if found is None:
                return KeptLoaded(False, f"the free memory of the device of {one.label} is unknown")
            place = found.name
            free[place] = found.free_mb
        needed[place] = needed.get(place, 0.0) + mb * GROWTH
        needed["CPU"] += PROCESS_MB
    words = [
        f"{needed[place] / 1000:.1f} GB of {place} memory ({free[place] / 1000:.1f} GB are free)" for place in needed
    ]
    fits = all(needed[place] <= SHARE * free[place] for place in needed)
    told = f"{len(models)} models need about {' and '.join(words)}"
    return KeptLoaded(fits, told if fits else f"{told}; at most {SHARE:.0%} may be used")


def _largest(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Return, for each model, the job that needs the most memory, or one whose memory is unknown."""
    found: dict[str, PlannedJob] = {}
    for one in jobs:
        known = found.setdefault(one.key, one)
        if known.expected.memory_mb is not None and _size(one.expected) > _size(known.expected):
            found[one.key] = one
    return list(found.values())


def _size(expected: Estimate) -> float:
    return float("inf") if expected.memory_mb is None else expected.memory_mb


def _device(one: PlannedJob, devices: Sequence[Accelerator]) -> Accelerator | None:
    """Return the accelerator of a job; None if it uses several, or if its free memory is unknown."""
    mine = [device for device in devices if device.name.endswith(f":{one.job.device.index}")]
    return mine[0] if len(mine) == 1 and device_memory(one.job, mine) is not None else None
